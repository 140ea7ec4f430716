package gptq

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Every width, group size, version and kind of zero points: what the packer of
// these tests writes is loaded and encoded again, to the same bytes.
func TestEncodeIsTheInverseOfLoad(t *testing.T) {
	var e Encoder
	for _, bits := range []int{2, 3, 4, 8} {
		for _, size := range []int{-1, 16, 32, 96} {
			for version := 1; version <= 2; version++ {
				for _, sym := range []bool{true, false} {
					name := fmt.Sprintf("%d bits, groups of %d, v%d, symmetric %v", bits, size, version, sym)
					l := random(uint64(bits*size+version), 64, 96, bits, size, sym)
					for _, row := range l.zeros {
						for n := range row {
							row[n] = max(row[n], 2-version)
						}
					}
					l.scales = []dtype.DType{dtype.F16, dtype.BF16, dtype.F32}[bits%3]
					if size == 16 {
						l.index = rand.New(rand.NewPCG(1, 2)).Perm(96)
						for k := range l.index {
							l.index[k] /= 16
						}
					}
					want := tensors{}
					l.write(want, "m", version-2)
					config := settingsJSON(bits, size, fmt.Sprintf(`,"sym":%v,"checkpoint_format":%q`, sym, []string{"gptq", "gptq_v2"}[version-1]))
					linear, _ := loadOne(t, open(t, config, want), "m")
					if l.index == nil { // stored also where it says no more than k/G
						l.index = make([]int, l.k)
						for k := range l.index {
							l.index[k] = linear.Weight.Groups().Of(k)
						}
						l.write(want, "m", version-2)
					}
					e.Version = version
					got, err := e.Encode("m", &linear.Weight)
					require.NoError(t, err, name)
					require.Len(t, got, 4)
					form := linear.Weight.Form()
					entries, err := e.Entries("m", &form)
					require.NoError(t, err)
					for i, d := range got {
						require.Equal(t, entries[i], d.Entry(), name)
						require.Equal(t, want[d.Name], d, name)
					}
				}
			}
		}
	}
}

func TestWhatGPTQCannotStore(t *testing.T) {
	form := func(n, k, bits int, zeros bool) quant.Form {
		return quant.Form{N: n, K: k, Bits: bits, Scales: dtype.F16, Zeros: zeros, Groups: quant.OneGroup(k)}
	}
	for want, f := range map[string]quant.Form{
		"m: bits is 5, want 2, 3, 4 or 8, as GPTQ has":                                      form(32, 32, 5, false),
		"m: K is 48, want a multiple of 32, so that 3-bit codes fill whole words":           form(32, 48, 3, false),
		"m: N is 12, want a multiple of 8, so that 4-bit codes fill whole words":            form(12, 32, 4, false),
		"m: weight is plain float16, want codes":                                            {N: 8, K: 8, Plain: dtype.F16},
		"m: zero point of row 0, group 0 is 0, want 1 to 15: readers of version 1 disagree": form(8, 8, 4, true),
	} {
		var w quant.Weight
		require.NoError(t, w.Reset(f))
		_, err := new(Encoder).Encode("m", &w)
		require.ErrorIs(t, err, quant.ErrUnsupported)
		require.ErrorContains(t, err, want)
	}
	var w quant.Weight
	require.NoError(t, w.Reset(form(8, 8, 4, true)))
	_, err := (&Encoder{Version: 2}).Encode("m", &w)
	require.NoError(t, err)
	w.ZeroRow(3)[0] = 16
	_, err = (&Encoder{Version: 2}).Encode("m", &w)
	require.ErrorContains(t, err, "zero point of row 3, group 0 is 16, want 0 to 15 (unsupported)")
	_, err = (&Encoder{Version: 3}).Encode("m", &w)
	require.ErrorContains(t, err, "version of zero points is 3")
	require.NoError(t, w.Reset(form(32, 32, 8, false)))
	_, err = new(Encoder).Entries("m", new(quant.Form))
	require.ErrorIs(t, err, quant.ErrShape)
}

// The reader finds in a configuration what was put there.
func TestWrittenConfigIsRead(t *testing.T) {
	c := Config{
		Scheme: Scheme{Bits: 4, Group: 128, Symmetric: true}, Version: 2, LMHead: true,
		Overrides: []Override{
			{Pattern: `model\.layers\.0\.mlp\.gate$`, Keep: true},
			{Pattern: `.*down_proj$`, Scheme: Scheme{Bits: 8, Group: -1, ActOrder: true}},
			{Pattern: `<&"\\.*`, Scheme: Scheme{Bits: 3, Group: 32}},
		},
	}
	text := module.WriteObject(c.Fields(), 1)
	require.Equal(t, `{
    "bits": 4,
    "checkpoint_format": "gptq_v2",
    "desc_act": false,
    "dynamic": {
      "-:model\\.layers\\.0\\.mlp\\.gate$": {},
      "+:.*down_proj$": {
        "bits": 8,
        "group_size": -1,
        "sym": false,
        "desc_act": true
      },
      "+:<&\"\\\\.*": {
        "bits": 3,
        "group_size": 32,
        "sym": false
      }
    },
    "group_size": 128,
    "lm_head": true,
    "meta": {
      "quantizer": [
        "bitlane"
      ]
    },
    "pack_dtype": "int32",
    "quant_method": "gptq",
    "sym": true
  }`, string(text))
	read, err := parseConfig("c", text)
	require.NoError(t, err)
	require.True(t, *read.lmHead)
	require.Empty(t, read.warnings)
	s, skip, err := read.of("model.layers.0.mlp.gate")
	require.NoError(t, err)
	require.NotEmpty(t, skip)
	require.Equal(t, Settings{Bits: 4, GroupSize: 128, Symmetric: true, ActOrder: s.ActOrder, Version: 2, BitsFrom: "c", GroupSizeFrom: "c"}, s)
	s, skip, err = read.of("model.layers.0.mlp.down_proj")
	require.NoError(t, err)
	require.Empty(t, skip)
	require.Equal(t, Settings{Bits: 8, GroupSize: -1, ActOrder: s.ActOrder, Version: 2, BitsFrom: `c: dynamic: "+:.*down_proj$"`, GroupSizeFrom: `c: dynamic: "+:.*down_proj$"`}, s)
	require.True(t, *s.ActOrder)
}
