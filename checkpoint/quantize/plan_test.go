package quantize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func fails(t *testing.T, in string, o Options, wants ...string) {
	t.Helper()
	out := filepath.Join(filepath.Dir(in), "out")
	_, err := Model(t.Context(), in, out, o)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	for _, want := range wants {
		require.ErrorContains(t, err, want)
	}
	require.NoFileExists(t, out)
}

// Everything that a format cannot have is said at once, before anything is written.
func TestRefusals(t *testing.T) {
	in := newInput(t).floats("a.weight", dtype.F32, 12, 96).floats("b.weight", dtype.F32, 64, 48).floats("c.weight", dtype.F32, 64, 64).write()
	fails(t, in, Options{Settings: Settings{Bits: 3, Group: 32}},
		"a: N is 12, want a multiple of 32, so that 3-bit codes fill whole words",
		"b: K is 48, want a multiple of the group size 32, as readers of gptq have it (give the layer another group size, or -1, or keep it)")
	fails(t, in, Options{Format: CompressedTensors, Settings: Settings{Group: 64}}, "a: K is 96", "b: K is 48")
	fails(t, in, Options{Format: CompressedTensors, Settings: Settings{Group: -1, Parity: true}, Scales: dtype.F16}, "a: scale type is float16, want float32, the weight's, in parity mode")
	fails(t, in, Options{Keep: []string{"*"}}, "3 linear layers, all kept or skipped")
	fails(t, in, Options{Settings: Settings{Group: -1}, Keep: []string{"a"}, Overrides: []Override{{Glob: "a"}, {Glob: "d*"}, {Glob: "*", Settings: Settings{Group: 16}}, {Glob: "c", Settings: Settings{Group: 16}}}},
		"a: override is without effect", "d*: override is without effect", "c: override is without effect")
	fails(t, in, Options{Keep: []string{"d"}, Quantize: []string{"x*"}}, `d: glob in Keep is without a match`, `x*: glob in Quantize is without a match`)
	var idle *GlobError
	for _, o := range []Options{{Skip: []string{"d"}}, {Overrides: []Override{{Glob: "d"}}}, {Settings: Settings{Bits: 3}, Keep: []string{"d"}}} {
		_, err := Model(t.Context(), in, filepath.Join(t.TempDir(), "out"), o)
		require.ErrorAs(t, err, &idle)
		require.ErrorContains(t, idle, "d: ")
	}
	fails(t, in, Options{Format: "awq"}, `format is "awq", want gptq, gptq_v2 or compressed-tensors`)
	fails(t, in, Options{Settings: Settings{Bits: 5}}, "bits is 5, want 2, 3, 4 or 8, as gptq has")
	fails(t, in, Options{Format: CompressedTensors, Settings: Settings{Bits: 9}}, "bits is 9, want 2 to 8")
	fails(t, in, Options{Settings: Settings{Group: -2}}, "group is -2")
	fails(t, in, Options{Overrides: []Override{{"a", Settings{Bits: 7}}}}, "a: bits is 7")
	fails(t, in, Options{Scales: 9}, "scale type")
	fails(t, in, Options{ShardSize: -1}, "shard size is -1")
	fails(t, in, Options{Threads: -1}, "threads is -1")
	_, err := Model(t.Context(), in, in+"2", Options{Overrides: []Override{{Glob: "["}}})
	require.ErrorContains(t, err, "a ] for each [")

	many := newInput(t)
	for i := range 30 {
		many.floats(string(rune('a'+i%26))+string(rune('a'+i/26))+".weight", dtype.F32, 8, 24)
	}
	fails(t, many.write(), Options{}, "aa: K is 24", "and 10 more problems")

	odd := newInput(t).floats("c.weight", dtype.F32, 64, 64)
	odd.tensors = append(odd.tensors, safetensors.Data{Name: "d.weight", Type: "F64", Shape: []int64{2, 2}, Bytes: make([]byte, 32)})
	odd.write()
	fails(t, odd.dir, Options{Settings: Settings{Group: 32}}, "d: a weight of type F64", "which copies it")
	r, err := Model(t.Context(), odd.dir, odd.dir+"2", Options{Settings: Settings{Group: 32}, Skip: []string{"d"}})
	require.NoError(t, err)
	require.Equal(t, []module.Refused{{Name: "d", Why: "skipped"}}, r.Kept)

	taken := newInput(t).floats("c.weight", dtype.F32, 64, 64).floats("c.scales", dtype.F32, 2).write()
	fails(t, taken, Options{Settings: Settings{Group: 32}}, "c.scales: tensor is of c and of c.scales")
}

// Linear layers that are skipped, because the options say so or because their names
// are like those of embeddings, are no quantized layers to anybody.
func TestSkippedLayersAreIgnored(t *testing.T) {
	for _, format := range Formats() {
		in := newInput(t).floats("l.q_proj.weight", dtype.BF16, 32, 32)
		in.floats("model.embed_tokens.weight", dtype.BF16, 32, 32).floats("model.vision_embed_tokens.img_projection.0.weight", dtype.BF16, 32, 32)
		in.floats("model.layers.0.mlp.experts.gate_up_proj", dtype.BF16, 2, 32, 32).floats("model.layers.0.mlp.experts.down_proj.weight", dtype.BF16, 2, 32, 32)
		fails(t, in.write(), Options{Settings: Settings{Group: 32}}, "model.layers.0.mlp.experts.gate_up_proj: 2 experts in one tensor", "or the module skipped, which copies it")
		fails(t, in.dir, Options{Settings: Settings{Group: 32}, Skip: []string{"*experts*"}, Keep: []string{"*down_proj"}}, "experts.down_proj: 2 experts")
		r, err := Model(t.Context(), in.dir, in.dir+"2", Options{Format: format, Settings: Settings{Group: 32}, Skip: []string{"*experts*"}})
		require.NoError(t, err)
		require.Equal(t, []module.Refused{{Name: "model.layers.0.mlp.experts.down_proj", Why: "skipped"}, {Name: "model.layers.0.mlp.experts.gate_up_proj", Why: "skipped"}}, r.Kept)
		require.Equal(t, 4, r.Summary.Copied)
		text, err := os.ReadFile(filepath.Join(r.Out, "config.json"))
		require.NoError(t, err)
		for _, name := range []string{"model.vision_embed_tokens.img_projection.0", "model.layers.0.mlp.experts"} {
			if format != CompressedTensors {
				name = "-:" + strings.ReplaceAll(name, ".", `\\.`) + "$"
			}
			require.Contains(t, string(text), `"`+name+`"`)
		}
		require.NotContains(t, string(text), `"-:model\\.embed_tokens`)
	}
}

// A zero point of 0, which readers of version 1 disagree about, is searched around,
// and refused where upstream's numbers are asked for.
func TestZeroPointsOfVersion1(t *testing.T) {
	in := newInput(t)
	b := make([]byte, 4*64*64)
	for i := range 64 * 64 {
		dtype.F32.Put(b, i, float32(i%7+1))
	}
	in.tensors = append(in.tensors, safetensors.Data{Name: "a.weight", Type: "F32", Shape: []int64{64, 64}, Bytes: b})
	in.write()
	o := Options{Settings: Settings{Group: 32, Asymmetric: true, Parity: true}}
	fails(t, in.dir, o, "a: zero point of row 0, group 0 is 0, want 1 to 15: readers of version 1 disagree about 0; gptq_v2 stores it (unsupported): write gptq_v2 (Format, --format), or search scales (Parity, --method rtn-accurate)")
	o.Parity = false
	r, m := quantized(t, in.dir, o)
	require.Equal(t, []string{"GPTQModel refuses asymmetric checkpoints of gptq that it did not write itself: for it, take gptq_v2"}, r.Warnings)
	var l quant.Linear
	_, err := m.Load(t.Context(), &l, "a")
	require.NoError(t, err)
	lo, _ := l.Weight.ZeroRange()
	require.GreaterOrEqual(t, lo, 1)
}

// Servers load some projections as one.
func TestShardsOfOneLayerThatDiffer(t *testing.T) {
	in := newInput(t)
	for _, n := range []string{"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"} {
		in.floats("l."+n+".weight", dtype.BF16, 32, 32)
	}
	r, _ := quantized(t, in.write(), Options{Format: GPTQv2, Settings: Settings{Group: 32}, Keep: []string{"*up_proj"}, Overrides: []Override{{"*.v_proj", Settings{Bits: 8}}, {"*.[qk]_proj", Settings{Bits: 4, Group: 32}}}})
	require.Equal(t, []string{
		"l.gate_proj and up_proj differ: servers that load gate_proj, up_proj as one refuse that",
		"l.q_proj and v_proj differ: servers that load q_proj, k_proj, v_proj as one refuse that",
	}, r.Warnings)

	require.NoError(t, os.RemoveAll(r.Out))
	r, _ = quantized(t, in.dir, Options{Settings: Settings{Group: 32}, Overrides: []Override{{"*.q_proj", Settings{Parity: true}}}})
	require.Empty(t, r.Warnings, "the method makes no difference to them")

	// Once, however many differ from the first of them; also where that one stays plain.
	require.NoError(t, os.RemoveAll(r.Out))
	r, _ = quantized(t, in.dir, Options{Format: GPTQv2, Settings: Settings{Group: 32}, Keep: []string{"*gate_proj", "*q_proj"}})
	require.Equal(t, []string{
		"l.gate_proj and up_proj differ: servers that load gate_proj, up_proj as one refuse that",
		"l.q_proj and k_proj differ: servers that load q_proj, k_proj, v_proj as one refuse that",
	}, r.Warnings)
}

// A head that is tied to the embedding is nobody's layer.
func TestTiedHead(t *testing.T) {
	for config, want := range map[string]int{`{"tie_word_embeddings":true}`: 1, `{"text_config":{"tie_word_embeddings":true}}`: 1, `{"tie_word_embeddings":false}`: 0, `{}`: 0} {
		in := newInput(t).file("config.json", config).floats("l.q_proj.weight", dtype.BF16, 32, 32).floats("lm_head.weight", dtype.BF16, 32, 32).write()
		r, _ := quantized(t, in, Options{Settings: Settings{Group: 32}, Quantize: []string{"lm_head"}})
		require.Len(t, r.Warnings, want, config)
		require.NoError(t, os.RemoveAll(r.Out))
		r, _ = quantized(t, in, Options{Settings: Settings{Group: 32}})
		require.Empty(t, r.Warnings)
	}
}

// GPT-2 stores its weights input first, which GPTQ does anyway.
func TestInputFirst(t *testing.T) {
	in := newInput(t).file("config.json", `{"model_type":"gpt2","quantization_config":null}`)
	in.floats("h.0.attn.c_attn.weight", dtype.F32, 32, 96).floats("h.0.attn.c_attn.bias", dtype.F32, 96).write()
	fails(t, in.dir, Options{Format: CompressedTensors, Settings: Settings{Group: 32}}, "compressed-tensors knows linear layers only")
	r, m := quantized(t, in.dir, Options{Settings: Settings{Group: 32, Bits: 8}})
	require.Equal(t, [2]int{96, 32}, [2]int{r.Layers[0].N, r.Layers[0].K})
	var l quant.Linear
	_, err := m.Load(t.Context(), &l, "h.0.attn.c_attn")
	require.NoError(t, err)
	for n := range 96 {
		for k := range 32 {
			require.InDelta(t, dtype.F32.At(in.tensors[0].Bytes, k*96+n), l.Weight.Value(n, k), 0.03)
		}
	}
}

func TestModelConfig(t *testing.T) {
	fields := []module.Field{module.NewField("bits", 4)}
	path := filepath.Join(t.TempDir(), "config.json")
	for text, want := range map[string]string{
		"":                                   "{\n  \"quantization_config\": {\n    \"bits\": 4\n  }\n}\n",
		"{}":                                 "{\n  \"quantization_config\": {\n    \"bits\": 4\n  }\n}\n",
		"{\"a\": [1,  2]\n}\n":               "{\"a\": [1,  2],\n  \"quantization_config\": {\n    \"bits\": 4\n  }\n}\n",
		`{"quantization_config":null,"a":1}`: "{\n  \"quantization_config\": {\n    \"bits\": 4\n  },\n  \"a\": 1\n}\n",
	} {
		os.Remove(path)
		if text != "" {
			require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
		}
		got, err := modelConfig(path, fields)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	require.NoError(t, os.WriteFile(path, []byte(`{"quantization_config":{},"a":NaN}`), 0o666))
	_, err := modelConfig(path, fields)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.NoError(t, os.WriteFile(path, []byte(`{`), 0o666))
	_, err = modelConfig(path, fields)
	require.ErrorIs(t, err, quant.ErrFormat)
}

// Readers of compressed-tensors do not agree on which of several patterns decides:
// vLLM goes by the order of the file, the library of the format by that of their text.
func TestOverridesThatOverlap(t *testing.T) {
	o := Options{Format: CompressedTensors, Settings: Settings{Group: 32}, Overrides: []Override{
		{"*.mlp.down_proj", Settings{Bits: 8}}, {"*.layers.0.*", Settings{Bits: 3}}, {"*.[0-9].mlp.*", Settings{Bits: 2}},
	}}
	r, m := quantized(t, llama(t).write(), o)
	text, err := os.ReadFile(filepath.Join(r.Out, "config.json"))
	require.NoError(t, err)
	var config struct {
		Q struct {
			Groups map[string]struct {
				Targets []string
				Weights struct {
					Bits int `json:"num_bits"`
				}
			} `json:"config_groups"`
		} `json:"quantization_config"`
	}
	require.NoError(t, json.Unmarshal(bytes.ReplaceAll(text, []byte("Infinity"), []byte("0")), &config))
	var targets []string // in the order of the file
	bits := map[string]int{}
	for i := range len(config.Q.Groups) {
		g := config.Q.Groups[fmt.Sprint("group_", i)]
		targets = append(targets, g.Targets...)
		for _, target := range g.Targets {
			bits[target] = g.Weights.Bits
		}
	}
	sorted := slices.SortedFunc(slices.Values(targets), func(a, b string) int {
		if x, y := strings.Contains(a, "re:"), strings.Contains(b, "re:"); x != y {
			if y {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, mod := range m.Modules() {
		if !mod.Quantized {
			continue
		}
		for _, order := range [][]string{targets, sorted} {
			i := slices.IndexFunc(order, func(target string) bool {
				expr, isPattern := strings.CutPrefix(target, "re:")
				return target == mod.Name || isPattern && regexp.MustCompile("^(?:"+expr+")").MatchString(mod.Name)
			})
			if i < 0 {
				i = slices.Index(order, "Linear")
			}
			require.Equal(t, mod.Bits, bits[order[i]], "%s of %q", mod.Name, order)
		}
	}
}

// Names and globs mean the same in the written patterns.
func TestNamesThatLookLikePatterns(t *testing.T) {
	for _, format := range Formats() {
		in := newInput(t)
		for _, n := range []string{"re:.*", "a.b", "aXb", "c+", "d(1)", "Linear.weight.x", `e\f`, "a.bc"} {
			in.floats(n+".weight", dtype.BF16, 32, 32)
		}
		o := Options{Format: format, Settings: Settings{Group: 32}, Keep: []string{"re:[.][*]", "a.b"}, Overrides: []Override{
			{"c+", Settings{Bits: 8, Group: 32}}, {"d(?)", Settings{Bits: 3, Group: 16}}, {`e\\f`, Settings{Bits: 2, Group: 16}}, {"a[^.]b", Settings{Bits: 8, Group: 16}},
		}}
		_, m := quantized(t, in.write(), o)
		for _, mod := range m.Modules() {
			require.Equal(t, map[string]int{"c+": 8, "d(1)": 3, `e\f`: 2, "aXb": 8, "Linear.weight.x": 4, "a.bc": 4}[mod.Name], mod.Bits, "%s %s", format, mod.Name)
		}
	}
}
