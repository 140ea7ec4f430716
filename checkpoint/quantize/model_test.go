package quantize

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Every format, width, group size and kind of zero points, searched and as upstream:
// what is read back is what package quant makes of the weight, bit for bit.
func TestEveryCombination(t *testing.T) {
	types := []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}
	for _, format := range Formats() {
		for bits := 2; bits <= 8; bits++ {
			if format != CompressedTensors && bits > 4 && bits != 8 {
				continue
			}
			for _, group := range []int{-1, 16, 96} {
				for i := range 4 {
					asymmetric, parity := i&1 != 0, i&2 != 0
					if asymmetric && parity && format == GPTQ {
						continue // zero points of 0 may come
					}
					dt := types[(bits+group+i+3)%3]
					name := fmt.Sprintf("%s w%d g%d asymmetric %v parity %v %v", format, bits, group, asymmetric, parity, dt)
					in := newInput(t).floats("a.weight", dt, 64, 96).floats("a.bias", dt, 64).floats("b.weight", dt, 32, 192)
					o := Options{Format: format, Settings: Settings{Bits: bits, Group: group, Asymmetric: asymmetric, Parity: parity}}
					r, m := quantized(t, in.write(), o)
					require.Len(t, r.Layers, 2, name)
					for j, tensor := range []int{0, 2} {
						rtn := quant.RTN{Bits: bits, Group: group, Asymmetric: asymmetric, Accurate: !parity}
						if !parity {
							rtn.Scales = dt
						}
						if asymmetric && format == GPTQ {
							rtn.LeastZero = 1
						}
						d := in.tensors[tensor]
						var want quant.Weight
						require.NoError(t, rtn.Quantize(&want, "w", dt, int(d.Shape[0]), int(d.Shape[1]), d.Bytes))
						var got quant.Linear
						findings, err := m.Load(t.Context(), &got, d.Name[:1])
						require.NoError(t, err, name)
						if format != CompressedTensors { // of 3 bits few rows fit the old layout, too
							require.Empty(t, findings, name)
						}
						sameWeight(t, &want, &got.Weight, name)
						require.Equal(t, d.Name == "a.weight", got.HasBias())
						require.InEpsilon(t, errorOf(&want, dt, d.Bytes), r.Layers[j].Error, 1e-9, name)
					}
				}
			}
		}
	}
}

// errorOf is the relative squared error, derived a second time.
func errorOf(w *quant.Weight, t dtype.DType, data []byte) float64 {
	var err, power float64
	for n := range w.N() {
		for k := range w.K() {
			v, g := float64(t.At(data, n*w.K()+k)), w.Groups().Of(k)
			d := float64(w.Scale(n, g))*float64(w.Code(n, k)-w.Zero(n, g)) - v
			err += d * d
			power += v * v
		}
	}
	return err / power
}

// What is not quantized is copied bit for bit, and the configuration says all.
func TestTheRestIsCopied(t *testing.T) {
	for _, format := range Formats() {
		in := llama(t)
		in.file(".cache/x", "").file("pytorch_model.bin", "old").file("onnx/model.onnx", "other")
		require.NoError(t, os.Symlink(filepath.Join(in.dir, "tokenizer.json"), filepath.Join(in.dir, "linked.json")))
		require.NoError(t, os.Symlink("nowhere", filepath.Join(in.dir, "gone")))
		require.NoError(t, os.Symlink(filepath.Join(in.dir, "sub"), filepath.Join(in.dir, "sub2")))
		o := Options{Format: format, Settings: Settings{Group: 32}, Overrides: []Override{
			{"*.1.mlp.down_proj", Settings{Bits: 8, Group: -1, Asymmetric: true}}, {"*.[01].mlp.*", Settings{Bits: 3, Group: 16}},
		}, Keep: []string{"model.layers.0.self_attn.q_proj"}, Skip: []string{"*.layers.1.mlp.gate"}}
		r, m := quantized(t, in.write(), o)
		out := r.Out
		require.Equal(t, r.Kept[0].Name, "lm_head")
		require.Len(t, r.Kept, 4)
		for _, d := range in.tensors {
			if info, ok := m.Files().Lookup(d.Name); ok {
				b, err := m.ReadTensor(nil, d.Name)
				require.NoError(t, err)
				require.Equal(t, d.Bytes, b)
				require.Equal(t, d.Shape, info.Shape)
			}
		}
		require.Equal(t, 10, r.Summary.Copied)
		require.Equal(t, map[string]string{"by": "test", "format": "pt"}, m.Files().Metadata())
		for name, text := range map[string]string{"tokenizer.json": "{}", "linked.json": "{}", "sub/dir/LICENSE": "free"} {
			b, err := os.ReadFile(filepath.Join(out, name))
			require.NoError(t, err)
			require.Equal(t, text, string(b))
		}
		why := map[string]string{}
		for _, l := range r.LeftOut {
			why[l.Name] = l.Why
		}
		require.Equal(t, map[string]string{".cache": "hidden", "pytorch_model.bin": "the weights in another form", "onnx/model.onnx": "the weights in another form",
			"gone": "a link to nowhere", "sub2": "a link to a directory"}, why)

		text, err := os.ReadFile(filepath.Join(out, "config.json"))
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(text), strings.TrimSuffix(llamaConfig, "\n}\n")), "the rest of the text is as it was")
		golden(t, format+".json", text)

		layers := map[string]string{}
		for _, mod := range m.Modules() {
			layers[mod.Name] = fmt.Sprint(mod.Bits, mod.GroupSize, mod.Symmetric)
		}
		require.Equal(t, map[string]string{
			"lm_head": "0 0 false", "model.layers.0.mlp.gate": "0 0 false", "model.layers.1.mlp.gate": "0 0 false", "model.layers.0.self_attn.q_proj": "0 0 false",
			"model.layers.0.mlp.up_proj": "3 16 true", "model.layers.1.mlp.up_proj": "3 16 true", "model.layers.0.mlp.down_proj": "3 16 true",
			"model.layers.1.mlp.down_proj": "8 -1 false", "model.layers.1.self_attn.q_proj": "4 32 true",
		}, layers)
	}
}

// An input that is a link to a directory has the same files as the directory.
func TestLinkedInput(t *testing.T) {
	in := llama(t).write()
	parent := filepath.Dir(in)
	require.NoError(t, os.Symlink(in, filepath.Join(parent, "alias")))
	o := Options{Settings: Settings{Group: 32}}
	direct, err := Model(t.Context(), in, filepath.Join(parent, "direct"), o)
	require.NoError(t, err)
	linked, err := Model(t.Context(), filepath.Join(parent, "alias"), filepath.Join(parent, "linked"), o)
	require.NoError(t, err)
	require.Contains(t, linked.Files, "tokenizer.json")
	require.Equal(t, direct.Files, linked.Files)
	require.Equal(t, direct.LeftOut, linked.LeftOut)
	for _, name := range linked.Files {
		want, err := os.ReadFile(filepath.Join(direct.Out, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(linked.Out, name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), name)
	}
}

func golden(t *testing.T, name string, got []byte) {
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o666))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "go test ./checkpoint/quantize -update rewrites the golden files")
}

// The bytes do not depend on the threads; shards are cut by size and listed.
func TestShardsAndThreads(t *testing.T) {
	in := llama(t).write()
	o := Options{Format: CompressedTensors, Settings: Settings{Group: 32}, ShardSize: 12000}
	var all [][]byte
	for _, threads := range []int{1, 5} {
		o.Threads = threads
		r, m := quantized(t, in, o)
		require.Equal(t, 4, r.Summary.Shards)
		require.Len(t, m.Files().Files(), 4)
		files := entries(t, r.Out)
		require.Contains(t, files, "model-00001-of-00004.safetensors")
		require.Contains(t, files, safetensors.IndexName)
		require.NotContains(t, files, "model.safetensors")
		var joined []byte
		for _, f := range append(m.Files().Files(), filepath.Join(r.Out, safetensors.IndexName)) {
			b, err := os.ReadFile(f)
			require.NoError(t, err)
			if strings.HasSuffix(f, ".safetensors") {
				require.Less(t, len(b), 12000+3000)
			}
			joined = append(joined, b...)
		}
		all = append(all, joined)
		require.NoError(t, os.RemoveAll(r.Out))
	}
	require.True(t, bytes.Equal(all[0], all[1]))

	require.NoError(t, os.RemoveAll(in))
	r, m := quantized(t, llamaIn(t, in), Options{Settings: Settings{Group: 32}})
	require.Equal(t, []string{filepath.Join(r.Out, "model.safetensors")}, m.Files().Files())
}

// llamaIn is llama at another place.
func llamaIn(t *testing.T, dir string) string {
	in := llama(t)
	in.write()
	require.NoError(t, os.Rename(in.dir, dir))
	return dir
}

// A layer whose scales upstream's arithmetic cannot hold has no figure to compare
// with, and JSON has no infinity.
func TestRTNThatOverflows(t *testing.T) {
	in := newInput(t)
	b := make([]byte, 2*16*16)
	for i := range 256 {
		dtype.F16.Put(b, i, float32(200*(i-128)+40000*(i&1)))
	}
	in.tensors = append(in.tensors, safetensors.Data{Name: "a.weight", Type: "F16", Shape: []int64{16, 16}, Bytes: b})
	r, _ := quantized(t, in.write(), Options{Settings: Settings{Group: 16}})
	require.Nil(t, r.Layers[0].RTNError)
	require.Nil(t, r.Summary.RTNError)
	require.Less(t, r.Summary.Error, 0.02)

	zeros := newInput(t)
	zeros.tensors = append(zeros.tensors, safetensors.Data{Name: "a.weight", Type: "F16", Shape: []int64{16, 16}, Bytes: make([]byte, 512)})
	r, _ = quantized(t, zeros.write(), Options{Settings: Settings{Group: 16}})
	require.Zero(t, r.Summary.Error)
	require.Zero(t, *r.Summary.RTNError)
}
