package rows_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// BenchmarkRow prepares rows of 4096: ns/op is the time of one row.
func BenchmarkRow(b *testing.B) {
	const k = 4096
	rng := rand.New(rand.NewPCG(9, 10))
	run := func(name string, f rows.Form) {
		b.Run(name, func(b *testing.B) { benchmarkRow(b, f) })
	}
	index := make([]int32, k)
	for i := range index {
		index[i] = int32(rng.IntN(k / 128))
	}
	order, err := quant.IndexedGroups(index, k/128) // of any size
	require.NoError(b, err)
	equal := ofOneSize(b, rng, k)
	for _, isa := range isas {
		for _, x := range floats {
			for _, size := range []int{32, 128} {
				weights, err := quant.UniformGroups(k, size)
				require.NoError(b, err)
				for _, r := range quantizing[:6] {
					f := tight(r, x, rows.Int8, &weights, size)
					f.ISA = isa
					run(fmt.Sprintf("isa=%d/x=%v/recipe=%v/g=%d", isa, x, r, size), f)
				}
			}
			f := tight(quant.Recipe{}, x, rows.Float32, &order, 128)
			f.ISA, f.Order = isa, nil
			run(fmt.Sprintf("isa=%d/x=%v/recipe=exact", isa, x), f)
			if x == dtype.BF16 {
				f.Values, f.Swapped = rows.BFloat16, true
				run(fmt.Sprintf("isa=%d/x=%v/recipe=exact/pairs", isa, x), f)
			}
			f = tight(quant.Recipe{Kind: quant.Int8Token}, x, rows.Int8, &order, 128)
			f.ISA, f.Gathers = isa, true
			run(fmt.Sprintf("isa=%d/x=%v/recipe=int8-token/act-order", isa, x), f)
			f = tight(quant.Recipe{Kind: quant.Int8Token}, x, rows.Int8, &equal, 128)
			f.ISA, f.Gathers = isa, true
			run(fmt.Sprintf("isa=%d/x=%v/recipe=int8-token/act-order/g=128", isa, x), f)
			f = tight(quant.Recipe{}, x, rows.Float32, &equal, 128)
			f.ISA, f.Gathers = isa, true
			run(fmt.Sprintf("isa=%d/x=%v/recipe=exact/act-order/g=128", isa, x), f)
			whole := quant.OneGroup(k)
			f = tight(quant.Recipe{Kind: quant.Int8TokenAscend}, x, rows.Int16, &whole, 512)
			f.ISA = isa
			run(fmt.Sprintf("isa=%d/x=%v/recipe=int8-token-ascend/words", isa, x), f)
			f = tight(quant.Recipe{Kind: quant.Int4FlatQuant}, x, rows.Int8, &whole, 128)
			f.ISA, f.Transform = isa, transform(rng, dtype.F16, 64, 64)
			run(fmt.Sprintf("isa=%d/x=%v/recipe=int4-flatquant/p=f16", isa, x), f)
		}
	}
}

// BenchmarkPlacer prepares rows of 4096 that are put in their places together, among so many rows that
// they are in no first cache before: ns/row is the time of each.
func BenchmarkPlacer(b *testing.B) {
	const k, most = 4096, 256
	rng := rand.New(rand.NewPCG(9, 10))
	groups := ofOneSize(b, rng, k)
	for _, x := range floats {
		for _, r := range []quant.Recipe{{Kind: quant.Int8Token}, {}} {
			f := tight(r, x, map[bool]rows.Values{true: rows.Float32, false: rows.Int8}[r.Kind == quant.Exact], &groups, 128)
			f.ISA = isas[len(isas)-1]
			p, err := rows.New(f)
			require.NoError(b, err)
			a := p.Placer()
			if a == nil {
				b.Skip("the processor lacks AVX2")
			}
			from := make([]byte, most*k*x.Size())
			for i := range most * k {
				x.Put(from, i, float32(rng.NormFloat64()))
			}
			scratch := make([]byte, rows.PlaceScratch(k, f.Width, x.Size(), p.Scratch()))
			dst := rows.Dst{Values: make([]byte, f.Width*f.Values.Size()), Side: make([]int32, len(f.Segments)), Scales: make([]float32, p.Scales())}
			for n := 1; n <= a.Rows(); n++ {
				b.Run(fmt.Sprintf("x=%v/recipe=%v/rows=%d", x, r, n), func(b *testing.B) {
					for m := 0; b.Loop(); m = (m + n) % (most - n) {
						placed, rest := a.Place(from[m*k*x.Size():], k*x.Size(), n, scratch)
						for i := range n {
							a.Plan.Row(dst, placed[i*a.Stride():], rest)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
				})
			}
		}
	}
}

// BenchmarkTiles writes rows of 4096 to tiles for codes of 4 bits, among so many rows that they are in
// no cache before: ns/op is the time of one row.
func BenchmarkTiles(b *testing.B) {
	const k, most = 4096, 256
	rng := rand.New(rand.NewPCG(11, 12))
	groups := ofOneSize(b, rng, k)
	halves := rows.HalvesOf(4)
	for _, isa := range []rows.ISA{rows.AVX2, rows.AVX512} {
		for _, x := range floats {
			for _, order := range []bool{false, true} {
				f := tight(quant.Recipe{}, x, rows.Float32, &groups, 128)
				f.ISA, f.Gathers = isa, true
				if !order {
					f.Order = nil
				}
				p, err := rows.New(f)
				require.NoError(b, err)
				parts := rows.PartsOf(x)
				from, to := make([]byte, most*k*x.Size()), make([]byte, most*parts*k*2)
				for i := range most * k {
					x.Put(from, i, float32(rng.NormFloat64()))
				}
				scratch := make([]byte, p.Scratch()+8*k)
				b.Run(fmt.Sprintf("isa=%d/x=%v/act-order=%v", isa, x, order), func(b *testing.B) {
					var dst rows.Parted
					for m := 0; b.Loop(); m = (m + 1) % most {
						for i := range parts {
							row := m*parts + i
							dst[i] = to[row/asm.TileRows*asm.TileRows*k*2+row%asm.TileRows*asm.TileBytes:]
						}
						p.Tiles(&dst, from[m*k*x.Size():], scratch, &halves, 0x1p-119)
					}
				})
			}
		}
	}
}

// ofOneSize are groups of 128 features each, in an order.
func ofOneSize(b *testing.B, rng *rand.Rand, k int) quant.Groups {
	index := make([]int32, k)
	for i, at := range rng.Perm(k) {
		index[i] = int32(at / 128)
	}
	groups, err := quant.IndexedGroups(index, k/128)
	require.NoError(b, err)
	return groups
}

// tight is a form without padding beyond steps of 8.
func tight(r quant.Recipe, x dtype.DType, v rows.Values, weights *quant.Groups, longest int) rows.Form {
	f := form(rand.New(rand.NewPCG(0, 0)), r, x, v, weights, longest)
	at := int32(0)
	for i := range f.Segments {
		s := &f.Segments[i]
		s.At = at
		at += (s.Hi - s.Lo + 7) / 8 * 8
	}
	f.Width = int(at)
	f.Zeros, f.Zero = asm.ZeroPairs, 0
	return f
}

func benchmarkRow(b *testing.B, f rows.Form) {
	g := newGuarded(b, f)
	rng := rand.New(rand.NewPCG(11, 12))
	x := make([]float32, f.K)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	dtype.Encode(f.X, g.x, x)
	b.SetBytes(int64(len(g.x)))
	for b.Loop() {
		g.Row(g.dst, g.x, g.scratch)
	}
	if f.Transform != nil {
		flop := 2 * float64(f.K) * float64(f.Transform.L+f.Transform.R)
		b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	}
}
