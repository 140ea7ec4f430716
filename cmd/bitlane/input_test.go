package main

import (
	"encoding/json"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
)

func TestInputAndOutput(t *testing.T) {
	const layer = "model.layers.0.mlp.down_proj"
	in, out := filepath.Join(t.TempDir(), "x.safetensors"), filepath.Join(t.TempDir(), "y.safetensors")
	const m, k, n = 2, 1536, 512
	x := make([]byte, m*k*4)
	dtype.F32.Put(x, 0, 1)
	dtype.F32.Put(x, k+1, 2)
	require.NoError(t, safetensors.WriteFile(in, nil, safetensors.Data{Name: "x", Type: "F32", Shape: []int64{m, k}, Bytes: x}))
	program(t, "run", bundled+"gptq-w4-g128", "--layer", layer, "--tokens", "1", "--output", out) // which makes room
	require.FileExists(t, out)
	code, text, errs := program(t, "run", bundled+"gptq-w4-g128", "--layer", layer, "--dtype", "float32", "--input", in, "--output", out)
	require.Equal(t, exitOK, code, errs+text)
	f, err := safetensors.Open(out)
	require.NoError(t, err)
	defer f.Close()
	info, ok := f.Lookup("y")
	require.True(t, ok)
	require.Equal(t, []int64{m, n}, info.Shape)
	require.Equal(t, safetensors.Type("F32"), info.Type)

	code, text, errs = program(t, "run", bundled+"gptq-w4-g128", "--layer", layer, "--input", in, "--tp", "0/5")
	require.Equal(t, exitFailed, code)
	require.Empty(t, text)
	require.Contains(t, errs, "tensor x is F32 [2 1536], want F32, F16 or BF16 [M,308] with M at least 1", "down_proj is cut along K")
}

// An x that does not fit is told before anything that could be taken for a result.
func TestInputThatDoesNotFit(t *testing.T) {
	const m, k = 2, 1536
	dir := t.TempDir()
	for name, c := range map[string]struct {
		data safetensors.Data
		want string
	}{
		"shape":   {safetensors.Data{Name: "x", Type: "F32", Shape: []int64{1, 4}, Bytes: make([]byte, 16)}, "tensor x is F32 [1 4]"},
		"rank":    {safetensors.Data{Name: "x", Type: "F32", Shape: []int64{k}, Bytes: make([]byte, k*4)}, "tensor x is F32 [1536]"},
		"no rows": {safetensors.Data{Name: "x", Type: "F32", Shape: []int64{0, k}}, "tensor x is F32 [0 1536]"},
		"type":    {safetensors.Data{Name: "x", Type: "I32", Shape: []int64{m, k}, Bytes: make([]byte, m*k*4)}, "tensor x is I32 [2 1536]"},
		"name":    {safetensors.Data{Name: "X", Type: "F32", Shape: []int64{m, k}, Bytes: make([]byte, m*k*4)}, "no tensor x"},
	} {
		in := filepath.Join(dir, name)
		require.NoError(t, safetensors.WriteFile(in, nil, c.data))
		code, out, errs := program(t, "run", bundled+"gptq-w4-g128", "--layer", "model.layers.0.mlp.down_proj", "--input", in)
		require.Equal(t, exitFailed, code)
		require.Empty(t, out, name)
		require.Contains(t, errs, "bitlane run: --input: "+in+": "+c.want, name)
		require.Contains(t, errs, "F32, F16 or BF16 [M,1536] with M at least 1\n", name)
	}
}

// Rows of which less is verified are counted, and said to be.
func TestRowsThatAreNotFinite(t *testing.T) {
	const m, k = 4, 1536
	in := filepath.Join(t.TempDir(), "x.safetensors")
	x := make([]byte, m*k*4)
	dtype.F32.Put(x, 5, float32(math.NaN()))
	dtype.F32.Put(x, k+7, 1e6) // infinite in float16
	for i := range k {
		dtype.F32.Put(x, 2*k+i, 6e4) // finite, but most sums are not
	}
	require.NoError(t, safetensors.WriteFile(in, nil, safetensors.Data{Name: "x", Type: "F32", Shape: []int64{m, k}, Bytes: x}))
	args := []string{"run", bundled + "gptq-w4-g128", "--layer", "model.layers.0.mlp.down_proj", "--input", in}
	const ofX = "model.layers.0.mlp.down_proj: M=4: 2 of 4 rows of x with a NaN or an infinity as float16: of y there only that it is not finite either was verified; error/bound is of the others\n"
	const ofY = "M=4: 1 of 4 rows of y with a NaN or an infinity where x has none: accepted only where float16 or a sum on the way is too small for the value; error/bound is of the finite numbers\n"
	for _, activations := range []string{"exact", "int8-token", "int8-group"} {
		code, out, errs := program(t, append(args, "--activations", activations)...)
		require.Equal(t, exitOK, code, errs)
		require.Contains(t, errs, ofX)
		require.Contains(t, errs, ofY)
		require.Contains(t, out, ", 3 rows not finite\n")
		require.Contains(t, out, "1 run: all within the error bound of the float64 reference (worst ")
		require.Contains(t, out, " of the bound before output rounding), but for 3 rows not finite\n")
	}
	code, out, _ := program(t, append(args, "--json")...)
	require.Equal(t, exitOK, code)
	var r runReport
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, notFinite{X: 2, Y: 1}, r.Layers[0].Runs[0].notFinite)
	require.Equal(t, 3, r.Summary.NotFinite)
}

// A sum beyond float32 is right to be infinite, but there is no distance to print.
func TestSumsBeyondFloat32(t *testing.T) {
	const m, k = 2, 1536
	in := filepath.Join(t.TempDir(), "x.safetensors")
	x := make([]byte, m*k*4)
	for i := range m * k {
		dtype.F32.Put(x, i, []float32{3e38, 1}[i/k])
	}
	require.NoError(t, safetensors.WriteFile(in, nil, safetensors.Data{Name: "x", Type: "F32", Shape: []int64{m, k}, Bytes: x}))
	code, out, errs := program(t, "run", bundled+"gptq-w4-g128", "--layer", "model.layers.0.mlp.down_proj", "--input", in, "--dtype", "float32", "--json")
	require.Equal(t, exitOK, code, errs)
	var r runReport
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Less(t, r.Summary.Worst, 1.0)
	require.Equal(t, notFinite{Y: 1}, r.Layers[0].Runs[0].notFinite)
}
