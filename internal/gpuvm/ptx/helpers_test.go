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

// run1 runs one thread of a kernel body that stores its results through %rd0 and
// gives n words of them.
func run1(t testing.TB, body string, n int) []uint32 {
	t.Helper()
	b := newBench(t, Config{}, nil, 4*n)
	require.NoError(t, b.launch(mustParse(t, kernel(body)).Entry("k"), 1, 1, 0), body)
	return b.words(t)
}

// eval gives the result of one instruction on literals: op names the opcode, and
// the result is a register of the type class given by its prefix (r, rd, f, h).
func eval(t testing.TB, class, op string, args ...string) uint64 {
	t.Helper()
	dst := "%" + class + "9"
	var b strings.Builder
	fmt.Fprintf(&b, "\t%s %s, %s;\n", op, dst, strings.Join(args, ", "))
	n := 1
	switch class {
	case "r":
		b.WriteString("\tst.global.b32 [%rd0], %r9;\n")
	case "f":
		b.WriteString("\tst.global.f32 [%rd0], %f9;\n")
	case "h":
		b.WriteString("\tcvt.u32.u16 %r9, %h9;\n\tst.global.b32 [%rd0], %r9;\n")
	case "rd":
		b.WriteString("\tst.global.b64 [%rd0], %rd9;\n")
		n = 2
	case "fd":
		b.WriteString("\tst.global.f64 [%rd0], %fd9;\n")
		n = 2
	case "p":
		b.WriteString("\tselp.b32 %r9, 1, 0, %p9;\n\tst.global.b32 [%rd0], %r9;\n")
	default:
		t.Fatalf("class %s", class)
	}
	w := run1(t, b.String(), n)
	if n == 2 {
		return uint64(w[0]) | uint64(w[1])<<32
	}
	return uint64(w[0])
}

// wantFault asserts the class of a fault and gives it.
func wantFault(t testing.TB, err error, k Kind) *Fault {
	t.Helper()
	var f *Fault
	require.True(t, errors.As(err, &f), "want a fault %q, got %v", k, err)
	require.Equal(t, k.String(), f.Kind.String(), "%v", err)
	return f
}
