package rows_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

var quantizing = []quant.Recipe{
	{Kind: quant.Int8TokenAsym}, {Kind: quant.Int8Token}, {Kind: quant.Int8TokenXPU}, {Kind: quant.Int8TokenAscend}, {Kind: quant.Int4TokenAscend},
	{Kind: quant.Int8Group}, {Kind: quant.Int8Group, Group: 16}, {Kind: quant.Int8Group, Group: 5},
}

// Every recipe, type, instruction set and kind of groups, with sizes round the
// steps of the loops.
func TestRowsEqualTheReference(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sizes, random := []int{1, 2, 7, 8, 9, 15, 16, 24, 31, 32, 33, 40, 64, 100, 128, 300, 512}, 3
	if testing.Short() {
		sizes, random = []int{1, 8, 33, 100, 128}, 1
	}
	for _, k := range sizes {
		for _, x := range floats {
			in := edges(rng, x, k, random)
			for _, weights := range groupings(t, rng, k) {
				for _, r := range quantizing {
					for _, v := range []rows.Values{rows.Int8, rows.Int16} {
						check(t, form(rng, r, x, v, &weights, 1+rng.IntN(128)), in)
					}
				}
				check(t, form(rng, quant.Recipe{}, x, rows.Float32, &weights, 1+rng.IntN(128)), in)
				if x == dtype.BF16 {
					f := form(rng, quant.Recipe{}, x, rows.BFloat16, &weights, 1+rng.IntN(128))
					check(t, f, in)
					f.Swapped = true
					check(t, f, in)
				}
			}
		}
	}
}

// check runs a form with every instruction set. It is a test of its own, after
// which the guarded memory goes back.
func check(t *testing.T, f rows.Form, in map[string][]float32) {
	t.Run(fmt.Sprintf("%v/%v/K=%d", f.Recipe, f.X, f.K), func(t *testing.T) { checkForm(t, f, in) })
}

func checkForm(t *testing.T, f rows.Form, in map[string][]float32) {
	all := isas
	if runtime.GOARCH == "amd64" && !cpuid.CPU.Supports(cpuid.AVX2) { // they run the same code then: one of them for each form
		all = isas[len(f.Segments)%2:][:1]
	}
	var plans []*guarded
	for _, isa := range all {
		f.ISA, f.Gathers = isa, false
		plans = append(plans, newGuarded(t, f))
		if f.Gathers = isa == rows.AVX512 && f.Order != nil; f.Gathers {
			plans = append(plans, newGuarded(t, f))
		}
	}
	for name, x := range in {
		want := expect(&f, x)
		for _, p := range plans {
			if err := p.run(x, &want); err != nil {
				t.Fatalf("%s: %v of %v, K %d, width %d, values %d, ISA %d, gathers %t: %v", name, f.Recipe, f.X, f.K, f.Width, f.Values, p.form.ISA, p.form.Gathers, err)
			}
		}
	}
}

func TestTransformedRowsEqualTheReference(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	sizes := [][2]int{{1, 1}, {1, 8}, {8, 1}, {2, 3}, {5, 16}, {6, 17}, {7, 15}, {8, 8}, {11, 33}, {12, 32}, {13, 40}, {16, 5}}
	if testing.Short() {
		sizes = [][2]int{{1, 8}, {6, 17}, {13, 40}}
	}
	for _, size := range sizes {
		k := size[0] * size[1]
		for _, x := range floats {
			in := edges(rng, x, k, 2)
			for _, pt := range floats {
				for _, weights := range groupings(t, rng, k)[2:] {
					f := form(rng, quant.Recipe{Kind: quant.Int4FlatQuant}, x, rows.Int8, &weights, 128)
					f.Transform = transform(rng, pt, size[0], size[1])
					check(t, f, in)
				}
			}
		}
	}
}

// Factors whose products underflow, are not exact or are not finite must not
// take the products that round once.
func TestTransformsOfAnyMagnitude(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const l, r = 7, 24
	whole := quant.OneGroup(l * r)
	for _, x := range []dtype.DType{dtype.BF16, dtype.F16} {
		in := edges(rng, x, l*r, 4)
		for _, pt := range floats {
			for _, scale := range []float32{0x1p-130, 0x1p-70, 0x1p-30, 0x1p-12, 1, 0x1p10, 0x1p40, 0x1p100} {
				f := form(rng, quant.Recipe{Kind: quant.Int4FlatQuant}, x, rows.Int8, &whole, l*r)
				f.Transform = transform(rng, pt, l, r)
				for i, v := range f.Transform.P2 {
					f.Transform.P2[i] = max(float32(-pt.MaxFinite()), min(pt.Round(v*scale), float32(pt.MaxFinite())))
				}
				for i, v := range f.Transform.P1 {
					f.Transform.P1[i] = max(float32(-pt.MaxFinite()), min(pt.Round(v/scale), float32(pt.MaxFinite())))
				}
				require.NoError(t, f.Transform.Check("test", l*r))
				check(t, f, in)
			}
		}
	}
}

func TestLongRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	const k = 4096
	for _, x := range floats {
		in := edges(rng, x, k, 1)
		for _, size := range []int{32, 128, -1} {
			weights, err := quant.UniformGroups(k, size)
			require.NoError(t, err)
			for _, r := range quantizing[:6] {
				check(t, form(rng, r, x, rows.Int8, &weights, 128), in)
			}
		}
		weights := groupings(t, rng, k)[5] // in another order
		for _, r := range quantizing[:6] {
			check(t, form(rng, r, x, rows.Int8, &weights, 128), in)
		}
		whole := quant.OneGroup(k)
		f := form(rng, quant.Recipe{Kind: quant.Int4FlatQuant}, x, rows.Int8, &whole, 128)
		f.Transform = transform(rng, x, 64, 64)
		check(t, f, map[string][]float32{"one": in["Gaussian 0"], "NaN": in["NaN"], "huge": in["huge"]})
	}
}
