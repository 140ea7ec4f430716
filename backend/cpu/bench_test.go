package cpu

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// BenchmarkOverhead is what Apply adds to its kernels: a layer of one tile and
// one row of x, first as a caller has it and then the work alone, on one thread.
// The speed of layers is measured by bitlane bench.
func BenchmarkOverhead(b *testing.B) {
	const n, k = tileColumns, 64
	rng := rand.New(rand.NewPCG(1, 1))
	l := shape{n: n, k: k, bits: 4, groups: uniform(b, k, 32), scales: dtype.F16}.linear(b, rng)
	for _, kind := range []quant.RecipeKind{quant.Exact, quant.Int8Group} {
		rig := open(b, backend.OpenOptions{Threads: 1})
		rig.table = kernels
		made, kernel := rig.prepareBest(l, backend.Request{Recipe: &quant.Recipe{Kind: kind}, X: dtype.BF16, MaxRows: 1})
		a := rig.args(made, input(rng, dtype.BF16, 1, k), 1)
		b.Run(kernel.name+"/apply", func(b *testing.B) {
			for b.Loop() {
				_ = made.Apply(rig.st, a.y, a.x, a.ws)
			}
		})
		inner := made.(interface{ whole() *layer }).whole()
		c := rig.dev.borrow()
		c.l, c.rows = inner, 1
		c.x, c.xStep, c.y, c.yStep, c.yType = a.x.Host(), 2*k, a.y.Host(), 2*n, a.y.DType
		c.prepared, c.scratch = a.ws.Host()[:inner.stride], a.ws.Host()[inner.stride:]
		b.Run(kernel.name+"/work", func(b *testing.B) {
			for b.Loop() {
				c.products = false
				c.Do(0, 0)
				inner.parts[0].multiply(c, &inner.parts[0], 0, 0)
			}
		})
		rig.dev.giveBack(c)
	}
}

// prepareBest is prepare with the best kernel of a table that has several.
func (b *bench) prepareBest(l *quant.Linear, r backend.Request) (backend.Layer, *kernel) {
	b.t.Helper()
	s, err := backend.NewSpec(l, r)
	require.NoError(b.t, err)
	for i, k := range b.table {
		if k.Supports(b.dev.Info(), s) == nil {
			b.table = b.table[i : i+1]
			break
		}
	}
	return b.prepare(l, r)
}
