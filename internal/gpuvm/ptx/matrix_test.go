package ptx

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
)

// warpKernel runs one warp: every lane loads n words from in (lane·4n), runs the
// body on %r10.. and stores %r40.. (m words) to out. before runs first.
func warpKernel(n, m int, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "mul.wide.u32 %%rd2, %%r0, %d; add.s64 %%rd3, %%rd1, %%rd2; mul.wide.u32 %%rd4, %%r0, %d; add.s64 %%rd5, %%rd0, %%rd4;\n", 4*n, 4*m)
	for i := range n {
		fmt.Fprintf(&b, "ld.global.u32 %%r%d, [%%rd3+%d];\n", 10+i, 4*i)
	}
	b.WriteString(body + "\n")
	for i := range m {
		fmt.Fprintf(&b, "st.global.u32 [%%rd5+%d], %%r%d;\n", 4*i, 40+i)
	}
	return kernel(b.String())
}

func runWarp(t testing.TB, cfg Config, src string, in []uint32, m int) []uint32 {
	t.Helper()
	raw := make([]byte, 4*len(in))
	for i, v := range in {
		putLE(raw[4*i:4*i+4], uint64(v))
	}
	b := newBench(t, cfg, raw, 32*4*m)
	require.NoError(t, b.launch(mustParse(t, src).Entry("k"), 1, 32, 0))
	return b.words(t)
}

// ldmatrix as the ISA draws it: thread l holds of each matrix row l/4, elements
// 2(l%4) and 2(l%4)+1; with .trans the same of the transposed matrix. Threads 8m
// to 8m+7 have the rows' addresses of matrix m.
func TestLdmatrix(t *testing.T) {
	for _, n := range []int{1, 2, 4} {
		for _, trans := range []bool{false, true} {
			op := fmt.Sprintf("ldmatrix.sync.aligned.m8n8.x%d", n)
			if trans {
				op += ".trans"
			}
			regs := "{%r40"
			for i := 1; i < n; i++ {
				regs += fmt.Sprintf(", %%r%d", 40+i)
			}
			// Rows lie in shared memory in a scattered order: row i at slot i·5 mod 32.
			src := warpKernel(4, n, fmt.Sprintf(`
	.shared .align 16 .b8 s[512];
	mov.u32 %%r1, s;
	mul.lo.s32 %%r2, %%r0, 5; and.b32 %%r2, %%r2, 31; shl.b32 %%r2, %%r2, 4; add.s32 %%r2, %%r2, %%r1;
	st.shared.v4.u32 [%%r2], {%%r10, %%r11, %%r12, %%r13};
	bar.warp.sync -1;
	%s.shared.b16 %s}, [%%r2];`, op, regs))
			in := make([]uint32, 32*4)
			elem := func(matrix, row, col int) uint32 { return uint32(matrix<<8 | row<<4 | col + 1) }
			for lane := range 32 {
				for w := range 4 {
					in[4*lane+w] = elem(lane/8, lane%8, 2*w) | elem(lane/8, lane%8, 2*w+1)<<16
				}
			}
			out := runWarp(t, Config{}, src, in, n)
			for lane := range 32 {
				for m := range n {
					r, c := lane/4, lane%4*2
					want := elem(m, r, c) | elem(m, r, c+1)<<16
					if trans {
						want = elem(m, c, r) | elem(m, c+1, r)<<16
					}
					require.Equal(t, want, out[lane*n+m], "%s lane %d matrix %d", op, lane, m)
				}
			}
		}
	}
}

// A shape gives the place of every element in the fragments, as the ISA's
// formulas do: for lane and index i of the element.
type shape struct {
	name    string
	m, n, k int
	ea, eb  int // elements of A and B per lane
	a, b, c func(g, t, i int) (row, col int)
	bits    int // of an element of A and B
}

func accumulator(g, t, i int) (int, int) { return g + i/2*8, t*2 + i&1 }

var floatShapes = []shape{
	{"m16n8k16", 16, 8, 16, 8, 4,
		func(g, t, i int) (int, int) { // row: groupID for i in {0,1,4,5}; col: +8 for i ≥ 4
			row, col := g+8, t*2+i&1
			if i < 2 || i >= 4 && i < 6 {
				row = g
			}
			if i >= 4 {
				col += 8
			}
			return row, col
		},
		func(g, t, i int) (int, int) {
			row := t*2 + i&1
			if i >= 2 {
				row += 8
			}
			return row, g
		}, accumulator, 16},
	{"m16n8k8", 16, 8, 8, 4, 2,
		func(g, t, i int) (int, int) {
			row := g
			if i >= 2 {
				row += 8
			}
			return row, t*2 + i&1
		},
		func(g, t, i int) (int, int) { return t*2 + i, g }, accumulator, 16},
}

var intShapes = []shape{
	{"m16n8k32", 16, 8, 32, 16, 8,
		func(g, t, i int) (int, int) { // row g for i in 0..3 and 8..11; col +16 for i ≥ 8
			row, col := g+8, t*4+i&3
			if i < 4 || i >= 8 && i < 12 {
				row = g
			}
			if i >= 8 {
				col += 16
			}
			return row, col
		},
		func(g, t, i int) (int, int) {
			row := t*4 + i&3
			if i >= 4 {
				row += 16
			}
			return row, g
		}, accumulator, 8},
	{"m16n8k16", 16, 8, 16, 8, 4,
		func(g, t, i int) (int, int) {
			row := g
			if i >= 4 {
				row += 8
			}
			return row, t*4 + i&3
		},
		func(g, t, i int) (int, int) { return t*4 + i, g }, accumulator, 8},
	{"m8n8k16", 8, 8, 16, 4, 4,
		func(g, t, i int) (int, int) { return g, t*4 + i },
		func(g, t, i int) (int, int) { return t*4 + i, g },
		func(g, t, i int) (int, int) { return g, t*2 + i }, 8},
}

// runMma packs the matrices into fragments, runs one mma and unpacks D.
func (s shape) run(t testing.TB, cfg Config, types string, a, b func(row, col int) uint32, c func(row, col int) uint32) [16][8]uint32 {
	t.Helper()
	na, nb, nc := s.ea*s.bits/32, s.eb*s.bits/32, s.m*s.n/32
	in := make([]uint32, 32*(na+nb+nc))
	per := 32 / s.bits
	for lane := range 32 {
		g, th := lane/4, lane%4
		at := in[lane*(na+nb+nc):]
		for i := range s.ea {
			row, col := s.a(g, th, i)
			at[i/per] |= a(row, col) << (i % per * s.bits)
		}
		for i := range s.eb {
			row, col := s.b(g, th, i)
			at[na+i/per] |= b(row, col) << (i % per * s.bits)
		}
		for i := range nc {
			row, col := s.c(g, th, i)
			at[na+nb+i] = c(row, col)
		}
	}
	list := func(from, n int) string {
		var r []string
		for i := range n {
			r = append(r, fmt.Sprintf("%%r%d", from+i))
		}
		return "{" + strings.Join(r, ", ") + "}"
	}
	op := fmt.Sprintf("mma.sync.aligned.%s.row.col.%s %s, %s, %s, %s;", s.name, types, list(40, nc), list(10, na), list(10+na, nb), list(10+na+nb, nc))
	out := runWarp(t, cfg, warpKernel(na+nb+nc, nc, op), in, nc)
	var d [16][8]uint32
	for lane := range 32 {
		for i := range nc {
			row, col := s.c(lane/4, lane%4, i)
			d[row][col] = out[lane*nc+i]
		}
	}
	return d
}

func TestMmaIntegers(t *testing.T) {
	for _, s := range intShapes {
		for _, types := range []string{"s32.s8.s8.s32", "s32.u8.u8.s32", "s32.s8.u8.s32", "s32.u8.s8.s32", "satfinite.s32.s8.s8.s32"} {
			g := rng(len(types) + s.k)
			var a, b [32][32]uint32
			var c [16][8]uint32
			for i := range 32 {
				for j := range 32 {
					a[i][j], b[i][j] = uint32(g.next()&255), uint32(g.next()&255)
				}
			}
			for i := range c {
				for j := range c[i] {
					c[i][j] = uint32(g.next() >> 40)
				}
			}
			c[3][3], c[4][4] = 0x7fffffff, 0x80000000
			parts := strings.Split(strings.TrimPrefix(types, "satfinite."), ".")
			num := func(v uint32, typ string) int64 {
				if typ == "s8" {
					return int64(int8(v))
				}
				return int64(v)
			}
			d := s.run(t, Config{}, types, func(r, k int) uint32 { return a[r][k] }, func(k, col int) uint32 { return b[k][col] }, func(r, col int) uint32 { return c[r][col] })
			for r := range s.m {
				for col := range s.n {
					sum := int64(int32(c[r][col]))
					for k := range s.k {
						sum += num(a[r][k], parts[1]) * num(b[k][col], parts[2])
					}
					if strings.HasPrefix(types, "sat") {
						sum = min(max(sum, math.MinInt32), math.MaxInt32)
					}
					require.Equal(t, uint32(sum), d[r][col], "%s %s %d,%d", s.name, types, r, col)
				}
			}
		}
	}
}

// Small integers: exact in every model, so that the layout alone is tested.
func TestMmaFloatLayout(t *testing.T) {
	for _, s := range floatShapes {
		for _, typ := range []string{"f16", "bf16"} {
			for _, model := range []MMAModel{MMATruncate, MMAExact} {
				enc := func(v float32) uint32 { return uint32(dtype.F16FromF32(v)) }
				if typ == "bf16" {
					enc = func(v float32) uint32 { return uint32(dtype.BF16FromF32(v)) }
				}
				a := func(r, k int) float32 { return float32((r*7+k*3)%19 - 9) }
				b := func(k, c int) float32 { return float32((k*5+c*11)%17-8) / 4 }
				c := func(r, col int) float32 { return float32(r*100 - col) }
				d := s.run(t, Config{MMA: model}, "f32."+typ+"."+typ+".f32",
					func(r, k int) uint32 { return enc(a(r, k)) }, func(k, col int) uint32 { return enc(b(k, col)) },
					func(r, col int) uint32 { return math.Float32bits(c(r, col)) })
				for r := range s.m {
					for col := range s.n {
						want := float64(c(r, col))
						for k := range s.k {
							want += float64(a(r, k)) * float64(b(k, col))
						}
						require.Equal(t, want, float64(math.Float32frombits(d[r][col])), "%s %s %d,%d", s.name, typ, r, col)
					}
				}
			}
		}
	}
}

// one evaluates a single element: a[0][k]·b[k][0] + c.
func oneElement(t *testing.T, cfg Config, a, b [16]float32, c float32) float32 {
	d := floatShapes[0].run(t, cfg, "f32.f16.f16.f32",
		func(r, k int) uint32 { return uint32(dtype.F16FromF32(a[k])) * uint32(b2u(r == 0)) },
		func(k, col int) uint32 { return uint32(dtype.F16FromF32(b[k])) * uint32(b2u(col == 0)) },
		func(r, col int) uint32 { return math.Float32bits(c) * uint32(b2u(r == 0 && col == 0)) })
	return math.Float32frombits(d[0][0])
}

// The tests of Fasi et al., section 3, for what they found on the A100.
func TestMmaTruncates(t *testing.T) {
	trunc, exact := Config{}, Config{MMA: MMAExact}
	tiny := float32(0x1p-12)
	pair := func(n int, v float32) (a, b [16]float32) { // n products v·v
		for i := range n {
			a[i], b[i] = v, v
		}
		return a, b
	}
	// 1 + 2^-24: one bit behind float32's last is kept in the sum, then cut off.
	a, b := pair(1, tiny)
	require.Equal(t, float32(1), oneElement(t, trunc, a, b, 1))
	// Two of them make a whole last place: the extra bit is there.
	a, b = pair(2, tiny)
	require.Equal(t, float32(1+0x1p-23), oneElement(t, trunc, a, b, 1))
	// Four of 2^-26 would too, but lie beyond the extra bit.
	a, b = pair(4, 0x1p-13)
	require.Equal(t, float32(1), oneElement(t, trunc, a, b, 1))
	require.Equal(t, float32(1), oneElement(t, exact, a, b, 1), "2^-24 is a tie to even")
	a, b = pair(5, 0x1p-13)
	require.Equal(t, float32(1+0x1p-23), oneElement(t, exact, a, b, 1))
	// Toward zero, for negative sums too.
	a, b = pair(1, tiny)
	a[0] = -a[0]
	require.Equal(t, float32(-1), oneElement(t, trunc, a, b, -1))
	require.Equal(t, float32(1-0x1p-24), oneElement(t, trunc, a, b, 1), "below 1 the place is half as large")
	// Blocks of eight, the first first: what the first sum lost is lost.
	a, b = [16]float32{}, [16]float32{}
	a[0], b[0] = 1024, 1024 // 2^20
	a[1], b[1] = 0x1p-5, 1
	a[8], b[8] = -1024, 1024
	require.Equal(t, float32(0), oneElement(t, trunc, a, b, 0))
	require.Equal(t, float32(0x1p-5), oneElement(t, exact, a, b, 0))
	a[1], b[1] = 0x1p-3, 1
	require.Equal(t, float32(0x1p-3), oneElement(t, trunc, a, b, 0), "within the 24 bits")
	// Subnormal operands and results count.
	a, b = pair(1, 0x1p-24)
	require.Equal(t, float32(0x1p-48), oneElement(t, trunc, a, b, 0))
	require.Equal(t, float32(0x1p-149), oneElement(t, trunc, [16]float32{}, [16]float32{}, 0x1p-149))
	// Infinities and NaN.
	inf := float32(math.Inf(1))
	a, b = pair(1, inf)
	require.Equal(t, inf, oneElement(t, trunc, a, b, 1))
	require.True(t, math.IsNaN(float64(oneElement(t, trunc, a, b, -inf))))
	b[0] = 0
	require.True(t, math.IsNaN(float64(oneElement(t, exact, a, b, 1))))
	require.Equal(t, inf, oneElement(t, trunc, [16]float32{}, [16]float32{}, inf))
	a, b = pair(16, 60000)
	require.Equal(t, float32(math.MaxFloat32), oneElement(t, trunc, a, b, math.MaxFloat32))
	// Overflow in the first block stays infinite in the second.
	d := floatShapes[0].run(t, trunc, "f32.bf16.bf16.f32", func(_, k int) uint32 { return uint32(dtype.BF16FromF32(float32(1 - 2*(k/8)))) },
		func(_, _ int) uint32 { return uint32(dtype.BF16FromF32(0x1p127)) }, func(_, _ int) uint32 { return 0 })
	require.Equal(t, inf, math.Float32frombits(d[15][7]))
}

// Both models stay within the error that any order of float32 roundings has.
func TestMmaModelsAgree(t *testing.T) {
	g := rng(5)
	s := floatShapes[0]
	var a, b [16][16]float32
	for i := range 16 {
		for k := range 16 {
			a[i][k] = dtype.F16ToF32(uint16(g.next()) & 0xbfff)
			b[i][k] = dtype.F16ToF32(uint16(g.next()) & 0xbfff)
		}
	}
	get := func(m MMAModel) [16][8]uint32 {
		return s.run(t, Config{MMA: m}, "f32.f16.f16.f32", func(r, k int) uint32 { return uint32(dtype.F16FromF32(a[r][k])) },
			func(k, c int) uint32 { return uint32(dtype.F16FromF32(b[k][c])) }, func(r, c int) uint32 { return math.Float32bits(float32(r - c)) })
	}
	x, y := get(MMATruncate), get(MMAExact)
	for r := range 16 {
		for c := range 8 {
			sum, abs := float64(r-c), math.Abs(float64(r-c))
			for k := range 16 {
				p := float64(a[r][k]) * float64(b[k][c])
				sum, abs = sum+p, abs+math.Abs(p)
			}
			require.Equal(t, float32(sum), math.Float32frombits(y[r][c]))
			require.InDelta(t, sum, float64(math.Float32frombits(x[r][c])), abs*16*0x1p-23)
		}
	}
}

// An undefined row of A or column of B spoils its own row or column of D.
func TestMmaUndefined(t *testing.T) {
	body := func(cond string, store string) string {
		return kernel(`
	mov.b32 %r10, 0; mov.b32 %r11, 0; mov.b32 %r12, 0; mov.b32 %r14, 0; mov.b32 %r15, 0; mov.b32 %r16, 0;
	shr.u32 %r1, %r0, 2; and.b32 %r2, %r0, 3;
	` + cond + ` mov.b32 %r13, 0;
	mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r40, %r41, %r42, %r43}, {%r10, %r13, %r11, %r12}, {%r14, %r15}, {%r16, %r16, %r16, %r16};
	mul.wide.u32 %rd2, %r0, 4; add.s64 %rd3, %rd0, %rd2;
	` + store)
	}
	run := func(src string) error {
		b := newBench(t, Config{}, nil, 128)
		return b.launch(mustParse(t, src).Entry("k"), 1, 32, 0)
	}
	// Register 1 of A is row g+8: undefined in lane 8, row 10, elements c2 and c3 of lanes 8..11.
	lane8 := "setp.ne.s32 %p1, %r0, 8; @%p1"
	require.NoError(t, run(body(lane8, "st.global.u32 [%rd3], %r40; st.global.u32 [%rd3], %r41;")))
	wantFault(t, run(body(lane8, "st.global.u32 [%rd3], %r42;")), Uninitialised)
	require.NoError(t, run(body(lane8, "setp.ne.s32 %p2, %r1, 2; @%p2 st.global.u32 [%rd3], %r43;")))
	wantFault(t, run(body("setp.eq.s32 %p1, %r0, 0; @!%p1", "@!%p1 st.global.u32 [%rd3], %r42;")), Uninitialised)
}

func TestWholeWarpOnly(t *testing.T) {
	for _, op := range []string{
		"ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r40}, [%r1];",
		"mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%r40, %r41, %r42, %r43}, {%r2, %r2}, {%r2}, {%r2, %r2, %r2, %r2};",
	} {
		body := ".shared .align 16 .b8 s[512]; mov.u32 %r1, s; mov.u32 %r2, 0; st.shared.v4.u32 [%r1], {%r2, %r2, %r2, %r2};\n"
		faultOf(t, PartialWarp, body+op, 31)
		faultOf(t, PartialWarp, body+"setp.lt.s32 %p1, %r0, 16; @%p1 "+op, 32)
		faultOf(t, PartialWarp, body+"setp.lt.s32 %p1, %r0, 16; @%p1 ret;\n"+op, 32)
	}
	faultOf(t, Misaligned, ".shared .align 16 .b8 s[512]; mov.u32 %r1, s; ldmatrix.sync.aligned.m8n8.x1.shared.b16 %r40, [%r1+8];", 32)
	faultOf(t, Bounds, ".shared .align 16 .b8 s[512]; mov.u32 %r1, s; ldmatrix.sync.aligned.m8n8.x1.shared.b16 %r40, [%r1+512];", 32)
	faultOf(t, Operand, "ldmatrix.sync.aligned.m8n8.x1.b16 {%r40}, [%rd1];", 32)
}
