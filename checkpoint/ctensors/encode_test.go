package ctensors

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Every width, group size and kind of zero points: what the packer of these tests
// writes is loaded and encoded again, to the same bytes.
func TestEncodeIsTheInverseOfLoad(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	var e Encoder
	for bits := 2; bits <= 8; bits++ {
		for _, group := range []int{-1, 8, 35} {
			for _, asymmetric := range []bool{false, true} {
				for _, order := range []bool{false, group > 0} {
					m := &made{n: 37, k: 105, bits: bits, strategy: "channel", asymmetric: asymmetric, order: order,
						scales: []safetensors.Type{"F16", "BF16", "F32"}[rng.IntN(3)]}
					if group > 0 {
						m.strategy, m.group = "group", group
					}
					m.fill(rng)
					name := fmt.Sprintf("%d bits, groups of %d, asymmetric %v, order %v", bits, group, asymmetric, order)
					var l quant.Linear
					_, err := m.load(t, &l, nil)
					require.NoError(t, err, name)
					got, err := e.Encode(m.name, &l.Weight)
					require.NoError(t, err, name)
					require.Len(t, got, len(m.tensors), name)
					form := l.Weight.Form()
					entries, err := e.Entries(m.name, &form)
					require.NoError(t, err)
					for i, d := range got {
						require.Equal(t, entries[i], d.Entry(), name)
						require.Equal(t, m.tensors[d.Name[len(m.name)+1:]], d, name)
					}
				}
			}
		}
	}
}

func TestWhatPackQuantizedCannotStore(t *testing.T) {
	var w quant.Weight
	require.NoError(t, w.Reset(quant.Form{N: 2, K: 4, Plain: dtype.F16}))
	_, err := new(Encoder).Encode("m", &w)
	require.ErrorContains(t, err, "m: weight is plain float16, want codes")
	_, err = new(Encoder).Entries("m", new(quant.Form))
	require.ErrorIs(t, err, quant.ErrShape)
	require.NoError(t, w.Reset(quant.Form{N: 2, K: 4, Bits: 3, Zeros: true, Scales: dtype.F16, Groups: quant.OneGroup(4)}))
	w.ZeroRow(1)[0] = 8
	_, err = new(Encoder).Encode("m", &w)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "m: zero point of row 1, group 0 is 8, want 0 to 7")
}

// The reader finds in a configuration what was put there.
func TestWrittenConfigIsRead(t *testing.T) {
	c := Config{
		Schemes: []Scheme{
			{Targets: []string{`re:.*down_proj$`}, Bits: 8, Group: -1, Symmetric: true, ActOrder: true},
			{Targets: []string{Class}, Bits: 3, Group: 32},
		},
		Ignore: []string{"lm_head"},
	}
	text := module.WriteObject(c.Fields(), 0)
	read, err := parseConfig("c", text)
	require.NoError(t, err)
	for name, want := range map[string]args{
		"model.layers.0.mlp.down_proj": {bits: 8, kind: "int", symmetric: true, strategy: perChannel, dynamic: "false", reordered: true},
		"model.layers.0.mlp.up_proj":   {bits: 3, kind: "int", strategy: perGroup, group: 32, dynamic: "false"},
	} {
		found, err := read.find(&read.targets, name)
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, want, *read.schemes[found[0]].weights)
		require.Empty(t, read.schemes[found[0]].refusal())
	}
	ignored, err := read.find(&read.ignore, "lm_head")
	require.NoError(t, err)
	require.NotEmpty(t, ignored)
	require.Contains(t, string(module.WriteObject((&Config{}).Fields(), 0)), `"ignore": []`)
}
