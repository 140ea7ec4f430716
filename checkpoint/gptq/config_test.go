package gptq

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// model is three layers of 4 bits, group 32.
func model() tensors {
	src := tensors{}
	for i, name := range []string{"layers.10.mlp.up_proj", "layers.2.mlp.up_proj", "lm_head"} {
		l := random(uint64(i), 64, 96, 4, 32, true)
		l.bias = make([]float32, l.n)
		l.write(src, name, -1)
	}
	src.floats("norm.weight", dtype.F32, make([]float32, 96), 96)
	return src
}

func TestModules(t *testing.T) {
	f := open(t, settingsJSON(4, 32, `,"sym":true,"desc_act":true,"lm_head":true,"damp_percent":0.01,"Bits":8,
		"meta":{"quantizer":["gptqmodel:2.0"],"static_groups":true},"something":{"new":[1]}`), model())
	require.Equal(t, "gptq", f.Name())
	require.Empty(t, f.Refused())
	require.Empty(t, f.(module.Warner).Warnings())
	want := module.Module{
		Name: "layers.2.mlp.up_proj", Format: "gptq", Detail: "v1", N: 64, K: 96, Bits: 4, GroupSize: 32,
		Symmetric: true, Bias: true, Scales: dtype.F16, Bytes: 64*96/2 + 3*64/2 + 2*3*64 + 2*64, Quantized: true,
	}
	require.Equal(t, want, f.Modules()[0])
	var names []string
	for _, m := range f.Modules() {
		names = append(names, m.Name)
	}
	require.Equal(t, []string{"layers.2.mlp.up_proj", "layers.10.mlp.up_proj", "lm_head"}, names)
}

func TestActOrderModule(t *testing.T) {
	l := random(1, 32, 64, 4, 32, true)
	l.index = make([]int, l.k)
	src := tensors{}
	l.write(src, "m", -1)
	require.True(t, open(t, settingsJSON(4, 32, `,"desc_act":true`), src).Modules()[0].ActOrder)
	require.True(t, open(t, settingsJSON(4, 32, ``), src).Modules()[0].ActOrder, "a g_idx is stored and nothing denies it")
	require.False(t, open(t, settingsJSON(4, 32, `,"desc_act":false`), src).Modules()[0].ActOrder)
}

func TestWarnings(t *testing.T) {
	warnings := func(extra string, src safetensors.Source) string {
		return strings.Join(open(t, settingsJSON(4, 32, extra), src).(module.Warner).Warnings(), "\n")
	}
	require.Contains(t, warnings(``, model()), "does not say sym")
	require.True(t, open(t, settingsJSON(4, 32, ``), model()).Modules()[0].Symmetric)
	require.Contains(t, warnings(`,"sym":true,"lm_head":false`, model()), "lm_head: the configuration says that it is not quantized, but it is")
	require.Contains(t, warnings(`,"sym":true,"dynamic":{"-:lm_head":{}}`, model()), `lm_head: dynamic entry "-:lm_head" says that it is not quantized`)
	both := model()
	both.floats("lm_head.weight", dtype.F16, make([]float32, 64*96), 64, 96)
	require.Contains(t, warnings(`,"sym":true`, both), "lm_head: stored both as qweight and as weight")
}

func TestDynamicOverrides(t *testing.T) {
	src := tensors{}
	layers := map[string]*truth{
		"model.layers.0.mlp.up_proj":   random(1, 64, 96, 8, 32, true),
		"model.layers.0.mlp.down_proj": random(2, 64, 96, 4, 96, false),
		"model.layers.1.mlp.up_proj":   random(3, 64, 96, 4, 32, true),
		"model.layers.1.attn.q_proj":   random(4, 64, 96, 3, -1, true),
		"lm_head":                      random(5, 64, 96, 2, 32, true),
	}
	versions := map[string]int{"model.layers.1.attn.q_proj": 2}
	for name, l := range layers {
		l.write(src, name, max(versions[name], 1)-2)
	}
	f := open(t, settingsJSON(4, 32, `,"sym":true,"dynamic":{
		"model\\.layers\\.0\\.mlp\\.up":{"bits":8},
		".*down_proj":{"group_size":96,"sym":false},
		"+:.*\\.q_proj$":{"bits":3,"group_size":-1,"checkpoint_format":"gptq_v2"},
		"-:.*\\.v_proj":{},
		"model\\.layers\\.1\\.mlp":null,
		".*layers":{"bits":2},
		"head":{"bits":8},
		"lm_":{"bits":2,"group_size":32.0,"desc_act":false,"mse":0.1}}`), src)
	for name, l := range layers {
		got, found := loadOne(t, f, name)
		l.check(t, got)
		require.Empty(t, found, name)
	}
	for _, m := range f.Modules() {
		require.Equal(t, layers[m.Name].bits, m.Bits)
		require.Equal(t, fmt.Sprintf("v%d", max(versions[m.Name], 1)), m.Detail)
	}
}

func TestConfigRefusals(t *testing.T) {
	for _, c := range []struct {
		config string
		class  error
		want   string
	}{
		{`{"quant_method":"awq","bits":4,"group_size":32}`, quant.ErrUnsupported, "quantization_config: quant_method is awq (gptq: 3 layers, the first is layers.2.mlp.up_proj), want gptq"},
		{`{"bits":5,"group_size":32}`, quant.ErrUnsupported, "quantization_config: bits is 5 (gptq: 3 layers, the first is layers.2.mlp.up_proj), want 2, 3, 4 or 8"},
		{`{"bits":4,"group_size":32,"checkpoint_format":"marlin"}`, quant.ErrUnsupported, "checkpoint_format is marlin (gptq: 3 layers"},
		{`{"bits":4,"group_size":32,"is_marlin_format":true}`, quant.ErrUnsupported, "checkpoint_format is marlin (gptq: 3 layers"},
		{`{"bits":4,"group_size":32,"is_bitblas_format":true}`, quant.ErrUnsupported, "bitblas (gptq: 3 layers"},
		{`{"bits":4,"group_size":32,"checkpoint_format":"bitblas"}`, quant.ErrUnsupported, "bitblas (gptq: 3 layers"},
		{`{"bits":9,"group_size":32,"format":"gptq_p"}`, quant.ErrUnsupported, "bits is 9 (gptq: 3 layers"},
		{`{"bits":4,"group_size":32,"format":"exl3"}`, quant.ErrUnsupported, "exl3 (gptq: 3 layers"},
		{`{"bits":4,"group_size":32,"pack_dtype":"int16"}`, quant.ErrUnsupported, "pack_dtype is int16 (gptq: 3 layers, the first is layers.2.mlp.up_proj), want int32"},
		{`{"bits":4,"group_size":32,"pack_dtype":"torch.int8"}`, quant.ErrUnsupported, "pack_dtype is int8"},
		{`{"bits":4,"group_size":32,"dynamic":{"lm_head":{"bits":6}}}`, quant.ErrUnsupported, "dynamic: \"lm_head\": bits is 6 (gptq: 1 layer, lm_head)"},
		{`{"bits":4,"group_size":32,"dynamic":{"lm_head":{"format":"exl3"}}}`, quant.ErrUnsupported, "exl3"},
		{`{"bits":4,"group_size":32,"dynamic":{"-:.*(?!mlp).*":{}}}`, quant.ErrUnsupported, `dynamic: pattern is ".*(?!mlp).*", want a pattern without negative lookahead`},
		{`{"bits":4,"group_size":32,"dynamic":{"+:a|(?!lm_head)":{"bits":8}}}`, quant.ErrUnsupported, `"a|(?!lm_head)"`},
		{`{"bits":4,"group_size":32,"dynamic":{"lm_head":{"bits":"x"}}}`, quant.ErrFormat, `dynamic: "lm_head": bits is "x", want an integer`},
		{`{"bits":4,"group_size":32,"dynamic":{"lm_head":[]}}`, quant.ErrFormat, `dynamic: "lm_head"`},
		{`{"bits":4,"group_size":32,"dynamic":[]}`, quant.ErrFormat, "dynamic is [], want an object"},
		{`{"bits":4,"group_size":32,"dynamic":{"a":{},"a":{}}}`, quant.ErrFormat, `key "a" twice`},
		{`{"bits":4,"group_size":32,"checkpoint_format":"gptq","format":"gptq_v2"}`, quant.ErrFormat, `format is "gptq_v2", want "gptq" as checkpoint_format says`},
		{`{"bits":4,"group_size":32,"quant_method":"gptq","method":"awq"}`, quant.ErrFormat, `method is "awq"`},
		{`{"Bits":4,"group_size":32}`, quant.ErrFormat, "bits is absent"},
		{`{"bits":4,"GROUP_SIZE":32}`, quant.ErrFormat, "group_size is absent"},
		{`{"bits":4,"group_size":0}`, quant.ErrFormat, "group_size is 0, want -1 or at least 1"},
		{`{"bits":4,"group_size":-128}`, quant.ErrFormat, "group_size is -128"},
		{`{"bits":"4","group_size":32}`, quant.ErrFormat, `bits is "4", want an integer`},
		{`{"bits":4,"group_size":1.5}`, quant.ErrFormat, "group_size is 1.5"},
		{`{"bits":4,"group_size":32,"sym":"yes"}`, quant.ErrFormat, "sym"},
		{`{"bits":4,"group_size":32,"desc_act":1}`, quant.ErrFormat, "desc_act"},
		{`{"bits":4,"group_size":32,"lm_head":1}`, quant.ErrFormat, "lm_head"},
		{`{"bits":4,"group_size":32,"is_marlin_format":1}`, quant.ErrFormat, "is_marlin_format"},
		{`{"bits":4,"group_size":32,"checkpoint_format":1}`, quant.ErrFormat, "checkpoint_format"},
		{`{"bits":4,"group_size":32,"format":1}`, quant.ErrFormat, "format"},
		{`{"bits":4,"group_size":32,"pack_dtype":1}`, quant.ErrFormat, "pack_dtype"},
		{`[]`, quant.ErrFormat, "quantization_config"},
	} {
		t.Run(c.config, func(t *testing.T) {
			_, err := Open([]byte(c.config), model())
			require.ErrorIs(t, err, c.class)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// Other formats pack as GPTQ does and say the settings of each module.
func TestOpenModules(t *testing.T) {
	src := tensors{}
	layers := map[string]*truth{"a": random(1, 64, 96, 8, 32, true), "b": random(2, 64, 96, 3, -1, false)}
	layers["a"].write(src, "a", -1)
	layers["b"].write(src, "b", 0)
	of := map[string]Settings{"a": {Bits: 8, GroupSize: 32, Symmetric: true, Version: 1}, "b": {Bits: 3, GroupSize: -1, Version: 2}}
	get := func(name string) (Settings, error) { return of[name], nil }
	f, err := OpenModules(src, []string{"a", "b"}, get)
	require.NoError(t, err)
	for name, l := range layers {
		got, found := loadOne(t, f, name)
		l.check(t, got)
		require.Empty(t, found)
	}
	for want, s := range map[string]Settings{
		"a: bits is 5, want 2, 3, 4 or 8":                 {Bits: 5, GroupSize: 32, Version: 1},
		"a: group_size is 0, want -1 or at least 1":       {Bits: 8, Version: 1},
		"a: version of zero points is 3, want 1 or 2":     {Bits: 8, GroupSize: 32, Version: 3},
		"a.qzeros: shape is [3 16], want [2 16]":          {Bits: 8, GroupSize: 64, Version: 1},
		"a.qzeros: shape is [3 16], want [6 8] (K=192, N": {Bits: 4, GroupSize: 32, Version: 1},
	} {
		of["a"] = s
		_, err := OpenModules(src, []string{"a"}, get)
		require.ErrorContains(t, err, want)
	}
	_, err = OpenModules(src, []string{"a"}, func(string) (Settings, error) { return Settings{}, quant.ErrRange })
	require.ErrorIs(t, err, quant.ErrRange)
}

// Variants that are refused have tensors of other names; they are counted too.
func TestRefusalCountsForeignLayers(t *testing.T) {
	src := tensors{}
	for i := range 3 {
		src.ints(fmt.Sprintf("m.%d.B", i), []uint32{0}, 1, 1)
		src.floats(fmt.Sprintf("m.%d.s", i), dtype.F16, []float32{0}, 1, 1)
	}
	src.floats("lora.B", dtype.F16, []float32{0}, 1, 1)
	_, err := Open([]byte(`{"bits":4,"group_size":32,"is_marlin_format":true}`), src)
	require.ErrorContains(t, err, "(gptq: 3 layers, the first is m.0)")
}

func TestHostilePatterns(t *testing.T) {
	src := model()
	many := func(n int, key string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `%s"%s%d":{}`, map[bool]string{true: ","}[i > 0], key, i)
		}
		return `,"dynamic":{` + b.String() + `}`
	}
	_, err := Open(settingsJSON(4, 32, many(maxDynamic+1, "")), src)
	require.ErrorContains(t, err, "at most 32768 entries")
	_, err = Open(settingsJSON(4, 32, many(40, strings.Repeat("x", maxDynamicBytes/39))), src)
	require.ErrorContains(t, err, "patterns of at most")
	_, err = Open(settingsJSON(4, 32, many(maxDynamic/16, "x.y.")), src)
	require.NoError(t, err)

	// As many entries and modules as the largest mixtures have: a module asks
	// those that begin as it does.
	mixture, entries := tensors{}, strings.Builder{}
	for i := range 20_000 {
		fmt.Fprintf(&entries, `%s"+:model\\.layers\\.3\\.experts\\.%d\\..*":{}`, map[bool]string{true: ","}[i > 0], i)
		mixture.put(fmt.Sprintf("model.layers.3.experts.%d.up.qweight", i), safetensors.I32, nil, 0, 0)
	}
	_, err = Open(settingsJSON(4, 32, `,"dynamic":{`+entries.String()+`}`), mixture)
	require.ErrorContains(t, err, "20000 layers are damaged", "and no pattern for too many modules")

	long := tensors{}
	random(1, 32, 32, 4, 32, true).write(long, strings.Repeat("a", 1<<23), -1)
	_, err = Open(settingsJSON(4, 32, many(101, "b.*[c]")), long)
	require.NoError(t, err, "a pattern that begins with other text costs nothing")
	_, err = Open(settingsJSON(4, 32, `,"dynamic":{".*`+strings.Repeat("a?", 1000)+`b":{}}`), long)
	require.ErrorContains(t, err, "too many modules")
}

func TestShapesAreChecked(t *testing.T) {
	const config = `{"bits":4,"group_size":32,"sym":true,"dynamic":{"three":{"bits":3}}}`
	for _, c := range []struct {
		name string
		do   func(src tensors)
		want string
	}{
		{"no qweight", func(s tensors) { delete(s, "m.qweight") }, "m.qweight: tensor is absent, want it beside the module's other tensors"},
		{"no qzeros", func(s tensors) { delete(s, "m.qzeros") }, "m.qzeros: tensor is absent"},
		{"no scales", func(s tensors) { delete(s, "m.scales") }, "m.scales: tensor is absent"},
		{"qweight type", func(s tensors) { s.floats("m.qweight", dtype.F32, make([]float32, 12*64), 12, 64) }, "m.qweight: type is F32, want I32"},
		{"qweight rank", func(s tensors) { s.ints("m.qweight", make([]uint32, 12*64), 12*64) }, "m.qweight: shape is [768]"},
		{"qweight empty", func(s tensors) { s.ints("m.qweight", nil, 0, 64) }, "m.qweight: shape is [0 64]"},
		{"qweight huge", func(s tensors) { s.put("m.qweight", "I32", nil, 1<<40, 0) }, "m.qweight: shape"},
		{"qweight huge K", func(s tensors) { s.put("m.qweight", "I32", nil, 1<<30, 64) }, "at most 2^30 features"},
		{"qweight columns", func(s tensors) { s.ints("m.qweight", make([]uint32, 12*60), 12, 60) }, "m.qweight: columns is 60, want whole words of 4-bit zero points (bits 4 and group_size 32 of quantization_config)"},
		{"qzeros type", func(s tensors) { s.floats("m.qzeros", dtype.F16, make([]float32, 24), 3, 8) }, "m.qzeros: type is F16"},
		{"qzeros rows", func(s tensors) { s.ints("m.qzeros", make([]uint32, 16), 2, 8) }, "m.qzeros: shape is [2 8], want [3 8] (K=96, N=64 from qweight; bits 4 and group_size 32 of quantization_config)"},
		{"qzeros columns", func(s tensors) { s.ints("m.qzeros", make([]uint32, 3*16), 3, 16) }, "m.qzeros: shape is [3 16], want [3 8]"},
		{"scales type", func(s tensors) { s.ints("m.scales", make([]uint32, 3*64), 3, 64) }, "m.scales: type is I32, want F32, F16 or BF16"},
		{"scales shape", func(s tensors) { s.floats("m.scales", dtype.F16, make([]float32, 3*64), 64, 3) }, "m.scales: shape is [64 3], want [3 64]"},
		{"g_idx type", func(s tensors) { s.floats("m.g_idx", dtype.F32, make([]float32, 96), 96) }, "m.g_idx: type is F32, want I32"},
		{"g_idx shape", func(s tensors) { s.ints("m.g_idx", make([]uint32, 97), 97) }, "m.g_idx: shape is [97], want [96]"},
		{"3 bits in rows of 4", func(s tensors) {
			s["three.qweight"] = s["m.qweight"]
			s.ints("three.qweight", make([]uint32, 10*64), 10, 64)
		}, "three.qweight: shape is [10 64], want a multiple of 3 rows and at most 2^30 features (bits 3 of quantization_config: dynamic: \"three\", group_size 32 of quantization_config)"},
		{"wrong bits", func(s tensors) {
			s["three.qweight"], s["three.qzeros"], s["three.scales"] = s["m.qweight"], s["m.qzeros"], s["m.scales"]
		}, `three.qzeros: shape is [3 8], want [4 6] (K=128, N=64 from qweight; bits 3 of quantization_config: dynamic: "three", group_size 32 of quantization_config)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := tensors{}
			random(1, 64, 96, 4, 32, true).write(src, "m", -1)
			c.do(src)
			_, err := Open([]byte(config), src)
			require.ErrorIs(t, err, quant.ErrFormat)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// Of qweight and g_idx, which both tell K, the one is named that the other tensors
// speak against.
func TestWhichTensorHasTheWrongK(t *testing.T) {
	for _, c := range []struct {
		name          string
		size          int
		rows, indices int64
		want          string
	}{
		{"rows that change the groups", 32, 8, 96, "m.qweight: shape is [8 64], want [12 64] for K=96 of g_idx, which scales and qzeros fit (bits 4 and group_size 32 of quantization_config)"},
		{"too many rows", 32, 16, 96, "m.qweight: shape is [16 64], want [12 64] for K=96"},
		{"rows within the last group", 32, 11, 96, "m.qweight: shape is [11 64], want [12 64] for K=96"},
		{"indices that change the groups", 32, 12, 64, "m.g_idx: shape is [64], want [96]"},
		{"indices within the last group", 32, 12, 88, "m.g_idx: shape is [88], want [96] (K=96, N=64 from qweight"},
		{"indices of no whole words", 32, 12, 97, "m.g_idx: shape is [97], want [96]"},
		{"one group", -1, 11, 96, ", or [12 64] in qweight"},
		{"both", 32, 4, 64, "m.qzeros: shape is [3 8], want [1 8]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := tensors{}
			random(1, 64, 96, 4, c.size, true).write(src, "m", -1)
			src.ints("m.qweight", make([]uint32, c.rows*64), c.rows, 64)
			src.ints("m.g_idx", make([]uint32, c.indices), c.indices)
			_, err := Open(settingsJSON(4, c.size, ""), src)
			require.ErrorIs(t, err, quant.ErrFormat)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, c.size < 0, strings.Contains(err.Error(), "in qweight"), "only where nothing tells which is right: %v", err)
		})
	}
}
