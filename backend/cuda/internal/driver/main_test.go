//go:build cuda && cgo && linux

package driver

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ebitengine/purego"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/csrc/cuda/fake"
	"github.com/bitlane/bitlane/csrc/cuda/fakelt"
)

// The tests run on the stand-ins for libcuda.so.1 and libcublasLt.so.12, which the
// first process builds and starts itself with. With -device they run on the driver of the
// machine, but for those that look into the stand-in.
var device = flag.Bool("device", false, "run on the driver and device 0 of this machine")

const standIn = "BITLANE_DRIVER_TEST_STAND_IN"

func TestMain(m *testing.M) {
	flag.Parse()
	if *device || os.Getenv(standIn) != "" {
		os.Exit(m.Run())
	}
	os.Exit(runOnStandIn())
}

func runOnStandIn() int {
	dir, err := os.MkdirTemp("", "bitlane-driver-test-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(fake.Build(dir), fakelt.Build(dir, fakelt.Name)); err != nil {
		fmt.Println(err)
		return 1
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Env = append(os.Environ(), standIn+"="+dir, "LD_LIBRARY_PATH="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func needsStandIn(t *testing.T) {
	t.Helper()
	if *device {
		t.Skip("looks into the stand-in, and this run is on a device")
	}
}

// mark names the test that a child process runs.
const mark = "BITLANE_DRIVER_TEST_CHILD"

// inChild does in a child process what run does, and ends it.
func inChild(t *testing.T, run func()) {
	if os.Getenv(mark) == t.Name() {
		run()
		os.Exit(0)
	}
}

// child runs one test of this binary in a process of its own, where run says
// what it does, and returns what it printed before anything else.
func child(t *testing.T, run func(), env ...string) string {
	t.Helper()
	inChild(t, run)
	args := []string{"-test.run=^" + strings.Split(t.Name(), "/")[0] + "$"}
	if *device {
		args = append(args, "-device")
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), mark+"="+t.Name()), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// counts is fake_counts of the stand-in.
type counts struct{ Contexts, Memories, Hosts, Modules, Streams, Events, Graphs, Depth int64 }

// alive asks the stand-in what is alive.
func alive(t *testing.T) (c counts) {
	t.Helper()
	ask(t, fake.Name, "fake_alive", &c)
	return c
}

// denseCounts is fakelt_counts of the other stand-in.
type denseCounts struct{ Handles, Operations, Preferences int64 }

func aliveDense(t *testing.T) (c denseCounts) {
	t.Helper()
	ask(t, fakelt.Name, "fakelt_alive", &c)
	return c
}

func ask[C any](t *testing.T, library, function string, to *C) {
	t.Helper()
	opened, err := purego.Dlopen(library, purego.RTLD_LAZY|purego.RTLD_LOCAL)
	require.NoError(t, err)
	var call func(*C)
	purego.RegisterLibFunc(&call, opened, function)
	call(to)
}

// open returns a context on device 0, and checks at the end that nothing that
// was made in it is left.
func open(t *testing.T) Context {
	t.Helper()
	system, err := System()
	require.NoError(t, err)
	ctx, err := system.Open(0, 0)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, ctx.Close())
		if !*device {
			require.Equal(t, counts{}, alive(t))
			require.Equal(t, denseCounts{}, aliveDense(t))
		}
	})
	return ctx
}

// newStream returns a stream of ctx that the test need not close.
func newStream(t *testing.T, ctx Context) Stream {
	t.Helper()
	s, err := ctx.NewStream()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// alloc returns memory of ctx that the test need not free.
func alloc(t *testing.T, ctx Context, bytes int64) Ptr {
	t.Helper()
	p, err := ctx.Alloc(bytes)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ctx.Free(p)) })
	return p
}

// kernels is PTX of two kernels that the stand-in has in C: report(out, a, b,
// c, d) writes its arguments and its launch as 12 words; add(p, v) adds v to
// the word at p. Only the first thread does.
const kernels = `.version 7.1
.target sm_80
.address_size 64

.extern .shared .align 4 .b8 dynamic[];

.visible .entry report(.param .u64 out, .param .u64 a, .param .u32 b, .param .f32 c, .param .u32 d)
{
	.reg .pred %p;
	.reg .b32 %r<12>;
	.reg .b64 %d<3>;
	mov.u32 %r0, %tid.x;
	mov.u32 %r1, %ctaid.x;
	or.b32 %r0, %r0, %r1;
	setp.ne.u32 %p, %r0, 0;
	@%p bra DONE;
	ld.param.u64 %d0, [out];
	cvta.to.global.u64 %d0, %d0;
	ld.param.u64 %d1, [a];
	st.global.u64 [%d0], %d1;
	ld.param.u32 %r0, [b];
	st.global.u32 [%d0+8], %r0;
	ld.param.b32 %r0, [c];
	st.global.u32 [%d0+12], %r0;
	ld.param.u32 %r0, [d];
	st.global.u32 [%d0+16], %r0;
	mov.u32 %r0, %nctaid.x;
	st.global.u32 [%d0+20], %r0;
	mov.u32 %r0, %nctaid.y;
	st.global.u32 [%d0+24], %r0;
	mov.u32 %r0, %nctaid.z;
	st.global.u32 [%d0+28], %r0;
	mov.u32 %r0, %ntid.x;
	st.global.u32 [%d0+32], %r0;
	mov.u32 %r0, %ntid.y;
	st.global.u32 [%d0+36], %r0;
	mov.u32 %r0, %ntid.z;
	st.global.u32 [%d0+40], %r0;
	mov.u32 %r0, %dynamic_smem_size;
	st.global.u32 [%d0+44], %r0;
DONE:
	ret;
}

.visible .entry add(.param .u64 p, .param .u32 v)
{
	.reg .pred %q;
	.reg .b32 %r<3>;
	.reg .b64 %d;
	mov.u32 %r0, %tid.x;
	setp.ne.u32 %q, %r0, 0;
	@%q bra DONE;
	ld.param.u64 %d, [p];
	cvta.to.global.u64 %d, %d;
	ld.param.u32 %r0, [v];
	ld.global.u32 %r1, [%d];
	add.u32 %r2, %r0, %r1;
	st.global.u32 [%d], %r2;
DONE:
	ret;
}
`
