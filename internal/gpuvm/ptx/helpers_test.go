package ptx

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// header starts every test module.
const header = ".version 7.1\n.target sm_80\n.address_size 64\n"

// mustParse parses a module or ends the test.
func mustParse(t testing.TB, src string) *Module {
	t.Helper()
	m, err := Parse(t.Name(), []byte(src))
	require.NoError(t, err)
	return m
}

// kernel wraps a body in an entry k with the parameters out and in, both .u64,
// and registers of every type. %rd0 holds out, %rd1 in, %r0 the thread's number.
func kernel(body string) string {
	return header + `
.visible .entry k(.param .u64 out, .param .u64 in, .param .u32 n)
{
	.reg .pred %p<16>;
	.reg .b16 %h<32>;
	.reg .b32 %r<64>;
	.reg .b64 %rd<32>;
	.reg .f32 %f<32>;
	.reg .f64 %fd<16>;
	ld.param.u64 %rd0, [out];
	ld.param.u64 %rd1, [in];
	mov.u32 %r0, %tid.x;
` + body + `
	ret;
}
`
}

// A bench is a machine with a buffer for in and one for out.
type bench struct {
	m       *Machine
	in, out uint64
	n       int
}

func newBench(t testing.TB, cfg Config, inBytes []byte, outBytes int) *bench {
	t.Helper()
	b := &bench{m: NewMachine(cfg), n: outBytes}
	var err error
	b.in, err = b.m.Alloc(max(len(inBytes), 16))
	require.NoError(t, err)
	require.NoError(t, b.m.Write(b.in, inBytes))
	b.out, err = b.m.Alloc(max(outBytes, 16))
	require.NoError(t, err)
	return b
}

func (b *bench) launch(e *Entry, grid, block uint32, n uint64) error {
	return b.m.Launch(context.Background(), e, Launch{Grid: [3]uint32{grid, 1, 1}, Block: [3]uint32{block, 1, 1}, Args: []uint64{b.out, b.in, n}})
}

func (b *bench) words(t testing.TB) []uint32 {
	t.Helper()
	buf := make([]byte, b.n)
	require.NoError(t, b.m.Read(buf, b.out))
	w := make([]uint32, b.n/4)
	for i := range w {
		w[i] = uint32(getLE(buf[4*i : 4*i+4]))
	}
	return w
}

// A row is the sources of one evaluation, as bits.
type row [4]uint64

// rows evaluates one instruction for many rows, a thread each. The sources may
// be any of %r10 to %r13, %rd10, %h10, %f10, %fd10 and so on: all hold the row's
// values at their width. The instruction writes %r9, %rd9, %h9, %f9, %fd9 or %p9;
// its bits come back.
func rows(t testing.TB, instruction string, in []row) []uint64 {
	t.Helper()
	var b strings.Builder
	b.WriteString(`
	mov.u32 %r1, %ctaid.x;
	mad.lo.s32 %r0, %r1, 256, %r0;
	ld.param.u32 %r2, [n];
	setp.ge.u32 %p0, %r0, %r2;
	@%p0 bra $end;
	mul.wide.u32 %rd2, %r0, 32;
	add.s64 %rd3, %rd1, %rd2;
	mul.wide.u32 %rd4, %r0, 8;
	add.s64 %rd5, %rd0, %rd4;
`)
	for i := range 4 {
		k := 10 + i
		fmt.Fprintf(&b, "ld.global.u64 %%rd%d, [%%rd3+%d]; cvt.u32.u64 %%r%d, %%rd%d; cvt.u16.u64 %%h%d, %%rd%d;\n", k, 8*i, k, k, k, k)
		fmt.Fprintf(&b, "mov.b32 %%f%d, %%r%d; mov.b64 %%fd%d, %%rd%d; setp.ne.s32 %%p%d, %%r%d, 0;\n", k, k, k, k, k, k)
	}
	b.WriteString(instruction + "\n")
	switch {
	case strings.Contains(instruction, "%rd9"):
	case strings.Contains(instruction, "%r9"):
		b.WriteString("cvt.u64.u32 %rd9, %r9;\n")
	case strings.Contains(instruction, "%h9"):
		b.WriteString("cvt.u64.u16 %rd9, %h9;\n")
	case strings.Contains(instruction, "%fd9"):
		b.WriteString("mov.b64 %rd9, %fd9;\n")
	case strings.Contains(instruction, "%f9"):
		b.WriteString("mov.b32 %r9, %f9; cvt.u64.u32 %rd9, %r9;\n")
	default:
		b.WriteString("selp.b64 %rd9, 1, 0, %p9;\n")
	}
	b.WriteString("st.global.u64 [%rd5], %rd9;\n$end:\n")
	src := make([]byte, 0, 32*len(in))
	for _, r := range in {
		for _, v := range r {
			src = append(src, le8(v)...)
		}
	}
	be := newBench(t, Config{Workers: 1}, src, 8*len(in))
	require.NoError(t, be.launch(mustParse(t, kernel(b.String())).Entry("k"), uint32(len(in)+255)/256, 256, uint64(len(in))), instruction)
	w := be.words(t)
	out := make([]uint64, len(in))
	for i := range out {
		out[i] = uint64(w[2*i]) | uint64(w[2*i+1])<<32
	}
	return out
}

func le8(v uint64) []byte {
	b := make([]byte, 8)
	putLE(b, v)
	return b
}

// A given is one line of a table: an instruction, its sources, its result.
type given struct {
	instruction string
	in          row
	want        uint64
}

// check evaluates a table.
func check(t *testing.T, table []given) {
	t.Helper()
	for _, g := range table {
		require.Equal(t, fmt.Sprintf("0x%x", g.want), fmt.Sprintf("0x%x", rows(t, g.instruction, []row{g.in})[0]), "%s %x", g.instruction, g.in)
	}
}

// randomRows makes rows of bits that lie at the edges as often as not.
func randomRows(n int, seed uint64) []row {
	g := rng(seed)
	edges := []uint64{0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 63, 1<<63 - 1, ^uint64(0)}
	out := make([]row, n)
	for i := range out {
		for k := range out[i] {
			out[i][k] = g.next() >> (g.next() & 63)
			if g.below(4) == 0 {
				out[i][k] = edges[g.below(len(edges))] ^ g.next()&1
			}
		}
	}
	return out
}

// wantFault asserts the class of a fault and gives it.
func wantFault(t testing.TB, err error, k Kind) *Fault {
	t.Helper()
	var f *Fault
	require.True(t, errors.As(err, &f), "want a fault %q, got %v", k, err)
	require.Equal(t, k.String(), f.Kind.String(), "%v", err)
	return f
}
