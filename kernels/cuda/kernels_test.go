package cuda

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/gpuvm/ptx"
)

// eachKernel runs the test for each kernel that multiplies, side by side.
func eachKernel(t *testing.T, test func(t *testing.T, k Kernel)) {
	for _, k := range Kernels() {
		if k.Family <= Tile {
			t.Run(k.Name, func(t *testing.T) {
				t.Parallel()
				test(t, k)
			})
		}
	}
}

// fewer keeps every nth cell where cells are many: which of them differs from
// kernel to kernel, so that all kernels together have all cells.
func fewer(k Kernel, i, n int) bool {
	sum := i
	for _, r := range k.Name {
		sum += int(r)
	}
	return (testing.Short() || withRace) && sum%(4*n) != 0 || sum%n != 0
}

// Sizes around every edge: of a tile, a brick, a warp's and a block's outputs;
// of tokens; of a unit, a step and a ring.
func TestEdges(t *testing.T) {
	eachKernel(t, func(t *testing.T, k Kernel) {
		i := 0
		for _, n := range []int{1, 31, 32, 33, 64, 65, 100, 129} {
			for _, units := range []int{1, 2, 7, 8, 9, 17} {
				for _, m := range []int{1, 7, 8, 9, 33} {
					if i++; fewer(k, i, 30) {
						continue
					}
					c := cell{kernel: k, m: m, n: n, k: 32*units - i%3*5, exact: true, yKind: KindF32, scaleKind: i % 3, zeros: i%2 == 0, bias: i%5 < 2, seed: uint64(i)}
					if i%4 > 0 {
						c.group = 32 * (i % 4)
					}
					c.slices, c.runs, c.across = 1+i%3, []int{6, 1, 3, 5}[i/3%4], 1+i/2%2
					c.check(t)
				}
			}
		}
	})
}

// Real numbers, all types of y and of scales, against a bound.
func TestBounds(t *testing.T) {
	eachKernel(t, func(t *testing.T, k Kernel) {
		i := 0
		for yKind := range 3 {
			for scaleKind := range 3 {
				for _, fine := range []bool{false, true} {
					if i++; fewer(k, i, 9) {
						continue
					}
					cell{
						kernel: k, m: 5 + i, n: 70, k: 1000 - i, group: 32 * (1 + i%5), zeros: i%2 == 0, yKind: yKind, scaleKind: scaleKind,
						fine: fine, bias: true, slices: 1 + i%2, unaligned: i%3 == 0, seed: uint64(i),
					}.check(t)
				}
			}
		}
	})
}

// Groups that are no multiple of a unit are padded, and x is read through a map.
func TestRaggedGroups(t *testing.T) {
	eachKernel(t, func(t *testing.T, k Kernel) {
		for i, group := range []int{20, 100, 33} {
			if fewer(k, i, 2) {
				continue
			}
			cell{kernel: k, m: 3, n: 40, k: 230, group: group, exact: true, zeros: true, yKind: KindF32, scaleKind: KindF32, unaligned: i == 1, fine: i == 2}.check(t)
		}
	})
}

// Zero points at both ends of what the kernels promise to take off exactly.
func TestZeroPoints(t *testing.T) {
	eachKernel(t, func(t *testing.T, k Kernel) {
		if k.Bits == 16 {
			return // plain weights have none
		}
		top := 1<<k.Bits - 1
		high := 256
		if k.X == dtype.BF16 && k.Bits < 8 {
			high = 128
		}
		for _, z := range []int{top - 256, -100, 0, 7, high} {
			c := cell{kernel: k, m: 2, n: 33, k: 64, exact: true, yKind: KindF32, scaleKind: KindF16}
			for _, stored := range []bool{false, true} {
				if top-z > 256 {
					continue
				}
				c.zeros = stored
				p := c.problem()
				for m := range p.x {
					for n := range c.n {
						p.want[m][n] = 0
						for f, from := range p.feature {
							if from >= 0 {
								p.want[m][n] += p.x[m][from] * p.scale[0][n] * float64(p.u[n][f]-z)
							}
						}
					}
				}
				for n := range p.zero[0] {
					p.zero[0][n] = float64(z)
				}
				y, err := c.launch(t, module(t, k.Module).Entry, p, schedule(1))
				require.NoError(t, err)
				require.NoError(t, c.judge(p, y), "zero point %d, stored %v", z, stored)
			}
		}
	})
}

// The bits of y depend on the launch, not on the order in which blocks and warps
// happen to run.
func TestSameBits(t *testing.T) {
	eachKernel(t, func(t *testing.T, k Kernel) {
		if fewer(k, 0, 3) {
			return
		}
		c := cell{kernel: k, m: 9, n: 70, k: 600, group: 64, zeros: true, yKind: KindF32, scaleKind: KindF32, slices: 2, bias: true}
		p := c.problem()
		var first []byte
		for seed := range uint64(3) {
			y, err := c.launch(t, module(t, k.Module).Entry, p, ptx.Config{Arch: 80, SharedOptIn: 163 << 10, Seed: seed})
			require.NoError(t, err)
			if first == nil {
				first = y
			}
			require.Equal(t, first, y, "seed %d", seed)
		}
	})
}

// A row of y is the same whatever the tokens of a block, and the rows beside it.
func TestSameRows(t *testing.T) {
	for _, name := range Modules() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rows [2][]byte // of straight kernels and of mapped ones
			for _, k := range Kernels() {
				if k.Module != name || k.Family != Stream {
					continue
				}
				mapped := 0
				if k.Mapped {
					mapped = 1
				}
				for _, m := range []int{1, 11} {
					c := cell{kernel: k, m: m, n: 40, k: 520, group: 64, zeros: true, yKind: KindF32, scaleKind: KindF32, slices: 2}
					whole := c
					whole.m = 11
					p := whole.problem()
					p.x = p.x[:m]
					y, err := c.launch(t, module(t, name).Entry, p, schedule(0))
					require.NoError(t, err)
					if rows[mapped] == nil {
						rows[mapped] = y[:4*c.n]
					}
					require.Equal(t, rows[mapped], y[:4*c.n], "%s, %d tokens", k.Name, m)
				}
			}
		})
	}
}

// Non-finite x makes its own row non-finite and touches no other.
func TestNonFinite(t *testing.T) {
	eachKernel(t, func(t *testing.T, k Kernel) {
		c := cell{kernel: k, m: 3, n: 33, k: 100, exact: true, yKind: KindF32, scaleKind: KindF32}
		p := c.problem()
		for i, bad := range []string{"NaN", "+Inf"} {
			var v float64
			_, err := fmt.Sscan(bad, &v)
			require.NoError(t, err)
			q := *p
			q.x = append([][]float64{}, p.x...)
			q.x[1] = append([]float64{}, p.x[1]...)
			q.x[1][50+i] = v
			y, err := c.launch(t, module(t, k.Module).Entry, &q, schedule(0))
			require.NoError(t, err)
			for n := range c.n {
				require.Equal(t, p.want[0][n], decode(KindF32, y[4*n:]))
				require.Equal(t, p.want[2][n], decode(KindF32, y[4*(2*c.n+n):]))
				got := decode(KindF32, y[4*(c.n+n):])
				require.False(t, got-got == 0, "output %d of a row with %s is %v", n, bad, got)
			}
		}
	})
}

// The table's sizes of shared memory are those of the kernels: with 16 bytes less
// each would leave its memory. Plain weights have no zero points, which come last.
func TestSharedMemory(t *testing.T) {
	eachKernel(t, func(t *testing.T, k Kernel) {
		// Groups of one unit with f32 scales and zeros fill every slot of the ring.
		c := cell{kernel: k, m: 9, n: 130, k: 32 * 20, group: 32, zeros: true, exact: true, yKind: KindF32, scaleKind: KindF32, runs: 1}
		c.check(t)
		less := c
		cut := 16
		if c.plain() {
			cut += 2 * k.Outputs
		}
		if k.Family == Stream {
			less.kernel.SharedPerWarp -= cut
		} else {
			less.kernel.Shared -= cut
		}
		_, err := less.launch(t, module(t, k.Module).Entry, less.problem(), schedule(0))
		require.ErrorContains(t, err, "shared")
	})
}
