package ctensors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// named makes 4-bit modules of groups of 32 with the given names.
func named(names ...string) []*made {
	rng := rand.New(rand.NewPCG(31, 32))
	var out []*made
	for _, name := range names {
		out = append(out, (&made{name: name, n: 8, k: 256, bits: 4, strategy: "group", group: 32}).fill(rng))
	}
	return out
}

func open(t testing.TB, config string, ms ...*made) (module.Format, error) {
	t.Helper()
	return Open([]byte(config), source(t, ms...))
}

func refusedNames(f module.Format) (out []string) {
	for _, r := range f.Refused() {
		out = append(out, r.Name)
	}
	return out
}

func moduleNames(f module.Format) (out []string) {
	for _, m := range f.Modules() {
		out = append(out, m.Name)
	}
	return out
}

// TestSeveralPatterns: a file whose writer took another of two patterns than the first
// is read as its tensors are, and says so.
func TestSeveralPatterns(t *testing.T) {
	config := func(groups string) string {
		return `{"quant_method":"compressed-tensors","format":"pack-quantized","config_groups":{` + groups + `}}`
	}
	eight, four := `{"targets":["re:.*mlp.*"],"weights":{"num_bits":8,"group_size":32}}`, `{"targets":["re:.*layers[.]0.*"],"weights":{"num_bits":4,"group_size":32}}`
	ms := named("model.layers.0.mlp.up")
	for _, groups := range []string{`"a":` + eight + `,"b":` + four, `"b":` + four + `,"a":` + eight} {
		f, err := open(t, config(groups), ms...)
		require.NoError(t, err)
		require.Equal(t, 4, f.Modules()[0].Bits)
		require.Len(t, f.(module.Warner).Warnings(), 1)
		require.Contains(t, f.(module.Warner).Warnings()[0], `1 module with targets of several schemes, of which programs take different ones; the first is model.layers.0.mlp.up of`)
		require.Contains(t, f.(module.Warner).Warnings()[0], `read as "b", which its tensors fit`)
	}
	_, err := open(t, config(`"a":`+eight+`,"b":{"targets":["re:.*up"],"weights":{"num_bits":2,"group_size":32}}`), ms...)
	require.ErrorIs(t, err, quant.ErrFormat)
	require.ErrorContains(t, err, "for 8-bit codes of [8 256]", "the first scheme's error")
}

// Which scheme a module has: exact name, then pattern, then class. The schemes
// differ in whether activations are quantized.
func TestTargets(t *testing.T) {
	const weights = `"weights":{"num_bits":4,"group_size":32}`
	const int8 = weights + `,"input_activations":` + dynamicToken
	for name, c := range map[string]struct {
		groups  string
		ignore  string
		int8    []string // modules with int8 activations
		exact   []string // modules without
		refused []string // modules with neither
	}{
		"class": {
			groups: `"a":{"targets":["Linear"],` + int8 + `}`,
			int8:   []string{"lm_head", "model.a.0.up", "model.a.1.down", "model.a.10.up"},
		},
		"exact before class": {
			groups: `"a":{"targets":["Linear"],` + int8 + `},"b":{"targets":["model.a.1.down"],` + weights + `}`,
			int8:   []string{"lm_head", "model.a.0.up", "model.a.10.up"}, exact: []string{"model.a.1.down"},
		},
		"pattern before class, exact before pattern": {
			groups: `"a":{"targets":["Linear","model.a.10.up"],` + int8 + `},"b":{"targets":["re:.*up$"],` + weights + `}`,
			int8:   []string{"lm_head", "model.a.1.down", "model.a.10.up"}, exact: []string{"model.a.0.up"},
		},
		"patterns begin at the start and need no end": {
			groups: `"a":{"targets":["re:a\\.0"],` + int8 + `},"b":{"targets":["re:model\\.a\\.1"],` + weights + `}`,
			exact:  []string{"model.a.1.down", "model.a.10.up"}, refused: []string{"lm_head", "model.a.0.up"},
		},
		"alternatives begin at the start as well": {
			groups: `"a":{"targets":["re:nothing|a\\.0|lm_head"],` + weights + `}`,
			exact:  []string{"lm_head"}, refused: []string{"model.a.0.up", "model.a.1.down", "model.a.10.up"},
		},
		"the first pattern counts": {
			groups: `"a":{"targets":["re:model.*"],` + int8 + `},"b":{"targets":["re:.*"],` + weights + `}`,
			int8:   []string{"model.a.0.up", "model.a.1.down", "model.a.10.up"}, exact: []string{"lm_head"},
		},
		"another class": {
			groups:  `"a":{"targets":["Embedding","linear","model.a.1.down"],` + weights + `}`,
			exact:   []string{"model.a.1.down"},
			refused: []string{"lm_head", "model.a.0.up", "model.a.10.up"},
		},
		"ignored by name and pattern": {
			groups: `"a":{"targets":["Linear"],` + weights + `}`, ignore: `"lm_head","re:.*\\.a\\.1.*"`,
			exact: []string{"model.a.0.up"}, refused: []string{"lm_head", "model.a.1.down", "model.a.10.up"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := fmt.Sprintf(`{"format":"pack-quantized","config_groups":{%s},"ignore":[%s]}`, c.groups, c.ignore)
			f, err := open(t, config, named("lm_head", "model.a.1.down", "model.a.10.up", "model.a.0.up")...)
			require.NoError(t, err)
			var int8, exact []string
			for _, m := range f.Modules() {
				if m.Recipe.Kind == quant.Int8Token {
					int8 = append(int8, m.Name)
				} else {
					exact = append(exact, m.Name)
				}
			}
			require.Equal(t, c.int8, int8)
			require.Equal(t, c.exact, exact)
			require.Equal(t, c.refused, refusedNames(f))
		})
	}
}

func TestPatternsThatCannotBeRead(t *testing.T) {
	for _, pattern := range []string{`.*(?!lm_head).*`, `(a)\\1`, `(`, `((a{100}){10}){2}`, `(x{1000})(y{1000})`} {
		for _, config := range []string{
			`{"config_groups":{"g":{"targets":["re:` + pattern + `"]}}}`,
			`{"config_groups":{},"ignore":["re:` + pattern + `"]}`,
		} {
			_, err := open(t, config, named("a")...)
			require.ErrorIs(t, err, quant.ErrUnsupported, pattern)
			require.Contains(t, err.Error(), pattern)
		}
	}
	long := `"re:` + strings.Repeat("x", maxPatternBytes/2) + `"`
	_, err := open(t, `{"ignore":[`+long+`,`+strings.Replace(long, "x", "y", 1)+`]}`, named("a")...)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.Contains(t, err.Error(), "no target matches", "two patterns that are just small enough")
	_, err = open(t, `{"ignore":[`+long+`,`+strings.Replace(long, "x", "yy", 1)+`]}`, named("a")...)
	require.ErrorIs(t, err, quant.ErrFormat)
	require.Contains(t, err.Error(), "262144 bytes together")
	many := make([]string, maxPatterns+1)
	for i := range many {
		many[i] = fmt.Sprintf(`"re:p%d"`, i)
	}
	_, err = open(t, `{"ignore":[`+strings.Join(many, ",")+`]}`, named("a")...)
	require.ErrorIs(t, err, quant.ErrFormat)
	require.Contains(t, err.Error(), "2048 patterns")
}

// Each scheme that is known and not read: the error names format, scheme and
// the number of layers.
func TestRefusedSchemes(t *testing.T) {
	weights := `{"num_bits":4,"type":"int","strategy":"group","group_size":32}`
	acts := func(fields string) string { return configOf("int-quantized", weights, `{`+fields+`}`) }
	for name, c := range map[string]struct{ config, want string }{
		"float-quantized":      {configOf("float-quantized", `{"num_bits":8,"type":"float","strategy":"tensor"}`, "null"), `format "float-quantized", scheme "group_0"`},
		"nvfp4":                {configOf("nvfp4-pack-quantized", weights, "null"), "nvfp4-pack-quantized"},
		"mxfp4":                {configOf("mxfp4-pack-quantized", weights, "null"), "mxfp4-pack-quantized"},
		"mxfp8":                {configOf("mxfp8-quantized", weights, "null"), "mxfp8-quantized"},
		"marlin-24":            {configOf("marlin-24", weights, "null"), "marlin-24"},
		"sparse-24-bitmask":    {configOf("sparse-24-bitmask", weights, "null"), "sparse-24-bitmask"},
		"float weights":        {configOf("pack-quantized", `{"num_bits":4,"type":"Float","group_size":32}`, "null"), "4-bit float weights"},
		"one bit":              {configOf("pack-quantized", `{"num_bits":1}`, "null"), "1-bit weights"},
		"nine bits":            {configOf("pack-quantized", `{"num_bits":9}`, "null"), "9-bit weights"},
		"dynamic weights":      {configOf("pack-quantized", `{"dynamic":true}`, "null"), "dynamic weights"},
		"block weights":        {configOf("int-quantized", `{"strategy":"block","block_structure":[128,128]}`, "null"), `strategy "block"`},
		"tensor groups":        {configOf("int-quantized", `{"strategy":"tensor_group","group_size":16}`, "null"), `strategy "tensor_group"`},
		"no weights":           {configOf("pack-quantized", `null`, "null"), "not quantized"},
		"static activations":   {acts(`"num_bits":8,"strategy":"tensor","dynamic":false`), "static activation scales"},
		"static by default":    {acts(`"num_bits":8`), "static activation scales"},
		"local activations":    {acts(`"dynamic":"local","strategy":"tensor_group","group_size":16`), `"local" dynamic`},
		"group activations":    {acts(`"dynamic":true,"group_size":128`), `activations with strategy "group"`},
		"tensor activations":   {acts(`"dynamic":true`), `activations with strategy "tensor"`},
		"asymmetric":           {acts(`"dynamic":true,"strategy":"token","symmetric":false`), "asymmetric dynamic activations"},
		"4-bit activations":    {acts(`"dynamic":true,"strategy":"token","num_bits":4`), "4-bit activations"},
		"float activations":    {acts(`"dynamic":true,"strategy":"token","type":"float"`), "8-bit float activations"},
		"output activations":   {`{"config_groups":{"group_0":{"targets":["Linear"],"weights":` + weights + `,"output_activations":` + dynamicToken + `}}}`, "output activations"},
		"sparsity":             {`{"sparsity_config":{"format":"sparse-bitmask"}}`, "sparse-bitmask"},
		"transforms":           {`{"transform_config":{"config_groups":{"u":{"type":"hadamard"}}}}`, "transform_config, 1 group)"},
		"preset FP8":           {`{"config_groups":{"FP8_DYNAMIC":["Linear"]}}`, `scheme "FP8_DYNAMIC": 8-bit float weights`},
		"preset NVFP4A16":      {`{"config_groups":{"nvfp4a16":["Linear"]}}`, "4-bit float weights"},
		"preset MXFP4":         {`{"config_groups":{"MXFP4":["Linear"]}}`, "4-bit float weights"},
		"preset MXFP8":         {`{"config_groups":{"MXFP8":["Linear"]}}`, "8-bit float weights"},
		"preset W4AFP8":        {`{"config_groups":{"W4AFP8":["Linear"]}}`, "8-bit float activations"},
		"preset UNQUANTIZED":   {`{"config_groups":{"UNQUANTIZED":["Linear"]}}`, "not quantized"},
		"nothing matches":      {`{"config_groups":{}}`, "no target matches"},
		"no groups":            {`{}`, "no target matches"},
		"groups in wrong case": {`{"Config_groups":{"W4A16":["Linear"]}}`, "no target matches"},
		"all ignored":          {`{"config_groups":{"W4A16":["Linear"]},"ignore":["Linear"]}`, "ignore list"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, c.config, named("a", "b", "c")...)
			require.ErrorIs(t, err, quant.ErrUnsupported)
			require.Contains(t, err.Error(), c.want)
			require.Contains(t, err.Error(), ": 3 layers, the first is a")
		})
	}
}

func TestManyReasons(t *testing.T) {
	var groups []string
	var ms []*made
	for i := range 10 {
		name := fmt.Sprintf("m%d", i)
		groups = append(groups, fmt.Sprintf(`"g%d":{"targets":[%q],"weights":{"num_bits":%d}}`, i, name, 10+i))
		ms = append(ms, named(name)...)
	}
	_, err := open(t, `{"config_groups":{`+strings.Join(groups, ",")+`}}`, ms...)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.Contains(t, err.Error(), "17-bit weights are not read: 1 layer, m7; 2 more reasons")
}

// Modules that are not read beside some that are.
func TestRefusedModules(t *testing.T) {
	data := func(name string, typ safetensors.Type, shape ...int64) *made {
		n := int64(typ.Bits() / 8)
		for _, d := range shape {
			n *= d
		}
		return &made{tensors: map[string]safetensors.Data{"": {Name: name, Type: typ, Shape: shape, Bytes: make([]byte, n)}}}
	}
	ms := named("good", "global")
	ms = append(ms,
		data("global.weight_global_scale", safetensors.F32, 1),
		data("experts.weight_packed", safetensors.I32, 2, 8, 32), data("experts.weight_scale", safetensors.F16, 2, 8, 8),
		data("faked.weight", safetensors.BF16, 8, 256), data("faked.weight_scale", safetensors.BF16, 8, 8),
		data("lost.weight_scale", safetensors.F16, 8, 8),
		data("sparse.weight.bitmask", safetensors.U8, 8),
		data("norm.weight", safetensors.BF16, 256), data("plain.weight", safetensors.F16, 8, 256),
		data("int8.weight", safetensors.I8, 8, 256), data("weight_packed", safetensors.I32, 1), data(".weight_scale", safetensors.I32, 1),
	)
	f, err := open(t, `{"format":"pack-quantized","config_groups":{"g":{"targets":["Linear"],"weights":{"num_bits":4,"group_size":32}}}}`, ms...)
	require.NoError(t, err)
	require.Equal(t, []string{"good"}, moduleNames(f))
	why := map[string]string{}
	for _, r := range f.Refused() {
		why[r.Name] = r.Why
		_, err := f.Load(context.Background(), &quant.Linear{}, r.Name, nil)
		require.ErrorIs(t, err, quant.ErrUnsupported)
	}
	require.Equal(t, map[string]string{
		"experts": `format "pack-quantized", scheme "g": a weight of 3 dimensions is not read`,
		"faked":   `format "pack-quantized", scheme "g": a weight of type BF16 with a weight_scale is not read`,
		"int8":    `format "pack-quantized", scheme "g": there is no int8.weight_scale for a weight of type I8`,
		"global":  `format "pack-quantized", scheme "g": a weight_global_scale is not read`,
		"lost":    `format "pack-quantized", scheme "g": packed tensors without a weight_packed or a weight are not read`,
		"sparse":  `format "pack-quantized", scheme "g": packed tensors without a weight_packed or a weight are not read`,
	}, why)
}

// A checkpoint without quantized tensors is one without modules, whatever its
// configuration says: a module without packed tensors is plain.
func TestNothingQuantized(t *testing.T) {
	f, err := open(t, `{"format":"float-quantized","config_groups":{"FP8":["Linear"]}}`)
	require.NoError(t, err)
	require.Empty(t, f.Modules())
	require.Empty(t, f.Refused())
}

func TestMixedPrecision(t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 34))
	a := (&made{name: "a", n: 8, k: 64, bits: 4, strategy: "group", group: 32, asymmetric: true}).fill(rng)
	b := (&made{name: "b", n: 8, k: 64, bits: 8, strategy: "channel", plain: true}).fill(rng)
	c := named("c")[0]
	group := func(m *made, target, format, inputs string) string {
		return fmt.Sprintf(`"%s":{"targets":[%q],"format":%s,"weights":%s,"input_activations":%s}`, m.name, target, format, m.weightsConfig(), inputs)
	}
	f, err := open(t, `{"format":"mixed-precision","config_groups":{`+group(a, "re:a", `"pack-quantized"`, "null")+`,`+
		group(b, "Linear", `null`, dynamicToken)+`,`+group(c, "c", `"float-quantized"`, "null")+`}}`, a, b, c)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, moduleNames(f))
	require.Equal(t, []string{"c"}, refusedNames(f))
	require.Contains(t, f.Refused()[0].Why, "float-quantized")
	for _, m := range []*made{a, b} {
		var l quant.Linear
		_, err := f.Load(context.Background(), &l, m.name, nil)
		require.NoError(t, err)
		m.check(t, &l)
	}
}

func TestPresets(t *testing.T) {
	rng := rand.New(rand.NewPCG(35, 36))
	group := func(bits int) made { return made{bits: bits, strategy: "group", group: 128} }
	asymmetric := group(4)
	asymmetric.asymmetric = true
	for name, c := range map[string]struct {
		m      made
		recipe quant.RecipeKind
	}{
		"W4A16": {group(4), quant.Exact}, "w4a16": {group(4), quant.Exact}, "W4A16_ASYM": {asymmetric, quant.Exact},
		"W3A16": {group(3), quant.Exact}, "W2A16": {group(2), quant.Exact}, "W7A16": {group(7), quant.Exact},
		"W8A16": {group(8), quant.Exact}, "W8a16": {made{bits: 8, strategy: "channel"}, quant.Exact},
		"W8A8": {made{bits: 8, strategy: "channel", plain: true}, quant.Int8Token},
		"INT8": {made{bits: 8, strategy: "channel", plain: true}, quant.Int8Token},
		"W4A8": {made{bits: 4, strategy: "group", group: 128, plain: true}, quant.Int8Token},
	} {
		t.Run(name, func(t *testing.T) {
			m := c.m
			m.n, m.k = 6, 320
			m.fill(rng)
			f, err := open(t, `{"config_groups":{"`+name+`":["Linear"]}}`, &m)
			require.NoError(t, err)
			var l quant.Linear
			_, err = f.Load(context.Background(), &l, m.name, nil)
			require.NoError(t, err)
			m.check(t, &l)
			require.Equal(t, c.recipe, l.Recipe.Kind)
		})
	}
}

// What writers of different versions add, and what means the same.
func TestLenientConfig(t *testing.T) {
	for _, config := range []string{
		`{"config_groups":{"g":{"targets":["Linear"],"weights":{"group_size":32,"num_bits":4.0,"scale_dtype":null,"zp_dtype":"torch.int8","new":{}}}}}`,
		`{"format":"pack-quantized","sparsity_config":{},"transform_config":{},"config_groups":{"g":{"targets":["Linear"],"weights":{"group_size":32,"num_bits":4,"strategy":"GROUP","type":"INT","actorder":false,"dynamic":null}}}}`,
		`{"quant_method":"compressed-tensors","format":"dense","sparsity_config":{"format":"dense"},"transform_config":{"config_groups":{}},"config_groups":{"g":{"targets":["Linear"],"weights":{"group_size":32,"num_bits":4,"actorder":"static"}}},"ignore":null}`,
		`{"kv_cache_scheme":{"num_bits":8,"type":"float"},"global_compression_ratio":NaN,"config_groups":{"g":{"targets":["Linear"],"weights":{"group_size":32,"num_bits":4,"actorder":"weight","block_structure":"2x4"}}}}`,
	} {
		f, err := open(t, config, named("a")...)
		require.NoError(t, err, config)
		require.Len(t, f.Modules(), 1)
	}
}

func TestBadConfig(t *testing.T) {
	scheme := func(weights string) string {
		return `{"config_groups":{"g":{"targets":["Linear"],"weights":` + weights + `}}}`
	}
	for _, c := range []struct{ config, want string }{
		{``, "JSON object"},
		{`[]`, "JSON object"},
		{`{"format":1}`, "format"},
		{`{"quant_method":[]}`, "quant_method"},
		{`{"format":"pack-quantized","format":"x"}`, "twice"},
		{`{"config_groups":[]}`, "config_groups"},
		{`{"config_groups":{"g":null}}`, "g: null"},
		{`{"config_groups":{"g":7}}`, "g is 7"},
		{`{"config_groups":{"W4A16":[1]}}`, "W4A16"},
		{`{"config_groups":{"g":{"targets":"Linear"}}}`, "targets"},
		{`{"config_groups":{"g":{"format":0}}}`, "format"},
		{`{"config_groups":{"g":{"input_activations":0}}}`, "input_activations"},
		{`{"config_groups":{"g":{"output_activations":[]}}}`, "output_activations"},
		{`{"config_groups":{"W4A16":["Linear"],"W8A16":["Linear"]}}`, `"Linear" in W4A16 as well`},
		{`{"ignore":"lm_head"}`, "ignore"},
		{`{"sparsity_config":[]}`, "sparsity_config"},
		{`{"sparsity_config":{"format":[]}}`, "format"},
		{`{"transform_config":1}`, "transform_config"},
		{`{"transform_config":{"config_groups":1}}`, "config_groups"},
		{scheme(`[]`), "weights"},
		{scheme(`{"num_bits":"4"}`), "num_bits"},
		{scheme(`{"num_bits":4.5}`), "num_bits"},
		{scheme(`{"type":1}`), "type"},
		{scheme(`{"symmetric":"yes"}`), "symmetric"},
		{scheme(`{"group_size":"all"}`), "group_size"},
		{scheme(`{"group_size":0}`), "group_size is 0"},
		{scheme(`{"group_size":-2}`), "group_size is -2"},
		{scheme(`{"strategy":"group"}`), "group_size is absent"},
		{scheme(`{"strategy":"group","group_size":-1}`), "group_size"},
		{scheme(`{"strategy":[]}`), "strategy"},
		{scheme(`{"dynamic":1}`), "dynamic"},
		{scheme(`{"actorder":{}}`), "actorder"},
	} {
		_, err := open(t, c.config, named("a")...)
		require.ErrorIs(t, err, quant.ErrFormat, c.config)
		require.Contains(t, err.Error(), c.want)
	}
	_, err := open(t, `{"quant_method":"gptq"}`, named("a")...)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	_, err = open(t, `{"config_groups":{"W9A9":["Linear"]}}`, named("a")...)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.Contains(t, err.Error(), "W9A9")
}
