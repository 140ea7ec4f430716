package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// TestTogether is how many rows go to a worker at once: one, unless they have an order and there are at
// least placedLeast for each.
func TestTogether(t *testing.T) {
	for _, threads := range []int{1, 2, 7} {
		t.Run(fmt.Sprint(threads), func(t *testing.T) { testTogether(t, threads) })
	}
}

func testTogether(t *testing.T, threads int) {
	everywhere(t, backend.OpenOptions{Threads: threads}, func(t *testing.T, b *bench) {
		rng := rand.New(rand.NewPCG(5, 135))
		const n, k, most = 16, 120, 64
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
		require.Nil(t, plain.fronts[0].placer)
		several := 1
		if p := ordered.fronts[0].placer; p != nil {
			several = p.Rows()
		}
		for rows := 1; rows <= most; rows++ {
			want := min(several, (rows+threads-1)/threads)
			if want < placedLeast {
				want = 1
			}
			require.Equal(t, 1, plain.together(rows))
			require.Equal(t, want, ordered.together(rows), "%d rows, %d threads", rows, threads)
		}
	})
}

// TestWriteTogether holds rows that a front prepares together to the same rows one by one.
func TestWriteTogether(t *testing.T) {
	everywhere(t, backend.OpenOptions{Threads: 1}, func(t *testing.T, b *bench) {
		rng := rand.New(rand.NewPCG(5, 136))
		const n, k, most = 16, 120, 8
		for _, recipe := range b.recipes([]quant.Recipe{{}, {Kind: quant.Int8Token}, {Kind: quant.Int8TokenAsym}, {Kind: quant.Int8Group}}) {
			s := shape{n: n, k: k, bits: 4, scales: dtype.F16, groups: actOrder(t, rng, k, 4)}
			made, _ := b.prepare(s.linear(t, rng), backend.Request{Recipe: &recipe, X: dtype.BF16, MaxRows: most})
			l := made.(interface{ whole() *layer }).whole()
			f, step := l.fronts[0], 2*k+6
			x := make([]byte, most*step)
			for i := range x {
				x[i] = byte(rng.Uint32()) & 0xbf // finite
			}
			scratch := make([]byte, l.scratch+lineBytes)
			scratch = scratch[-uintptr(unsafe.Pointer(&scratch[0]))%lineBytes:][:l.scratch]
			prepare := func(together, rows int) prepared {
				p, rest := f.take(make([]byte, f.bytes(most)), most, 0)
				require.Empty(t, rest)
				for m := 0; m < rows; m += together {
					f.write(&p, x[m*step:], step, scratch, m, min(together, rows-m))
				}
				return p
			}
			for rows := 1; rows <= most; rows++ {
				one := prepare(1, rows)
				for together := 2; together <= most; together++ {
					require.Equal(t, one, prepare(together, rows), "%v, %d of %d rows", recipe, together, rows)
				}
			}
		}
	})
}
