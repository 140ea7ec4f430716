package cpu

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/guardpage"
	"github.com/bitlane/bitlane/quant"
)

// TestTogether is how many rows go to a worker at once: one, unless they have an order, kernels
// take several, and each worker gets at least placedLeast. Of 8 that go together:
func TestTogether(t *testing.T) {
	want := map[int]map[int]int{ // by threads and rows
		1:  {1: 1, 3: 1, 4: 4, 7: 7, 8: 8, 9: 5, 16: 8, 17: 6, 64: 8},
		2:  {1: 1, 6: 1, 7: 4, 8: 4, 15: 8, 16: 8, 17: 5, 64: 8},
		7:  {8: 1, 21: 1, 22: 4, 56: 8, 57: 5, 64: 5},
		16: {48: 1, 49: 4, 128: 8, 130: 5},
	}
	for threads, want := range want {
		t.Run(fmt.Sprint(threads), func(t *testing.T) { testTogether(t, threads, want) })
	}
}

func testTogether(t *testing.T, threads int, want map[int]int) {
	everywhere(t, backend.OpenOptions{Threads: threads}, func(t *testing.T, b *bench) {
		rng := rand.New(rand.NewPCG(5, 135))
		const n, k, most = 16, 120, 130
		layers := map[bool]*layer{}
		for _, order := range []bool{false, true} {
			s := shape{n: n, k: k, bits: 4, scales: dtype.F16, groups: uniform(t, k, 40)}
			if order {
				s.groups = actOrder(t, rng, k, 4)
			}
			made, _ := b.prepare(s.linear(t, rng), backend.Request{Recipe: &quant.Recipe{}, X: dtype.BF16, MaxRows: most})
			layers[order] = made.(interface{ whole() *layer }).whole()
		}
		plain, ordered := layers[false], layers[true]
		_, inGo := ordered.parts[0].matrix.(*weights)
		several := !inGo && b.table[0].unit.rows != rows.Go && rows.Placeable(quant.Exact)
		require.Nil(t, plain.fronts[0].placer)
		require.Equal(t, several, ordered.fronts[0].placer != nil)
		for rows, want := range want {
			require.Equal(t, 1, plain.together(rows, threads))
			if !several {
				want = 1
			}
			require.Equal(t, want, ordered.together(rows, threads), "%d rows, %d threads", rows, threads)
		}
	})
}

// TestWriteTogether holds rows that a front prepares together to the same rows one by one, in no more
// scratch than it asks for. Some have values so large that they are made smaller.
func TestWriteTogether(t *testing.T) {
	everywhere(t, backend.OpenOptions{Threads: 1}, func(t *testing.T, b *bench) {
		if u := b.table[0].unit; u != nil && u.rows == rows.Go { // a model, with rows as units have them
			fast := *u
			fast.rows = rows.AVX512
			b.table = tableOf([]*unit{&fast})
		}
		for _, recipe := range b.recipes([]quant.Recipe{{}, {Kind: quant.Int8Token}, {Kind: quant.Int8TokenAsym}, {Kind: quant.Int8Group}, {Kind: quant.Int4TokenAscend}}) {
			for _, k := range []int{120, 4096} {
				if k > 120 && testing.Short() && recipe.Kind != quant.Int8Token {
					continue
				}
				testWriteTogether(t, b, recipe, k)
			}
		}
	})
}

func testWriteTogether(t *testing.T, b *bench, recipe quant.Recipe, k int) {
	rng := rand.New(rand.NewPCG(5, 136))
	const n, most = 16, 8
	s := shape{n: n, k: k, bits: 4, scales: dtype.F16, groups: actOrder(t, rng, k, 4)}
	made, _ := b.prepare(s.linear(t, rng), backend.Request{Recipe: &recipe, X: dtype.BF16, MaxRows: most})
	spec, l := made.Spec(), made.(interface{ whole() *layer }).whole()
	f, step := l.fronts[0], 2*k+6
	x := make([]byte, (most-1)*step+2*k)
	for i := range x {
		x[i] = byte(rng.Uint32()) & 0xbf // finite
	}
	for m := 0; m < most && recipe.Kind == quant.Exact; m += 3 {
		dtype.BF16.Put(x[m*step:], rng.IntN(k), 3e38)
	}
	_, inGo := l.parts[0].matrix.(*weights)
	scratch := guardpage.End(t, align(frontScratch(&spec, &f.rowShape, !inGo)))
	prepare := func(together, rows, from int) prepared {
		p, rest := f.take(make([]byte, f.bytes(most)), most, from)
		require.Empty(t, rest)
		for m := 0; m < rows; m += together {
			f.write(&p, x[m*step:], step, scratch, m, min(together, rows-m))
		}
		return p
	}
	froms := []int{0}
	if f.pairs { // as many as can be read as they are, beside tiles, and none
		froms = []int{max(0, most*f.parts-(f.leastTiled-1)), most * f.parts}
	}
	for rows := 1; rows <= most; rows++ {
		for _, from := range froms {
			one := prepare(1, rows, from)
			for together := 2; together <= most; together++ {
				got := prepare(together, rows, from)
				same := bytes.Equal(one.rows, got.rows) && bytes.Equal(one.tiles, got.tiles) && slices.Equal(one.scales, got.scales)
				require.True(t, same, "%v, K=%d, %d of %d rows", recipe, k, together, rows)
			}
		}
	}
}
