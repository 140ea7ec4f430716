package ptx

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// shfl.sync after the pseudocode of the ISA, on all modes, steps and segments.
func TestShfl(t *testing.T) {
	for _, mode := range []string{"up", "down", "bfly", "idx"} {
		for _, b := range []int{0, 1, 3, 5, 16, 31} {
			for _, width := range []int{32, 16, 8, 4} {
				clamp := 31
				if mode == "up" {
					clamp = 0
				}
				c := (32-width)<<8 | clamp
				got := laneWords(t, Config{}, 32, fmt.Sprintf(`
	add.s32 %%r1, %%r0, 1000;
	shfl.sync.%s.b32 %%r2|%%p1, %%r1, %d, 0x%x, 0xffffffff;
	selp.b32 %%r3, 1, 0, %%p1;
	shl.b32 %%r3, %%r3, 16;
	or.b32 %%r40, %%r2, %%r3;`, mode, b, c))
				for lane, w := range got {
					// The segment of width lanes that holds the lane.
					first := lane / width * width
					src, in := 0, false
					switch mode {
					case "up":
						src, in = lane-b, lane-b >= first
					case "down":
						src, in = lane+b, lane+b < first+width
					case "bfly":
						src, in = lane^b, lane^b < first+width
					case "idx":
						src, in = first+b%width, true
					}
					if !in {
						src = lane
					}
					require.Equal(t, uint32(1000+src)|uint32(b2u(in))<<16, w, "%s %d width %d lane %d", mode, b, width, lane)
				}
			}
		}
	}
}

func TestVoteMatchRedux(t *testing.T) {
	for i, w := range laneWords(t, Config{}, 40, `
	setp.lt.u32 %p1, %r0, 3;
	activemask.b32 %r1;
	vote.sync.ballot.b32 %r2, %p1, %r1;
	vote.sync.all.pred %p2, %p1, %r1;
	vote.sync.any.pred %p3, !%p1, %r1;
	vote.sync.uni.pred %p4, %p1, %r1;
	selp.b32 %r3, 0x100, 0, %p2; selp.b32 %r4, 0x200, 0, %p3; selp.b32 %r5, 0x400, 0, %p4;
	or.b32 %r40, %r2, %r3; or.b32 %r40, %r40, %r4; or.b32 %r40, %r40, %r5;`) {
		want := uint32(0x207) // not all, some not, not uniform
		if i >= 32 {
			want = 0x600
		}
		require.Equal(t, want, w)
	}
	for i, w := range laneWords(t, Config{}, 32, "and.b32 %r1, %r0, 3; match.any.sync.b32 %r40, %r1, -1;") {
		require.Equal(t, uint32(0x11111111)<<(i%4), w)
	}
	for _, w := range laneWords(t, Config{}, 32, "mov.u32 %r1, 3; match.all.sync.b32 %r2|%p1, %r1, -1; selp.b32 %r40, %r2, 1, %p1;") {
		require.Equal(t, ^uint32(0), w)
	}
	for _, w := range laneWords(t, Config{}, 32, "match.all.sync.b32 %r2|%p1, %r0, -1; selp.b32 %r40, 1, %r2, %p1;") {
		require.Zero(t, w)
	}
	for op, want := range map[string]uint32{"add.s32": 32*31/2 - 320, "min.s32": 0xfffffff6, "max.u32": 0xffffffff, "or.b32": 0xffffffff, "and.b32": 0, "xor.b32": 0} {
		for _, w := range laneWords(t, Config{}, 32, "sub.s32 %r1, %r0, 10; redux.sync."+op+" %r40, %r1, -1;") {
			if op == "xor.b32" {
				want = 0
				for i := range 32 {
					want ^= uint32(i - 10)
				}
			}
			require.Equal(t, want, w, op)
		}
	}
}

func TestMembermasks(t *testing.T) {
	// A mask that names just the lanes that are here is right.
	out := laneWords(t, Config{}, 32, `
	mov.u32 %r40, 0;
	setp.lt.u32 %p1, %r0, 8;
	@!%p1 bra $x;
	shfl.sync.bfly.b32 %r40, %r0, 1, 31, 0xff;
$x:`)
	require.Equal(t, uint32(5), out[4])
	require.Equal(t, uint32(6), out[7])
	for _, body := range []string{
		"setp.lt.u32 %p1, %r0, 8; @%p1 shfl.sync.down.b32 %r40, %r0, 1, 31, -1;", // others are missing
		"shfl.sync.down.b32 %r40, %r0, 1, 31, 0xff;",                             // others are here
		"shfl.sync.down.b32 %r40, %r0, 1, 31, %r0;",                              // lanes differ
		"setp.lt.u32 %p1, %r0, 8; @%p1 bar.warp.sync -1;",
		"setp.lt.u32 %p1, %r0, 8; @%p1 vote.sync.ballot.b32 %r40, %p1, -1;",
	} {
		faultOf(t, PartialWarp, body, 32)
	}
	// The value of a lane that is not here is undefined.
	faultOf(t, Uninitialised, "setp.ge.u32 %p1, %r0, 16; @%p1 exit; shfl.sync.down.b32 %r40, %r0, 1, 31, -1; setp.eq.s32 %p2, %r0, 15; @%p2 st.global.u32 [%rd0], %r40;", 32)
}

func TestAtomics(t *testing.T) {
	check := func(op string, start, b, c uint64, want uint64, wide bool) {
		t.Helper()
		typ, reg, n := "u32", "r", 4
		if wide {
			typ, reg, n = "u64", "rd", 8
		}
		third := ""
		if c != 0 {
			third = fmt.Sprintf(", %%%s12", reg)
		}
		in := append(append(le8(start), le8(b)...), le8(c)...)
		body := fmt.Sprintf(`
	.shared .align 8 .b64 s;
	ld.global.%[1]s %%%[2]s10, [%%rd1]; ld.global.%[1]s %%%[2]s11, [%%rd1+8]; ld.global.%[1]s %%%[2]s12, [%%rd1+16];
	st.global.%[1]s [%%rd0], %%%[2]s10; st.shared.%[1]s [s], %%%[2]s10; st.global.%[1]s [%%rd0+8], %%%[2]s10;
	atom.global.%[3]s %%%[2]s13, [%%rd0], %%%[2]s11%[4]s;
	atom.acq_rel.cta.shared.%[3]s %%%[2]s14, [s], %%%[2]s11%[4]s;
	st.global.%[1]s [%%rd0+16], %%%[2]s13;
	ld.shared.%[1]s %%%[2]s15, [s]; st.global.%[1]s [%%rd0+24], %%%[2]s15;
	cvta.global.u64 %%rd20, %%rd0;`, typ, reg, op, third)
		if c == 0 && op[:4] != "exch" {
			body += fmt.Sprintf("red.relaxed.gpu.%s [%%rd20+8], %%%s11;", op, reg)
		} else {
			body += fmt.Sprintf("st.global.%s [%%rd0+8], %%%s15;", typ, reg)
		}
		b2 := newBench(t, Config{}, in, 32)
		require.NoError(t, b2.m.Fill(b2.out, 32, 0))
		require.NoError(t, b2.launch(mustParse(t, kernel(body)).Entry("k"), 1, 1, 0), op)
		w := b2.words(t)
		get := func(i int) uint64 {
			v := uint64(w[2*i])
			if n == 8 {
				v |= uint64(w[2*i+1]) << 32
			}
			return v
		}
		require.Equal(t, []uint64{want, want, start, want}, []uint64{get(0), get(1), get(2), get(3)}, op)
	}
	check("add.u32", 5, 7, 0, 12, false)
	check("add.s32", 5, 0xfffffff0, 0, 0xfffffff5, false)
	check("add.u64", 1<<63, 7, 0, 1<<63+7, true)
	check("add.f32", 0x3f800000, 0x3f800000, 0, 0x40000000, false)
	check("add.f64", 0x3ff0000000000000, 0x3ff0000000000000, 0, 0x4000000000000000, true)
	check("add.noftz.f16x2", 0x3c003c00, 0x40003c00, 0, 0x42004000, false)
	check("inc.u32", 3, 4, 0, 4, false)
	check("inc.u32", 4, 4, 0, 0, false)
	check("dec.u32", 0, 4, 0, 4, false)
	check("dec.u32", 9, 4, 0, 4, false)
	check("dec.u32", 3, 4, 0, 2, false)
	check("min.s32", 5, 0xffffffff, 0, 0xffffffff, false)
	check("max.u64", 5, 1<<40, 0, 1<<40, true)
	check("and.b32", 0xff, 0xf0f, 0, 0x0f, false)
	check("or.b64", 1, 1<<40, 0, 1<<40|1, true)
	check("xor.b32", 3, 1, 0, 2, false)
	check("exch.b32", 3, 9, 0, 9, false)
	check("cas.b32", 3, 3, 9, 9, false)
	check("cas.b64", 3, 4, 9, 3, true)
	// All lanes of all blocks count.
	b := newBench(t, Config{}, nil, 16)
	require.NoError(t, b.m.Fill(b.out, 16, 0))
	e := mustParse(t, kernel("atom.global.add.u32 %r1, [%rd0], 1; red.global.add.u32 [%rd0+4], 2;")).Entry("k")
	require.NoError(t, b.launch(e, 7, 70, 0))
	require.Equal(t, []uint32{490, 980}, b.words(t)[:2])
}
