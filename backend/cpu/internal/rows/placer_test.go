package rows_test

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// What may be put in its places with other rows, and what not: that they come to the same is for
// TestRowsEqualTheReference, which does so with every form that has a Placer.
func TestPlacer(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 62))
	all := groupings(t, rng, 120)
	uniform, ordered := &all[2], &all[5]
	token := quant.Recipe{Kind: quant.Int8Token}
	placer := func(isa rows.ISA, r quant.Recipe, x dtype.DType, v rows.Values, weights *quant.Groups, tr *quant.Transform) *rows.Placer {
		f := form(rng, r, x, v, weights, 128)
		f.ISA, f.Transform = isa, tr
		p, err := rows.New(f)
		require.NoError(t, err)
		return p.Placer()
	}
	for _, isa := range isas {
		fast := isa != rows.Go && runtime.GOARCH == "amd64" && cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C)
		for x, most := range map[dtype.DType]int{dtype.F32: 4, dtype.F16: 8, dtype.BF16: 8} {
			for _, r := range []quant.Recipe{token, {Kind: quant.Int8TokenAsym}, {Kind: quant.Int8Group}} {
				p := placer(isa, r, x, rows.Int8, ordered, nil)
				require.Equal(t, fast, p != nil, "ISA %d, %v", isa, r)
				if fast {
					require.Equal(t, most, p.Rows())
				}
			}
			require.Equal(t, fast, placer(isa, quant.Recipe{}, x, rows.Float32, ordered, nil) != nil)
			require.Nil(t, placer(isa, token, x, rows.Int8, uniform, nil), "no order")
			require.Nil(t, placer(isa, quant.Recipe{Kind: quant.Int4TokenAscend}, x, rows.Int8, ordered, nil), "plain Go may do it")
			require.Nil(t, placer(isa, quant.Recipe{Kind: quant.Int4FlatQuant}, x, rows.Int8, ordered, transform(rng, x, 10, 12)), "a transform")
		}
	}
}

func TestPlaceAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(63, 64))
	weights := groupings(t, rng, 121)[5]
	for _, isa := range isas {
		for _, x := range floats {
			f := form(rng, quant.Recipe{Kind: quant.Int8Token}, x, rows.Int8, &weights, 128)
			f.ISA = isa
			g := newGuarded(t, f)
			if g.placer == nil {
				continue
			}
			require.Zero(t, testing.AllocsPerRun(10, func() { g.placer.Place(g.several, g.step, g.placer.Rows(), g.placerScratch) }))
		}
	}
}
