package quantize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/dtype"
)

// asServers returns the bits that a configuration gives a name, 0 for a plain layer, as
// vLLM reads it: the first pattern in the order of the file.
func asServers(t *testing.T, dir, name string) int {
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	require.NoError(t, err)
	o, err := module.ParseObject("config.json", text)
	require.NoError(t, err)
	q, err := o.Object("quantization_config")
	require.NoError(t, err)
	bits := func(o *module.Object, key string) int {
		n, err := o.Int(key, -1)
		require.NoError(t, err)
		return n
	}
	matches := func(expr string) bool { return regexp.MustCompile("^(?:" + expr + ")").MatchString(name) }
	if groups, err := q.Object("config_groups"); groups != nil {
		require.NoError(t, err)
		for _, g := range groups.Fields {
			scheme, err := groups.Object(g.Key)
			require.NoError(t, err)
			targets, err := scheme.Texts("targets")
			require.NoError(t, err)
			for _, target := range targets {
				if expr, is := strings.CutPrefix(target, "re:"); target == name || target == "Linear" || is && matches(expr) {
					weights, err := scheme.Object("weights")
					require.NoError(t, err)
					return bits(weights, "num_bits")
				}
			}
		}
		return -1
	}
	dynamic, err := q.Object("dynamic")
	require.NoError(t, err)
	for _, f := range dynamic.Fields {
		if expr, plain := strings.CutPrefix(f.Key, "-:"); plain && matches(expr) {
			return 0
		}
		if matches(strings.TrimPrefix(f.Key, "+:")) {
			var settings struct{ Bits int }
			require.NoError(t, json.NewDecoder(bytes.NewReader(f.Value)).Decode(&settings))
			return settings.Bits
		}
	}
	return bits(q, "bits")
}

// Servers ask the configuration for the one layer of several parts, whose name matches
// no pattern of the parts.
func TestNamesOfJoints(t *testing.T) {
	for _, format := range Formats() {
		build := func() *input {
			in := newInput(t)
			for _, l := range []string{"model.layers.0.", "model.layers.1."} {
				for _, n := range []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"} {
					in.floats(l+n+".weight", dtype.BF16, 32, 32)
				}
			}
			return in
		}
		in := build()
		o := Options{Format: format, Settings: Settings{Group: 32}, Keep: []string{"*.gate_proj", "*.up_proj"}, Overrides: []Override{
			{"*.1.self_attn.[qkv]_proj", Settings{Bits: 8}}, {"*.[qkv]_proj", Settings{Bits: 3}}, {"*.mlp.*", Settings{Bits: 2}},
		}}
		r, _ := quantized(t, in.write(), o)
		require.Empty(t, r.Warnings)
		for name, want := range map[string]int{"0.self_attn.qkv_proj": 3, "1.self_attn.qkv_proj": 8, "0.self_attn.q_proj": 3, "1.self_attn.v_proj": 8, "0.mlp.gate_up_proj": 0, "1.mlp.down_proj": 2} {
			if want == 0 && format == CompressedTensors {
				continue // there its parts are looked for among those to ignore
			}
			require.Equal(t, want, asServers(t, r.Out, "model.layers."+name), "%s %s", format, name)
		}

		// One pattern for all layers, but not where a layer of the files has the name.
		require.NoError(t, os.RemoveAll(r.Out))
		o = Options{Format: format, Settings: Settings{Group: 32}, Overrides: []Override{{"*.[qkv]_proj", Settings{Bits: 8}}}}
		r, _ = quantized(t, in.dir, o)
		text, err := os.ReadFile(filepath.Join(r.Out, "config.json"))
		require.NoError(t, err)
		require.Contains(t, string(text), `:(?:.*\\.)?qkv_proj$"`)
		in = build()
		in.floats("visual.qkv_proj.weight", dtype.BF16, 32, 32)
		r, _ = quantized(t, in.write(), o)
		for name, want := range map[string]int{"model.layers.0.self_attn.qkv_proj": 8, "visual.qkv_proj": 4, "model.layers.0.mlp.gate_up_proj": 4} {
			require.Equal(t, want, asServers(t, r.Out, name), fmt.Sprint(format, " ", name))
		}
	}
}

// Servers that know GPTQ ask for all experts of a layer at once, and take no two kinds of
// them.
func TestNamesOfExperts(t *testing.T) {
	in := newInput(t)
	for _, l := range []string{"model.layers.0.", "model.layers.1."} {
		in.floats(l+"self_attn.q_proj.weight", dtype.BF16, 32, 32)
		for e := range 40 {
			for _, n := range []string{"gate_proj", "up_proj", "down_proj"} {
				in.floats(fmt.Sprintf("%smlp.experts.%d.%s.weight", l, e, n), dtype.BF16, 8, 32)
			}
		}
	}
	in.write()
	o := Options{Settings: Settings{Group: 32}, Keep: []string{"*.0.mlp.experts.*"}, Overrides: []Override{{"*.experts.*", Settings{Bits: 8}}}}
	r, _ := quantized(t, in.dir, o)
	require.Empty(t, r.Warnings)
	for name, want := range map[string]int{"0.mlp.experts": 0, "1.mlp.experts": 8, "0.mlp.experts.39.up_proj": 0, "1.mlp.experts.39.up_proj": 8, "1.self_attn.q_proj": 4} {
		require.Equal(t, want, asServers(t, r.Out, "model.layers."+name), name)
	}
	text, err := os.ReadFile(filepath.Join(r.Out, "config.json"))
	require.NoError(t, err)
	require.Contains(t, string(text), `"-:.*\\.0\\.mlp\\.experts\\..*$": {}`)
	require.NotContains(t, string(text), "gate_proj", "one pattern for a hundred names")

	require.NoError(t, os.RemoveAll(r.Out))
	r, _ = quantized(t, in.dir, Options{Format: CompressedTensors, Settings: Settings{Group: 32}, Overrides: []Override{{"*.1.mlp.experts.*.down_proj", Settings{Bits: 8}}}})
	require.Equal(t, []string{"model.layers.1.mlp.experts.0.down_proj and 0.gate_proj differ: servers that load all experts as one refuse that"}, r.Warnings)
}
