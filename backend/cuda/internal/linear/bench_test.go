package linear

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// BenchmarkBricks packs 32 outputs of 4096 features on one core; the bytes are
// those of packed weights.
func BenchmarkBricks(b *testing.B) {
	const k = 4096
	rng := rand.New(rand.NewPCG(1, 2))
	for _, bits := range []int{2, 3, 4, 8} {
		for _, order := range []bool{false, true} {
			b.Run(fmt.Sprintf("w%d/act-order=%v", bits, order), func(b *testing.B) {
				g, err := quant.UniformGroups(k, 128)
				if err != nil {
					b.Fatal(err)
				}
				if order {
					g = shuffled(b, rng, k, k/128)
				}
				l := linear(b, rng, 32, k, bits, g)
				s, err := backend.NewSpec(l, backend.Request{X: dtype.F16})
				if err != nil {
					b.Fatal(err)
				}
				p := newPlan(&s, !straight(&s), false)
				pack := &bricks{plan: p, spec: &s, src: &l.Weight, order: l.Weight.Groups().Order()}
				dst, spare := make([]byte, p.rowBytes()), make([]byte, pack.spare())
				b.SetBytes(int64(len(dst)))
				for b.Loop() {
					pack.row(dst, 0, spare)
				}
			})
		}
	}
}
