package ptx

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// splitK is the last-block pattern: each of n blocks writes partial sums to
// scratch; the last to arrive, by a counter, adds them up in order and clears the
// counter. SEM stands for the ordering of the atomic.
const splitK = header + `
.visible .entry k(.param .u64 out, .param .u64 scratch, .param .u64 counter, .param .u32 n)
{
	.reg .pred %p<8>;
	.reg .b32 %r<32>;
	.reg .b64 %rd<32>;
	.shared .align 4 .b32 last;
	ld.param.u64 %rd0, [out];
	ld.param.u64 %rd1, [scratch];
	ld.param.u64 %rd2, [counter];
	ld.param.u32 %r1, [n];
	mov.u32 %r0, %tid.x;
	mov.u32 %r2, %ctaid.x;
	mov.u32 %r3, %ntid.x;
	mad.lo.s32 %r4, %r2, %r3, %r0;
	mul.wide.u32 %rd3, %r4, 4;
	add.s64 %rd3, %rd1, %rd3;
	add.s32 %r5, %r4, 1000;
	st.global.u32 [%rd3], %r5;
	bar.sync 0;                         // X: every partial before the count
	setp.ne.s32 %p0, %r0, 0;
	@%p0 bra $wait;
	fence.acq_rel.gpu;                  // X: release
	atom.relaxed.gpu.global.add.u32 %r6, [%rd2], 1;
	fence.acq_rel.gpu;                  // X: acquire
	add.s32 %r7, %r1, -1;
	setp.eq.s32 %p1, %r6, %r7;
	selp.b32 %r8, 1, 0, %p1;
	st.shared.u32 [last], %r8;
$wait:
	bar.sync 0;                         // X: the answer and what it allows
	ld.shared.u32 %r9, [last];
	setp.eq.s32 %p2, %r9, 0;
	@%p2 bra $end;
	mov.u32 %r10, 0;
	mov.u32 %r11, 0;
$sum:
	mad.lo.s32 %r12, %r11, %r3, %r0;
	mul.wide.u32 %rd4, %r12, 4;
	add.s64 %rd4, %rd1, %rd4;
	ld.global.u32 %r13, [%rd4];
	add.s32 %r10, %r10, %r13;
	add.s32 %r11, %r11, 1;
	setp.lt.u32 %p3, %r11, %r1;
	@%p3 bra $sum;
	mul.wide.u32 %rd5, %r0, 4;
	add.s64 %rd5, %rd0, %rd5;
	st.global.u32 [%rd5], %r10;
	@%p0 bra $end;
	mov.u32 %r14, 0;
	st.global.u32 [%rd2], %r14;
$end:
	ret;
}
`

const (
	splitBlocks  = 6
	splitThreads = 64
)

// runSplit launches the pattern and checks its sums if it did not fault.
func runSplit(t *testing.T, src string, cfg Config) error {
	t.Helper()
	e := mustParse(t, src).Entry("k")
	m := NewMachine(cfg)
	out, err := m.Alloc(splitThreads * 4)
	require.NoError(t, err)
	scratch, err := m.Alloc(splitBlocks * splitThreads * 4)
	require.NoError(t, err)
	counter, err := m.Alloc(4)
	require.NoError(t, err)
	require.NoError(t, m.Fill(counter, 4, 0))
	for round := range 2 { // the counter is cleared: a second launch works
		require.NoError(t, m.Poison(scratch, splitBlocks*splitThreads*4))
		require.NoError(t, m.Poison(out, splitThreads*4))
		err = m.Launch(context.Background(), e, Launch{
			Grid: [3]uint32{splitBlocks, 1, 1}, Block: [3]uint32{splitThreads, 1, 1}, Args: []uint64{out, scratch, counter, splitBlocks},
		})
		if err != nil {
			return err
		}
		buf := make([]byte, splitThreads*4)
		require.NoError(t, m.Read(buf, out))
		for i := range splitThreads {
			want := splitBlocks * (1000 + i)
			for b := range splitBlocks {
				want += b * splitThreads
			}
			require.Equal(t, uint64(want), getLE(buf[4*i:4*i+4]), "round %d thread %d", round, i)
		}
	}
	return nil
}

// seeds runs f for several schedules and numbers of workers.
func seeds(t *testing.T, f func(t *testing.T, cfg Config)) {
	for seed := range uint64(6) {
		cfg := Config{Seed: seed, Workers: 1 + int(seed&1)}
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { f(t, cfg) })
	}
}

// wantOneOf wants a fault of one of the classes from every schedule.
func wantOneOf(t *testing.T, run func(Config) error, kinds ...Kind) {
	t.Helper()
	seeds(t, func(t *testing.T, cfg Config) {
		err := run(cfg)
		var f *Fault
		require.True(t, errors.As(err, &f), "want a fault, got %v", err)
		require.Contains(t, kinds, f.Kind, "%v", err)
	})
}

func TestSplitKIsClean(t *testing.T) {
	seeds(t, func(t *testing.T, cfg Config) { require.NoError(t, runSplit(t, splitK, cfg)) })
}

// marked gives, for each line with a mark "// X", the source without it.
func marked(src string) map[string]string {
	out := map[string]string{}
	lines := strings.Split(src, "\n")
	for i, l := range lines {
		if strings.Contains(l, "// X") {
			cut := append(append(append([]string{}, lines[:i]...), ""), lines[i+1:]...)
			out[fmt.Sprintf("%d %s", i+1, strings.TrimSpace(l))] = strings.Join(cut, "\n")
		}
	}
	return out
}

func TestSplitKDeletions(t *testing.T) {
	cut := marked(splitK)
	require.Len(t, cut, 4)
	for name, src := range cut {
		t.Run(name, func(t *testing.T) {
			// A schedule may show the flag unwritten before it shows the race on it.
			wantOneOf(t, func(cfg Config) error { return runSplit(t, src, cfg) }, Race, Uninitialised)
		})
	}
}

func TestSplitKWeakened(t *testing.T) {
	release := strings.Replace(splitK, "fence.acq_rel.gpu;                  // X: release", "", 1)
	both := strings.Replace(release, "fence.acq_rel.gpu;                  // X: acquire", "", 1)
	cases := []struct {
		name, src string
		clean     bool
	}{
		{"acq_rel instead of fences", strings.Replace(both, "atom.relaxed", "atom.acq_rel", 1), true},
		{"acquire only", strings.Replace(both, "atom.relaxed", "atom.acquire", 1), false},
		{"release only", strings.Replace(both, "atom.relaxed", "atom.release", 1), false},
		{"release, fence behind", strings.Replace(release, "atom.relaxed", "atom.release", 1), true},
		{"membar.gl", strings.ReplaceAll(splitK, "fence.acq_rel.gpu", "membar.gl"), true},
		{"fence.sc.sys", strings.ReplaceAll(splitK, "fence.acq_rel.gpu", "fence.sc.sys"), true},
		{"fences of the block", strings.ReplaceAll(splitK, "fence.acq_rel.gpu", "fence.acq_rel.cta"), false},
		{"first fence of the block", strings.Replace(splitK, "fence.acq_rel.gpu", "fence.acq_rel.cta", 1), false},
		{"atomic of the block", strings.Replace(splitK, "atom.relaxed.gpu", "atom.relaxed.cta", 1), false},
		{"no atomic", strings.Replace(splitK, "atom.relaxed.gpu.global.add.u32 %r6, [%rd2], 1;", "ld.global.u32 %r6, [%rd2]; add.s32 %r20, %r6, 1; st.global.u32 [%rd2], %r20;", 1), false},
		{"nc loads of partial sums", strings.Replace(splitK, "ld.global.u32 %r13", "ld.global.nc.u32 %r13", 1), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			seeds(t, func(t *testing.T, cfg Config) {
				err := runSplit(t, c.src, cfg)
				if c.clean {
					require.NoError(t, err)
					return
				}
				var f *Fault
				require.True(t, errors.As(err, &f), "%v", err)
				require.Contains(t, []Kind{Race, ReadOnly}, f.Kind, "%v", err)
				require.NotNil(t, f.Other)
			})
		})
	}
}

// ring copies tiles through a ring of shared memory with cp.async: two stages,
// each thread copies 16 bytes and reads what the next thread copied.
const ring = header + `
.visible .entry k(.param .u64 out, .param .u64 in, .param .u32 n)
{
	.reg .pred %p<8>;
	.reg .b32 %r<32>;
	.reg .b64 %rd<32>;
	.shared .align 16 .b8 buf[2048];
	ld.param.u64 %rd0, [out];
	ld.param.u64 %rd1, [in];
	ld.param.u32 %r1, [n];
	mov.u32 %r0, %tid.x;
	shl.b32 %r2, %r0, 4;
	mov.u32 %r3, buf;
	add.s32 %r4, %r3, %r2;
	mul.wide.u32 %rd2, %r0, 16;
	add.s64 %rd3, %rd1, %rd2;
	cp.async.cg.shared.global [%r4], [%rd3], 16;
	cp.async.commit_group;              // X: the first stage
	add.s32 %r5, %r0, 1;
	and.b32 %r5, %r5, 63;
	shl.b32 %r5, %r5, 4;
	mov.u32 %r6, 0;
	mov.u32 %r7, 0;
$loop:
	add.s32 %r8, %r6, 1;
	setp.ge.u32 %p0, %r8, %r1;
	@%p0 bra $none;
	and.b32 %r9, %r8, 1;
	shl.b32 %r9, %r9, 10;
	add.s32 %r10, %r4, %r9;
	mul.wide.u32 %rd4, %r8, 1024;
	add.s64 %rd5, %rd3, %rd4;
	cp.async.cg.shared.global [%r10], [%rd5], 16;
$none:
	cp.async.commit_group;              // X: the next stage
	cp.async.wait_group 1;              // X: this stage
	bar.sync 0;                         // X: of all threads
	and.b32 %r11, %r6, 1;
	shl.b32 %r11, %r11, 10;
	add.s32 %r12, %r11, %r3;
	add.s32 %r12, %r12, %r5;
	ld.shared.u32 %r13, [%r12];
	add.s32 %r7, %r7, %r13;
	bar.sync 0;                         // X: before it is overwritten
	mov.u32 %r6, %r8;
	setp.lt.u32 %p1, %r6, %r1;
	@%p1 bra $loop;
	mul.wide.u32 %rd6, %r0, 4;
	add.s64 %rd6, %rd0, %rd6;
	st.global.u32 [%rd6], %r7;
	ret;
}
`

func runRing(t *testing.T, src string, cfg Config) error {
	t.Helper()
	const tiles = 5
	in := make([]byte, tiles*1024)
	for i := range in {
		in[i] = byte(i * 7)
	}
	b := newBench(t, cfg, in, 256)
	if err := b.launch(mustParse(t, src).Entry("k"), 1, 64, tiles); err != nil {
		return err
	}
	for i, w := range b.words(t) {
		var want uint32
		for k := range tiles {
			at := k*1024 + (i+1)%64*16
			want += uint32(getLE(in[at : at+4]))
		}
		require.Equal(t, want, w, "thread %d", i)
	}
	return nil
}

func TestRing(t *testing.T) {
	seeds(t, func(t *testing.T, cfg Config) { require.NoError(t, runRing(t, ring, cfg)) })
	cut := marked(ring)
	require.Len(t, cut, 5)
	for name, src := range cut {
		t.Run(name, func(t *testing.T) {
			wantOneOf(t, func(cfg Config) error { return runRing(t, src, cfg) }, Race, AsyncPending)
		})
	}
	weak := regexp.MustCompile(`wait_group 1`).ReplaceAllString(ring, "wait_group 2")
	seeds(t, func(t *testing.T, cfg Config) { wantFault(t, runRing(t, weak, cfg), AsyncPending) })
	all := strings.Replace(strings.Replace(ring, "cp.async.commit_group;              // X: the next stage", "", 1), "cp.async.wait_group 1;", "cp.async.wait_all;", 1)
	seeds(t, func(t *testing.T, cfg Config) { require.NoError(t, runRing(t, all, cfg)) })
}

// exchange passes values between the lanes of a warp through shared memory.
const exchange = `
	.shared .align 4 .b8 buf[256];
	shl.b32 %r1, %r0, 2;
	mov.u32 %r2, buf;
	add.s32 %r3, %r2, %r1;
	st.shared.u32 [%r3], %r0;
	bar.warp.sync 0xffffffff;           // X: before reading
	xor.b32 %r4, %r1, 4;
	add.s32 %r5, %r2, %r4;
	ld.shared.u32 %r6, [%r5];
	bar.warp.sync 0xffffffff;           // X: before writing again
	st.shared.u32 [%r3], %r6;
	mul.wide.u32 %rd2, %r0, 4;
	add.s64 %rd2, %rd0, %rd2;
	st.global.u32 [%rd2], %r6;
`

func TestLanesAreThreads(t *testing.T) {
	run := func(t *testing.T, src string, cfg Config) error {
		b := newBench(t, cfg, nil, 256)
		err := b.launch(mustParse(t, src).Entry("k"), 1, 64, 0)
		if err == nil {
			for i, w := range b.words(t) {
				require.Equal(t, uint32(i^1), w)
			}
		}
		return err
	}
	seeds(t, func(t *testing.T, cfg Config) {
		require.NoError(t, run(t, kernel(exchange), cfg))
		for _, src := range marked(kernel(exchange)) {
			wantFault(t, run(t, src, cfg), Race)
			cfg.Checks.WarpOrdered = true
			require.NoError(t, run(t, src, cfg))
			cfg.Checks = Checks{NoRaces: true}
			require.NoError(t, run(t, src, cfg))
			cfg.Checks = Checks{}
		}
	})
}
