package main

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
)

// randomInput returns x [rows, k]: Gaussian, with one feature in 64 twenty
// times larger, as the activations of language models have them. Row i is the
// same however many rows there are.
func randomInput(seed uint64, name string, rows, k int, t dtype.DType) []float32 {
	h := fnv.New64a()
	h.Write([]byte(name))
	rng := rand.New(rand.NewPCG(seed, h.Sum64()))
	outlier := make([]float32, k)
	for i := range outlier {
		outlier[i] = 1
		if rng.IntN(64) == 0 {
			outlier[i] = 20
		}
	}
	x := make([]float32, rows*k)
	for i := range x {
		x[i] = float32(rng.NormFloat64()) * outlier[i%k]
	}
	roundAll(t, x)
	return x
}

func roundAll(t dtype.DType, x []float32) {
	for i, v := range x {
		x[i] = t.Round(v)
	}
}

// readInput returns the tensor x [M, k] of --input, nil without the flag.
func (f *runFlags) readInput(k int) ([]float32, error) {
	if f.input == "" {
		return nil, nil
	}
	file, err := safetensors.Open(f.input)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	want := fmt.Sprintf("F32, F16 or BF16 [M,%d] with M at least 1", k)
	info, ok := file.Lookup("x")
	if !ok {
		return nil, fmt.Errorf("%s: no tensor x, want x in %s", f.input, want)
	}
	t, ok := info.Type.DType()
	if !ok || len(info.Shape) != 2 || info.Shape[1] != int64(k) || info.Shape[0] < 1 {
		return nil, fmt.Errorf("%s: tensor x is %s %d, want %s", f.input, info.Type, info.Shape, want)
	}
	raw, err := file.Read(nil, "x")
	if err != nil {
		return nil, err
	}
	x := make([]float32, info.Shape[0]*info.Shape[1])
	dtype.Decode(t, x, raw)
	return x, nil
}

// outputName is the only tensor of an output.
const outputName = "y"

// writeOutput writes the tensor y [m, n].
func writeOutput(path string, t dtype.DType, y []byte, m, n int) error {
	names := map[dtype.DType]safetensors.Type{dtype.F32: "F32", dtype.F16: "F16", dtype.BF16: "BF16"}
	return safetensors.WriteFile(path, nil, safetensors.Data{Name: outputName, Type: names[t], Shape: []int64{int64(m), int64(n)}, Bytes: y})
}
