package autoround

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/gptq"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// file opens the tensors of a bundled checkpoint; package checkpoint tests
// that they are read right.
func file(t testing.TB, name string) *safetensors.File {
	f, err := safetensors.Open(filepath.Join("../../testdata", name, "model.safetensors"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

const (
	down = "model.layers.0.mlp.down_proj"
	q    = "model.layers.0.self_attn.q_proj"
)

// with is a configuration of 4 bits; keys are more of it.
func with(size, keys string) []byte {
	return []byte(`{"quant_method":"auto-round","bits":4,"group_size":` + size + `,` + keys + `}`)
}

func open(t *testing.T, config []byte, src safetensors.Source, o ...Option) module.Format {
	t.Helper()
	f, err := Open(config, src, o...)
	require.NoError(t, err)
	return f
}

func TestPackingNames(t *testing.T) {
	v1, v2, awq := packing{version: 1}, packing{version: 2}, packing{awq: true}
	for name, want := range map[string]packing{
		"": v1, "auto": v1, "gptq": v1, "auto_gptq": v1, "gptq:exllamav2": v1, "gptq:cuda": v1, "auto_gptq:marlin": v1,
		"auto_round:gptq": v1, "auto_round:auto_gptq": v1, "auto_round:auto_gptq:marlin": v1, "auto_round:gptq:exllamav2": v1,
		"autoround:gptq:exllamav2": v1, "AutoRound:Auto_GPTQ": v1, "auto_round:torch_zp": v1, "auto_round:tritonv2_zp": v1,
		"auto_round": v2, "auto-round": v2, "auto_round:exllamav2": v2, "autoround:exllamav2": v2, "auto_round:tritonv2": v2,
		"auto_round:gptqmodel": v2, "gptqmodel": v2, "gptqmodel:marlin": v2,
		"awq": awq, "auto_awq": awq, "auto_awq:gemm": awq, "awq:gemm": awq, "auto_round:awq": awq, "auto_round:auto_awq": awq, "auto_round:auto_awq:gemm": awq,
	} {
		got, ok := parsePacking(name)
		require.True(t, ok, name)
		require.Equal(t, want, got, name)
	}
	for _, name := range []string{
		"auto_round:", ":", "itrex", "itrex_xpu", "auto_round:fp8", "auto_round:fp8_static", "auto_round:llm_compressor", "llm_compressor", "mlx", "auto_round:mlx",
		"auto_round:fake", "fake", "auto_round:llm_compressor_nvfp4_e5m3", "auto_round:mx_fp4", "gguf:q4_0", "exllamav2", "auto_round:awq:gptq", "auto_round:tritonv2:x", "auto_round:auto_round",
	} {
		_, ok := parsePacking(name)
		require.False(t, ok, name)
	}
}

// The version of zero points that a name stands for, on asymmetric data, where
// it is nothing but the name that tells.
func TestVersions(t *testing.T) {
	src := file(t, "auto-round-v2-asym")
	zero := func(packing string) int {
		f := open(t, with("32", `"sym":false,"packing_format":"`+packing+`","extra_config":{"`+q+`":{"bits":3}}`), src)
		require.Equal(t, "auto-round", f.Name())
		var l quant.Linear
		found, err := f.Load(t.Context(), &l, down, nil)
		require.NoError(t, err)
		require.Empty(t, found)
		return l.Weight.Zero(0, 0)
	}
	stored := zero("auto_round")
	require.Equal(t, stored, zero("auto_round:gptqmodel"))
	require.Equal(t, (stored+1)%16, zero("auto_round:auto_gptq"))
	require.Equal(t, (stored+1)%16, zero("auto_round:gptq"))
}

// Options for GPTQ arrive there: unmasked, a stored 15 is 16 and not 0.
func TestGPTQOptions(t *testing.T) {
	src := file(t, "auto-round-v2-asym")
	config := with("32", `"sym":false,"packing_format":"auto_round:auto_gptq","extra_config":{"`+q+`":{"bits":3}}`)
	for unmasked, o := range map[bool][]Option{false: nil, true: {GPTQ(gptq.UnmaskedZeros)}} {
		var l quant.Linear
		_, err := open(t, config, src, o...).Load(t.Context(), &l, down, nil)
		require.NoError(t, err)
		_, hi := l.Weight.ZeroRange()
		require.Equal(t, unmasked, hi == 16)
	}
}

func TestModules(t *testing.T) {
	f := open(t, with("128", `"sym":true,"packing_format":"auto_round:auto_gptq","extra_config":{
		"o_proj$":{"bits":8,"group_size":32}, ".*o_proj":{"bits":3}, "mlp\\..*":{}, ".*mlp.*":{"bits":2.0,"group_size":64},
		"mlp":{"bits":8}, "lm_head":{"bits":16,"group_size":null}, "x":null}`), file(t, "auto-round-gptq"))
	require.Empty(t, f.Refused())
	require.Empty(t, f.(module.Warner).Warnings())
	mods := f.Modules()
	require.Len(t, mods, 3)
	require.Equal(t, []string{down, "model.layers.0.self_attn.o_proj", q}, []string{mods[0].Name, mods[1].Name, mods[2].Name})
	require.Equal(t, [3]int{2, 8, 4}, [3]int{mods[0].Bits, mods[1].Bits, mods[2].Bits}, "by pattern, by the first one, by none")
	require.Equal(t, []string{"auto-round", "gptq v1"}, []string{mods[0].Format, mods[0].Detail})

	f = open(t, with("128", `"sym":false,"packing_format":"auto_round:auto_awq","extra_config":{"`+down+`":{"group_size":32,"sym":true}}`), file(t, "auto-round-awq"))
	require.Equal(t, []string{"auto-round", "awq gemm"}, []string{f.Modules()[0].Format, f.Modules()[0].Detail})
	require.True(t, f.Modules()[0].Symmetric)
	require.False(t, f.Modules()[1].Symmetric)
}

func TestWarnings(t *testing.T) {
	f := open(t, with("128", `"packing_format":"auto_round:auto_gptq","extra_config":{
		".*o_proj":{"bits":8,"group_size":32}, ".*mlp.*":{"bits":2,"group_size":64}, "`+q+`":{"bits":16}}`), file(t, "auto-round-gptq"))
	require.Equal(t, []string{
		"auto-round: the configuration does not say sym; taken as true, as auto-round does",
		`auto-round: ` + q + `: extra_config "` + q + `" says that it is not quantized, but it is; read with the general settings`,
	}, f.(module.Warner).Warnings())
}

// Shapes decide over the layout that is named.
func TestLayoutMislabelled(t *testing.T) {
	const extra = `,"extra_config":{"` + down + `":{"group_size":32,"sym":true}}`
	for name, sym := range map[string]string{"auto_round:auto_gptq": "false", "auto_round": "true"} {
		f := open(t, with("128", `"sym":`+sym+`,"packing_format":"`+name+`"`+extra), file(t, "auto-round-awq"))
		var l quant.Linear
		found, err := f.Load(t.Context(), &l, down, nil)
		require.NoError(t, err)
		require.Equal(t, []module.Finding{{Module: down, Tensor: down + ".qweight", Text: "labelled " + name + ", but the shapes are those of AWQ; read so"}}, found)
		require.True(t, l.Weight.Symmetric())
	}
	src := file(t, "auto-round-mislabelled")
	f := open(t, with("64", `"sym":true,"packing_format":"auto_round:auto_awq"`), src)
	var l quant.Linear
	found, err := f.Load(t.Context(), &l, q, nil)
	require.NoError(t, err)
	require.Len(t, found, 2, "the layout, and the version of the zero points")
	require.Contains(t, found[0].Text, "labelled auto_round:auto_awq, but the shapes are those of GPTQ")
	require.True(t, l.Weight.Symmetric())
	_, err = Open(with("64", `"sym":false,"packing_format":"auto_round:auto_awq"`), src)
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, down+".qzeros: layout is GPTQ's, want AWQ's, as auto_round:auto_awq has; whether zero points are stored minus one is not said")
}

// What is refused is so by layer where others can be read, and as a whole with
// every reason where none can.
func TestRefusals(t *testing.T) {
	src := file(t, "auto-round-gptq")
	f := open(t, with("128", `"sym":true,"extra_config":{".*o_proj":{"act_bits":8},".*mlp.*":{"data_type":"nv_fp"}}`), src)
	require.Len(t, f.Modules(), 1)
	require.Equal(t, []module.Refused{
		{Name: down, Why: `data_type is "nv_fp", want int: weights of integers`},
		{Name: "model.layers.0.self_attn.o_proj", Why: "act_bits is 8, want 16 or none: quantized activations are read from compressed-tensors, which auto-round exports as llm_compressor"},
	}, f.Refused())
	_, err := f.Load(t.Context(), new(quant.Linear), down, nil)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, down+": module is unknown")

	for keys, want := range map[string]string{
		`"extra_config":{".*proj":{"bits":5}}`:                `bits is 5, want 2, 3, 4 or 8, as GPTQ packs: 3 layers`,
		`"act_bits":4,"act_dynamic":true`:                     `quantization_config: auto-round: act_bits is 4, act_dynamic true, want 16 or none: quantized activations are read from compressed-tensors, which auto-round exports as llm_compressor: 3 layers, the first is ` + down + `, want integer weights packed as GPTQ's`,
		`"data_type":"fp8_to_int_sym","group_size":[1,2]`:     `key "group_size" twice`,
		`"data_type":"int_sym_dq"`:                            `data_type is "int_sym_dq", want int: weights of integers: 3 layers`,
		`"rotation_config":"quarot"`:                          `rotation_config is "quarot", want none: x would have to be rotated: 3 layers`,
		`"packing_format":"auto_round:fp8"`:                   `packing_format is "auto_round:fp8" (auto-round: 3 layers, the first is ` + down + `), want auto_round:auto_gptq, `,
		`"backend":"auto_round:hyper"`:                        `backend is "auto_round:hyper"`,
		`"packing_format":"` + strings.Repeat("x", 999) + `"`: `packing_format is "` + strings.Repeat("x", 60) + `" (`,
		`"packing_format":4`:                                  "packing_format is 4, want a string",
		`"sym":1`:                                             "sym is 1",
		`"act_bits":"8"`:                                      `act_bits is "8", want an integer`,
		`"data_type":7`:                                       "data_type is 7",
		`"extra_config":[]`:                                   "extra_config is [], want an object",
		`"extra_config":{"a":1}`:                              `extra_config: "a": text that begins with "1"`,
		`"extra_config":{"a":{"bits":"x"}}`:                   `extra_config: "a": bits is "x"`,
		`"extra_config":{"a":{"group_size":-2}}`:              `extra_config: "a": group_size is -2`,
		`"extra_config":{"(?!a)b":{"bits":8}}`:                "negative lookahead",
	} {
		_, err := Open(with("128", keys), src)
		require.Error(t, err, keys)
		require.ErrorContains(t, err, want)
	}
	_, err = Open([]byte(`{"quant_method":"awq","bits":4,"group_size":128}`), src)
	require.ErrorContains(t, err, `quant_method is "awq" (auto-round: 3 layers`)
	for _, method := range []string{"intel/auto-round", "auto_round", "AutoRound"} {
		_, err = Open([]byte(`{"quant_method":"`+method+`","bits":4,"group_size":128,"rotation_config":{},"extra_config":{".*o_proj":{"bits":8,"group_size":32},".*mlp.*":{"bits":2,"group_size":64}}}`), src)
		require.NoError(t, err, method)
	}
	_, err = Open([]byte(`{"bits":4}`), src, ConfigName("x.json"))
	require.ErrorContains(t, err, "x.json: group_size is absent")
}

func TestPatternsAreBounded(t *testing.T) {
	src := file(t, "auto-round-gptq")
	long := strings.Repeat("x", maxPatternBytes)
	_, err := Open(with("128", `"extra_config":{"`+long+`.*":{"bits":8}}`), src)
	require.ErrorContains(t, err, "want at most 32768 patterns of 2097152 bytes together")
	_, err = Open(with("128", `"extra_config":{"`+long+`":{"bits":8},".*o_proj":{"bits":8,"group_size":32},".*mlp.*":{"bits":2,"group_size":64}}`), src)
	require.NoError(t, err, "a name is no pattern")
}

// Tensors of layouts that are not read are refused, also beside others.
func TestForeignTensors(t *testing.T) {
	src := file(t, "ctensors-w8a8")
	_, err := Open(with("128", `"sym":true`), src)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "tensors of a layout that is not read: 2 layers, the first is "+down)
	_, err = Open(with("128", `"data_type":"fp"`), src)
	require.ErrorContains(t, err, `data_type is "fp", want int: weights of integers: 2 layers`)
	_, err = Open(with("128", `"packing_format":"auto_round:llm_compressor"`), src)
	require.ErrorContains(t, err, "(auto-round: 2 layers, the first is "+down+")")
}

func TestContext(t *testing.T) {
	f := open(t, with("64", `"sym":true`), file(t, "auto-round-mislabelled"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Load(ctx, new(quant.Linear), down, nil)
	require.ErrorIs(t, err, context.Canceled)
}
