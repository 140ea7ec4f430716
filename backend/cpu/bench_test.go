package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// BenchmarkApply is a 4096×4096 layer, 4 bits in groups of 128, or plain.
func BenchmarkApply(b *testing.B) {
	const n, k = 4096, 4096
	rng := rand.New(rand.NewPCG(1, 1))
	w4 := shape{n: n, k: k, bits: 4, groups: uniform(b, k, 128), scales: dtype.F16}
	cases := []struct {
		name   string
		s      shape
		recipe quant.Recipe
	}{
		{"exact", w4, quant.Recipe{}},
		{"int8-group", w4, quant.Recipe{Kind: quant.Int8Group}},
		{"int8-token-asym", w4, quant.Recipe{Kind: quant.Int8TokenAsym}},
		{"plain", shape{n: n, k: k, plain: dtype.BF16}, quant.Recipe{}},
	}
	for _, c := range cases {
		l := c.s.linear(b, rng)
		for _, m := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/M=%d", c.name, m), func(b *testing.B) {
				rig := open(b, backend.OpenOptions{})
				layer, _ := rig.prepare(l, backend.Request{Recipe: &c.recipe, X: dtype.BF16, MaxRows: m})
				a := rig.args(layer, input(rng, dtype.BF16, m, k), m)
				b.SetBytes(layer.Bytes())
				for b.Loop() {
					require.NoError(b, layer.Apply(rig.st, a.y, a.x, a.ws))
				}
			})
		}
	}
}
