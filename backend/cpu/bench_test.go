package cpu

import (
	"context"
	"fmt"
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
		c.divide(a.ws.Host())
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

// BenchmarkPrepare packs layers of 4096x4096: MB/s are of packed weights, which
// the layer keeps, and B/op what Prepare takes of Go's memory besides.
func BenchmarkPrepare(b *testing.B) {
	const n, k = 4096, 4096
	rng := rand.New(rand.NewPCG(1, 1))
	exact, token, asym := quant.Recipe{}, quant.Recipe{Kind: quant.Int8Token}, quant.Recipe{Kind: quant.Int8TokenAsym}
	for _, c := range []struct {
		name   string
		shape  shape
		recipe quant.Recipe
	}{
		{"w4/exact", shape{bits: 4, groups: uniform(b, k, 128)}, exact},
		{"w4/int8-token", shape{bits: 4, groups: uniform(b, k, 128)}, token},
		{"w4/zeros/int8-token", shape{bits: 4, groups: uniform(b, k, 128), zeros: true}, token},
		{"w4/int8-token-asym", shape{bits: 4, groups: uniform(b, k, 32)}, asym},
		{"w4/act-order/exact", shape{bits: 4, groups: actOrder(b, rng, k, 33)}, exact},
		{"w2/exact", shape{bits: 2, groups: uniform(b, k, 128)}, exact},
		{"w3/exact", shape{bits: 3, groups: uniform(b, k, 128)}, exact},
		{"w5/exact", shape{bits: 5, groups: uniform(b, k, 128)}, exact},
		{"w8/exact", shape{bits: 8, groups: uniform(b, k, 128)}, exact},
		{"w8/channel/int8-token", shape{bits: 8, groups: quant.OneGroup(k)}, token},
		{"bf16/exact", shape{plain: dtype.BF16}, exact},
	} {
		c.shape.n, c.shape.k, c.shape.scales = n, k, dtype.F16
		l := c.shape.linear(b, rng)
		s, err := backend.NewSpec(l, backend.Request{Recipe: &c.recipe, X: dtype.F32, MaxRows: 1})
		require.NoError(b, err)
		for _, threads := range []int{1, 2} {
			rig := open(b, backend.OpenOptions{Threads: threads})
			if rig.table = kernels; rig.dev.pool.Threads() < threads {
				continue
			}
			b.Run(fmt.Sprintf("%s/threads=%d", c.name, threads), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					layer, err := rig.best(s).Prepare(context.Background(), rig.dev, l, s)
					require.NoError(b, err)
					b.SetBytes(layer.Bytes())
					require.NoError(b, layer.Close())
				}
			})
		}
	}
}

// prepareBest is prepare with the best kernel of a table that has several.
func (b *bench) prepareBest(l *quant.Linear, r backend.Request) (backend.Layer, *kernel) {
	b.t.Helper()
	s, err := backend.NewSpec(l, r)
	require.NoError(b.t, err)
	b.table = []*kernel{b.best(s)}
	return b.prepare(l, r)
}

// best is the first kernel of the table that takes s.
func (b *bench) best(s backend.Spec) *kernel {
	b.t.Helper()
	for _, k := range b.table {
		if k.Supports(b.dev.Info(), s) == nil {
			return k
		}
	}
	require.Fail(b.t, "no kernel", "%s", s.Scheme())
	return nil
}
