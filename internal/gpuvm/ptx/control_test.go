package ptx

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// laneWords runs one block and gives the word that each thread stored from %r40.
func laneWords(t *testing.T, cfg Config, threads uint32, body string) []uint32 {
	t.Helper()
	out, err := launchBody(t, cfg, body+"\n mul.wide.u32 %rd2, %r0, 4; add.s64 %rd3, %rd0, %rd2; st.global.u32 [%rd3], %r40;", nil, int(4*threads), threads)
	require.NoError(t, err, body)
	return out
}

func TestDivergence(t *testing.T) {
	// Collatz steps: lanes leave the loop at different times and meet behind it.
	collatz := `
	add.s32 %r1, %r0, 1; mov.u32 %r40, 0;
$loop:
	setp.eq.s32 %p1, %r1, 1;
	@%p1 bra $done;
	and.b32 %r2, %r1, 1;
	setp.eq.s32 %p2, %r2, 0;
	@%p2 bra $even;
	mad.lo.s32 %r1, %r1, 3, 1;
	bra.uni $next;
$even:
	shr.u32 %r1, %r1, 1;
$next:
	add.s32 %r40, %r40, 1;
	bra.uni $loop;
$done:
	activemask.b32 %r3;
	popc.b32 %r3, %r3;
	shl.b32 %r3, %r3, 16;
	or.b32 %r40, %r40, %r3;
`
	for i, w := range laneWords(t, Config{}, 40, collatz) {
		n, steps := i+1, 0
		for ; n != 1; steps++ {
			if n%2 == 0 {
				n /= 2
			} else {
				n = 3*n + 1
			}
		}
		together := 32
		if i >= 32 {
			together = 8
		}
		require.Equal(t, uint32(together<<16|steps), w, "thread %d", i)
	}
	// Nested branches, one side of which leaves for good.
	got := laneWords(t, Config{}, 32, `
	mov.u32 %r40, 0;
	setp.lt.u32 %p1, %r0, 16;
	@%p1 bra $low;
	add.s32 %r40, %r40, 1;
	setp.lt.u32 %p2, %r0, 24;
	@!%p2 bra $join;
	add.s32 %r40, %r40, 10;
	bra $join;
$low:
	add.s32 %r40, %r40, 100;
	setp.lt.u32 %p3, %r0, 8;
	@%p3 add.s32 %r40, %r40, 1000;
$join:
	bar.warp.sync 0xffffffff;
	vote.sync.ballot.b32 %r2, %p1, 0xffffffff;
	popc.b32 %r2, %r2;
	mad.lo.s32 %r40, %r2, 10000, %r40;`)
	for i, w := range got {
		require.EqualValues(t, 160000+[]int{1100, 100, 11, 1}[i/8], w)
	}
}

func TestBranchTable(t *testing.T) {
	got := laneWords(t, Config{}, 32, `
	and.b32 %r1, %r0, 3;
$table: .branchtargets $a, $b, $c, $b;
	brx.idx %r1, $table;
$a:
	mov.u32 %r40, 1; bra.uni $end;
$b:
	mov.u32 %r40, 2; bra.uni $end;
$c:
	mov.u32 %r40, 3;
$end:
	bar.sync 0;`)
	for i, w := range got {
		require.EqualValues(t, []int{1, 2, 3, 2}[i%4], w)
	}
	faultOf(t, Operand, "$t: .branchtargets $a; brx.idx %r0, $t;\n$a: bar.sync 0;", 32)
}

func TestBarriers(t *testing.T) {
	// A count through bar.red, over whole and partial warps.
	for _, threads := range []uint32{32, 64, 70} {
		for i, w := range laneWords(t, Config{}, threads, `
	setp.lt.u32 %p1, %r0, 40;
	bar.red.popc.u32 %r40, 0, %p1;
	bar.red.and.pred %p2, 0, %p1;
	bar.red.or.pred %p3, 0, !%p1;
	selp.b32 %r1, 1000, 0, %p2; selp.b32 %r2, 10000, 0, %p3;
	add.s32 %r40, %r40, %r1; add.s32 %r40, %r40, %r2;`) {
			want := min(threads, 40)
			if threads <= 40 {
				want += 1000
			} else {
				want += 10000
			}
			require.Equal(t, want, w, "thread %d of %d", i, threads)
		}
	}
	// Warps that have exited are not waited for.
	_, err := launchBody(t, Config{}, "setp.ge.u32 %p1, %r0, 32; @%p1 exit; bar.sync 0;", nil, 16, 128)
	require.NoError(t, err)
	// A producer arrives, a consumer waits: a named barrier with a count orders both.
	handover := `
	.shared .align 4 .b32 s[32];
	and.b32 %r1, %r0, 31; shl.b32 %r1, %r1, 2; mov.u32 %r2, s; add.s32 %r2, %r2, %r1;
	mov.u32 %r40, 0;
	setp.ge.u32 %p1, %r0, 32;
	@%p1 bra $consumer;
	st.shared.u32 [%r2], %r0;
	bar.arrive 3, 64;
	bra.uni $end;
$consumer:
	bar.sync 3, 64;
	ld.shared.u32 %r40, [%r2];
$end:
`
	for i, w := range laneWords(t, Config{}, 64, handover) {
		require.EqualValues(t, max(i-32, 0), w)
	}
	after := strings.Replace(handover, "bar.arrive 3, 64;", "bar.arrive 3, 64; st.shared.u32 [%r2], %r0;", 1)
	_, err = launchBody(t, Config{}, after, nil, 256, 64)
	wantFault(t, err, Race)

	faultOf(t, PartialWarp, "setp.lt.u32 %p1, %r0, 16; @%p1 bar.sync 0;", 32)
	faultOf(t, PartialWarp, "setp.lt.u32 %p1, %r0, 16; @%p1 bra $x; bar.sync 0;\n$x: mov.u32 %r1, 0;", 32)
	f := faultOf(t, Deadlock, "setp.lt.u32 %p1, %r0, 32; @%p1 bra $x; bar.sync 1;\nbra.uni $y;\n$x: bar.sync 2;\n$y: mov.u32 %r1, 0;", 64)
	require.Contains(t, f.Detail, "others wait at line")
	faultOf(t, Deadlock, "setp.lt.u32 %p1, %r0, 32; @%p1 exit; bar.sync 0, 64;", 64)
	faultOf(t, Operand, "bar.sync 16;", 32)
	faultOf(t, Operand, "bar.sync 0, 48;", 64)
	faultOf(t, Operand, "bar.sync %r0;", 32)
}

func TestNoProgress(t *testing.T) {
	spin := "ld.volatile.global.u32 %r1, [%rd1]; $l: ld.relaxed.gpu.global.u32 %r2, [%rd1]; setp.eq.s32 %p1, %r2, %r1; @%p1 bra $l;"
	_, err := launchBody(t, Config{StepLimit: 10000}, spin, make([]byte, 16), 16, 32)
	wantFault(t, err, NoProgress)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	b := newBench(t, Config{StepLimit: 1 << 60}, make([]byte, 16), 16)
	err = b.m.Launch(ctx, mustParse(t, kernel(spin)).Entry("k"), Launch{Grid: [3]uint32{2, 1, 1}, Block: [3]uint32{32, 1, 1}, Args: []uint64{b.out, b.in, 0}})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestSpecialRegisters(t *testing.T) {
	src := header + `
.visible .entry k(.param .u64 out)
{
	.reg .b32 %r<40>; .reg .b64 %rd<8>;
	ld.param.u64 %rd0, [out];
	mov.u32 %r0, %tid.x; mov.u32 %r1, %tid.y; mov.u32 %r2, %tid.z;
	mov.u32 %r3, %ntid.x; mov.u32 %r4, %ntid.y; mov.u32 %r5, %ntid.z;
	mov.u32 %r6, %ctaid.x; mov.u32 %r7, %ctaid.y; mov.u32 %r8, %ctaid.z;
	mov.u32 %r9, %nctaid.x; mov.u32 %r10, %nctaid.y; mov.u32 %r11, %nctaid.z;
	mov.u32 %r12, %laneid; mov.u32 %r13, %warpid; mov.u32 %r14, %nwarpid;
	mov.u32 %r15, %lanemask_eq; mov.u32 %r16, %lanemask_lt; mov.u32 %r17, %lanemask_le; mov.u32 %r18, %lanemask_gt; mov.u32 %r19, %lanemask_ge;
	mad.lo.s32 %r20, %r8, %r10, %r7; mad.lo.s32 %r20, %r20, %r9, %r6;
	mad.lo.s32 %r20, %r20, %r5, %r2; mad.lo.s32 %r20, %r20, %r4, %r1; mad.lo.s32 %r20, %r20, %r3, %r0;
	mul.wide.u32 %rd1, %r20, 80; add.s64 %rd2, %rd0, %rd1;
`
	for i := 0; i < 20; i += 4 {
		src += fmt.Sprintf("st.global.v4.u32 [%%rd2+%d], {%%r%d, %%r%d, %%r%d, %%r%d};\n", 4*i, i, i+1, i+2, i+3)
	}
	e := mustParse(t, src+"}").Entry("k")
	m := NewMachine(Config{})
	const blocks, threads = 2 * 3 * 2, 5 * 4 * 3
	out, err := m.Alloc(blocks * threads * 80)
	require.NoError(t, err)
	require.NoError(t, m.Launch(t.Context(), e, Launch{Grid: [3]uint32{2, 3, 2}, Block: [3]uint32{5, 4, 3}, Args: []uint64{out}}))
	buf := make([]byte, blocks*threads*80)
	require.NoError(t, m.Read(buf, out))
	for b := range blocks {
		for th := range threads {
			var got []int
			for i := range 20 {
				at := ((b*threads+th)*20 + i) * 4
				got = append(got, int(uint32(getLE(buf[at:at+4]))))
			}
			lane := th % 32
			want := []int{th % 5, th / 5 % 4, th / 20, 5, 4, 3, b % 2, b / 2 % 3, b / 6, 2, 3, 2, lane, th / 32, 2,
				1 << lane, 1<<lane - 1, 2<<lane - 1, 0xffffffff &^ (2<<lane - 1), 0xffffffff &^ (1<<lane - 1)}
			require.Equal(t, want, got, "block %d thread %d", b, th)
		}
	}
	_, err = Parse("x", []byte(kernel("mov.u32 %r1, %clock;")))
	require.ErrorContains(t, err, "%clock")
}

func TestLaunchRules(t *testing.T) {
	src := header + `
.extern .shared .align 16 .b8 dyn[];
.visible .entry k(.param .u64 out, .param .u32 n)
.maxntid 128, 1, 1
.minnctapersm 2
.maxnreg 64
{ .reg .b32 %r<4>; .shared .align 4 .b8 s[1000]; mov.u32 %r0, s; mov.u32 %r1, dyn; st.shared.u32 [%r1], 0; ret; }
.visible .entry fixed() .reqntid 8, 2 { ret; }
`
	mod := mustParse(t, src)
	e := mod.Entry("k")
	require.Equal(t, [3]uint32{128, 1, 1}, e.MaxThreads)
	require.Equal(t, 2, e.MinBlocks)
	require.Equal(t, 64, e.MaxRegs)
	require.Equal(t, [2]int{7, 1}, mod.Version)
	require.Equal(t, "sm_80", mod.Target)
	m := NewMachine(Config{})
	ok := Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{32, 1, 1}, Shared: 64, Args: []uint64{0, 0}}
	refused := func(change func(*Launch), text string) {
		t.Helper()
		l := ok
		change(&l)
		err := m.Launch(t.Context(), e, l)
		var le *LaunchError
		require.ErrorAs(t, err, &le)
		require.Contains(t, err.Error(), text)
	}
	require.NoError(t, m.Launch(t.Context(), e, ok))
	refused(func(l *Launch) { l.Block[0] = 129 }, "at most 128")
	refused(func(l *Launch) { l.Block[2] = 65 }, "grid")
	refused(func(l *Launch) { l.Grid[1] = 65536 }, "grid")
	refused(func(l *Launch) { l.Grid[0] = 0 }, "grid")
	refused(func(l *Launch) { l.Args = l.Args[:1] }, "1 arguments for 2")
	refused(func(l *Launch) { l.Args = []uint64{0, 1 << 32} }, "does not fit")
	refused(func(l *Launch) { l.Args, l.Bytes = nil, [][]byte{le8(0), le8(0)} }, "has 8 bytes")
	refused(func(l *Launch) { l.Shared = 48<<10 - 1000 }, "shared memory") // 1008 with its alignment
	refused(func(l *Launch) { l.Shared = 60 << 10 }, "needs SetShared")
	require.NoError(t, m.SetShared(e, 60<<10))
	ok.Shared = 60 << 10
	require.NoError(t, m.Launch(t.Context(), e, ok))
	refused(func(l *Launch) { l.Shared = 61 << 10 }, "shared memory")
	require.ErrorContains(t, m.SetShared(e, 99<<10), "101376")
	ok.Args[1] = ^uint64(0) // −1 as an int
	require.NoError(t, m.Launch(t.Context(), e, ok))

	e = mod.Entry("fixed")
	ok = Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{8, 2, 1}}
	require.NoError(t, m.Launch(t.Context(), e, ok))
	refused(func(l *Launch) { l.Block = [3]uint32{16, 1, 1} }, ".reqntid")
	m = NewMachine(Config{Arch: 75})
	refused(func(*Launch) {}, "the device is sm_75")
	h := mustParse(t, strings.Replace(src, "sm_80", "sm_90a", 1)).Entry("fixed")
	require.NoError(t, NewMachine(Config{Arch: 90}).Launch(t.Context(), h, ok))
	require.Error(t, NewMachine(Config{Arch: 100}).Launch(t.Context(), h, ok))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, NewMachine(Config{Arch: 90}).Launch(ctx, h, ok), context.Canceled)
}

// The same seed gives the same faults and garbage; results of right kernels
// depend on no seed.
func TestSchedulesAreSeeded(t *testing.T) {
	racy := "mul.wide.u32 %rd2, %r0, 0; add.s64 %rd3, %rd0, %rd2; atom.global.exch.b32 %r1, [%rd3], %r0;"
	var first []uint32
	differ := false
	for seed := range uint64(8) {
		a, err := launchBody(t, Config{Seed: seed}, racy, nil, 16, 256)
		require.NoError(t, err)
		b, err := launchBody(t, Config{Seed: seed}, racy, nil, 16, 256)
		require.NoError(t, err)
		require.Equal(t, a, b)
		if first == nil {
			first = a
		}
		differ = differ || a[0] != first[0]
	}
	require.True(t, differ, "schedules differ")
}
