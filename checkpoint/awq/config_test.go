package awq

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// model is three layers in groups of 32.
func model() tensors {
	src := tensors{}
	for i, name := range []string{"layers.10.mlp.up_proj", "layers.2.mlp.up_proj", "lm_head"} {
		l := random(uint64(i), 64, 128, 32, i == 0)
		l.bias = make([]float32, l.n)
		l.write(src, name, GEMM, 0)
	}
	src.floats("norm.weight", dtype.F32, make([]float32, 128), 128)
	return src
}

func TestModules(t *testing.T) {
	f := open(t, settingsJSON(32, "GEMM", `,"zero_point":true,"modules_to_not_convert":["visual","mlp.gate"],"something":{"new":[1]}`), model())
	require.Equal(t, "awq", f.Name())
	require.Empty(t, f.Refused())
	require.Empty(t, f.(module.Warner).Warnings())
	want := module.Module{
		Name: "layers.2.mlp.up_proj", Format: "awq", Detail: "gemm", N: 64, K: 128, Bits: 4, GroupSize: 32,
		Bias: true, Scales: dtype.F16, Bytes: 64*128/2 + 4*64/2 + 2*4*64 + 2*64, Quantized: true,
	}
	require.Equal(t, want, f.Modules()[0])
	var names []string
	for _, m := range f.Modules() {
		names = append(names, m.Name)
	}
	require.Equal(t, []string{"layers.2.mlp.up_proj", "layers.10.mlp.up_proj", "lm_head"}, names)
}

// Every spelling that a published configuration or a tool has.
func TestSpellings(t *testing.T) {
	for config, version := range map[string]Version{
		`{"zero_point":true,"q_group_size":32,"w_bit":4,"version":"GEMM"}`:                                                GEMM,
		`{"zero_point":true,"q_group_size":32.0,"w_bit":4,"version":"GEMV"}`:                                              GEMV,
		`{"w_bit":4,"q_group_size":32,"version":"GEMV_FAST","modules_to_not_convert":null}`:                               GEMVFast,
		`{"quant_method":"awq","bits":4,"group_size":32,"version":"Gemv","zero_point":true}`:                              GEMV,
		`{"method":"AWQ","bits":4,"w_bit":4,"group_size":32,"q_group_size":32,"version":"gemv-fast"}`:                     GEMVFast,
		`{"quant_method":"awq","bits":4,"group_size":32}`:                                                                 GEMM,
		`{"quant_method":"awq","bits":4,"group_size":32,"version":"exllama","exllama_config":{"version":2}}`:              GEMM,
		`{"quant_method":"awq","bits":4,"group_size":32,"version":"ipex"}`:                                                GEMM,
		`{"quant_method":"awq","bits":4,"group_size":32,"backend":"llm-awq","version":"gemm"}`:                            GEMVFast,
		`{"quant_method":"awq","bits":4,"group_size":32,"backend":"autoawq","version":"gemv"}`:                            GEMV,
		`{"quant_method":"awq","bits":4,"group_size":32,"checkpoint_format":"gemv","format":"GEMV","pack_dtype":"int32"}`: GEMV,
		`{"quant_method":"awq","bits":4,"group_size":32,"format":"llm-awq"}`:                                              GEMVFast,
	} {
		c, err := parseConfig("f", []byte(config))
		require.NoError(t, err, config)
		require.Equal(t, Settings{GroupSize: 32, ZeroPoints: true, Version: version}, c.Settings, config)
	}
}

func TestWarnings(t *testing.T) {
	src := model()
	src.floats("lm_head.weight", dtype.F16, make([]float32, 64*128), 64, 128)
	got := strings.Join(open(t, settingsJSON(32, "gemm", `,"modules_to_not_convert":["gate","head","lm"]`), src).(module.Warner).Warnings(), "\n")
	require.Equal(t, `awq: lm_head: stored both as qweight and as weight; qweight is read
awq: lm_head: modules_to_not_convert has "head", but it is quantized; read so`, got)
}

func TestConfigRefusals(t *testing.T) {
	const three = "(awq: 3 layers, the first is layers.2.mlp.up_proj)"
	for _, c := range []struct {
		config string
		class  error
		want   string
	}{
		{`{"quant_method":"gptq","bits":4,"group_size":32}`, quant.ErrUnsupported, "quantization_config: quant_method is gptq " + three + ", want awq"},
		{`{"bits":8,"group_size":32}`, quant.ErrUnsupported, "bits is 8 " + three + ", want 4"},
		{`{"w_bit":3,"group_size":32}`, quant.ErrUnsupported, "bits is 3 " + three},
		{`{"bits":4,"group_size":32,"version":"marlin"}`, quant.ErrUnsupported, "version is marlin " + three + ", want gemm, gemv, gemv_fast or llm-awq"},
		{`{"bits":4,"group_size":32,"format":"PAROQUANT"}`, quant.ErrUnsupported, "format is paroquant " + three},
		{`{"bits":4,"group_size":32,"version":"` + strings.Repeat("x", 999) + `"}`, quant.ErrUnsupported, strings.Repeat("x", 40) + " (awq"},
		{`{"bits":4,"group_size":32,"pack_dtype":"torch.int16"}`, quant.ErrUnsupported, "pack_dtype is int16 " + three},
		{`{"bits":4,"w_bit":3,"group_size":32}`, quant.ErrFormat, "w_bit is 3, want 4 as bits says"},
		{`{"bits":4,"q_group_size":64,"group_size":32}`, quant.ErrFormat, "q_group_size is 64, want 32 as group_size says"},
		{`{"bits":4,"group_size":32,"version":"gemm","format":"gemv"}`, quant.ErrFormat, `format is "gemv", want "gemm" as version says`},
		{`{"group_size":32}`, quant.ErrFormat, "bits is absent, want a number"},
		{`{"bits":4}`, quant.ErrFormat, "group_size is absent, want a number"},
		{`{"bits":4,"Group_Size":32}`, quant.ErrFormat, "group_size is absent"},
		{`{"bits":4,"group_size":0}`, quant.ErrFormat, "group_size is 0, want -1 or at least 1"},
		{`{"bits":4,"group_size":-2}`, quant.ErrFormat, "group_size is -2"},
		{`{"bits":"4","group_size":32}`, quant.ErrFormat, `bits is "4", want an integer`},
		{`{"bits":4,"group_size":1.5}`, quant.ErrFormat, "group_size is 1.5"},
		{`{"bits":4,"group_size":32,"zero_point":1}`, quant.ErrFormat, "zero_point is 1"},
		{`{"bits":4,"group_size":32,"sym":"no"}`, quant.ErrFormat, "sym is"},
		{`{"bits":4,"group_size":32,"version":4}`, quant.ErrFormat, "version is 4, want a string"},
		{`{"bits":4,"group_size":32,"backend":4}`, quant.ErrFormat, "backend is 4, want a string"},
		{`{"bits":4,"group_size":32,"quant_method":4}`, quant.ErrFormat, "quant_method is 4"},
		{`{"bits":4,"group_size":32,"pack_dtype":4}`, quant.ErrFormat, "pack_dtype is 4"},
		{`{"bits":4,"group_size":32,"modules_to_not_convert":"lm_head"}`, quant.ErrFormat, `modules_to_not_convert is "lm_head", want a list of strings`},
		{`[]`, quant.ErrFormat, "quantization_config"},
	} {
		t.Run(c.config, func(t *testing.T) {
			_, err := Open([]byte(c.config), model())
			require.ErrorIs(t, err, c.class)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := Open([]byte(`{"bits":8,"group_size":32}`), tensors{}, ConfigName("quant_config.json"))
	require.ErrorContains(t, err, "quant_config.json: bits is 8 (awq: 0 layers)")
}

// Other formats pack as AWQ does and say the settings of each module.
func TestOpenModules(t *testing.T) {
	src := model()
	s := Settings{GroupSize: 32, ZeroPoints: true}
	get := func(string) (Settings, error) { return s, nil }
	f, err := OpenModules(src, []string{"lm_head"}, get)
	require.NoError(t, err)
	require.Len(t, f.Modules(), 1)
	s.GroupSize = 0
	_, err = OpenModules(src, []string{"lm_head"}, get)
	require.ErrorContains(t, err, "lm_head: group_size is 0, want -1 or at least 1")
	_, err = OpenModules(src, []string{"lm_head"}, func(string) (Settings, error) { return s, quant.ErrRange })
	require.ErrorIs(t, err, quant.ErrRange)
}

// A long list for many modules, well inside the bounds on each, takes seconds.
func TestNamesAreBounded(t *testing.T) {
	config := settingsJSON(32, "gemm", `,"modules_to_not_convert":[`+strings.Repeat(`"b",`, 1<<20)+`"b"]`)
	src := tensors{}
	for i := range 9 {
		random(1, 8, 32, 32, true).write(src, fmt.Sprint(strings.Repeat("a", 1000), i), GEMM, 0)
	}
	_, err := Open(config, src)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "modules_to_not_convert is 1048577 names for 9 modules, want fewer names")
}

func TestShapesAreChecked(t *testing.T) {
	for _, c := range []struct {
		name    string
		version Version
		do      func(src tensors)
		want    string
	}{
		{"no qweight", GEMM, func(s tensors) { delete(s, "m.qweight") }, "m.qweight: tensor is absent, want it beside the module's other tensors"},
		{"no qzeros", GEMM, func(s tensors) { delete(s, "m.qzeros") }, "m.qzeros: tensor is absent"},
		{"no scales", GEMV, func(s tensors) { delete(s, "m.scales") }, "m.scales: tensor is absent"},
		{"qweight type", GEMM, func(s tensors) { s.floats("m.qweight", dtype.F32, make([]float32, 128*8), 128, 8) }, "m.qweight: type is F32, want I32, or I16 for gemv_fast"},
		{"qweight rank", GEMM, func(s tensors) { s.words("m.qweight", make([]uint32, 128*8), 128*8) }, "m.qweight: shape is [1024], want a matrix of 1 to 2^27"},
		{"qweight empty", GEMM, func(s tensors) { s.words("m.qweight", nil, 0, 64) }, "m.qweight: shape is [0 64]"},
		{"qweight huge", GEMV, func(s tensors) { s.put("m.qweight", "I32", nil, 1<<40, 0) }, "m.qweight: shape"},
		{"qweight huge N", GEMM, func(s tensors) { s.put("m.qweight", "I32", nil, 1, 1<<27+1) }, "m.qweight: shape is [1 134217729]"},
		{"fast columns", GEMVFast, func(s tensors) { s.put("m.qweight", "I16", make([]byte, 16*96*2), 16, 96) }, "m.qweight: columns is 96, want a multiple of 64, as gemv_fast has"},
		{"scales type", GEMM, func(s tensors) { s.words("m.scales", make([]uint32, 4*64), 4, 64) }, "m.scales: type is I32, want F32, F16 or BF16"},
		{"scales rows", GEMM, func(s tensors) { s.floats("m.scales", dtype.F16, make([]float32, 2*64), 2, 64) }, "m.scales: shape is [2 64], want [4 64] (K=128, N=64 from qweight as gemm; group_size 32 of quantization_config); the shapes are those of groups of 64"},
		{"scales width", GEMV, func(s tensors) { s.floats("m.scales", dtype.F16, make([]float32, 64*24), 64, 24) }, "m.scales: shape is [64 24], want [64 8] (K=128, N=64 from qweight as gemv; group_size 32 of quantization_config)"},
		{"scales fast", GEMVFast, func(s tensors) { s.floats("m.scales", dtype.F16, make([]float32, 4*64), 4, 64) }, "m.scales: shape is [4 64], want [8 64] (K=128, N=64 from qweight as gemv_fast; group_size 32 of quantization_config)"},
		{"qzeros type", GEMM, func(s tensors) { s.floats("m.qzeros", dtype.F16, make([]float32, 32), 4, 8) }, "m.qzeros: type is F16, want I32"},
		{"qzeros rows", GEMM, func(s tensors) { s.words("m.qzeros", make([]uint32, 40), 5, 8) }, "m.qzeros: shape is [5 8], want [4 8] (K=128"},
		{"qzeros columns", GEMM, func(s tensors) { s.words("m.qzeros", make([]uint32, 64), 4, 16) }, "m.qzeros: shape is [4 16], want [4 8]"},
		{"qzeros width", GEMV, func(s tensors) { s.words("m.qzeros", make([]uint32, 128), 64, 2) }, "m.qzeros: shape is [64 2], want [64 1]"},
		{"qzeros fast type", GEMVFast, func(s tensors) { s.words("m.qzeros", make([]uint32, 8*64), 8, 64) }, "m.qzeros: type is I32, want F32, F16 or BF16"},
		{"qzeros fast rows", GEMVFast, func(s tensors) { s.floats("m.qzeros", dtype.F16, make([]float32, 4*64), 4, 64) }, "m.qzeros: shape is [4 64], want [8 64]"},
		{"of GPTQ", GEMM, func(s tensors) {
			s.words("m.qweight", make([]uint32, 16*64), 16, 64)
		}, "m.scales: shape is [4 64], want [1 512] (K=16, N=512 from qweight as gemm; group_size 32 of quantization_config); the shapes are those of gptq"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := tensors{}
			random(1, 64, 128, 32, false).write(src, "m", c.version, 0)
			c.do(src)
			_, err := Open(settingsJSON(32, c.version.String(), ""), src)
			require.ErrorIs(t, err, quant.ErrFormat)
			require.ErrorContains(t, err, c.want)
		})
	}
}
