package ptx

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every table of lop3: bit 4a+2b+c of the literal is the result for bits a, b, c.
func TestLop3AllTables(t *testing.T) {
	in := randomRows(40, 3)
	in = append(in, row{0xf0f0f0f0, 0xcccccccc, 0xaaaaaaaa}) // shows the whole table
	for lut := range 256 {
		for i, got := range rows(t, fmt.Sprintf("lop3.b32 %%r9, %%r10, %%r11, %%r12, 0x%x;", lut), in) {
			var want uint64
			for bit := range 32 {
				k := in[i][0]>>bit&1*4 + in[i][1]>>bit&1*2 + in[i][2]>>bit&1
				want |= uint64(lut) >> k & 1 << bit
			}
			require.Equal(t, want, got, "table 0x%x of %x", lut, in[i])
		}
	}
	// The same on a part of a warp, which takes another way.
	require.Equal(t, []uint64{0xea}, rows(t, "lop3.b32 %r9, %r10, %r11, %r12, 0xea;", []row{{0xf0, 0xcc, 0xaa}}))
}

func TestLogicTables(t *testing.T) {
	check(t, []given{
		{"and.b32 %r9, %r10, %r11;", row{0xff00, 0x0ff0}, 0x0f00},
		{"or.b64 %rd9, %rd10, %rd11;", row{1 << 63, 1}, 1<<63 | 1},
		{"xor.b16 %h9, %h10, %h11;", row{0xffff, 0x0ff0}, 0xf00f},
		{"not.b16 %h9, %h10;", row{0xff}, 0xff00},
		{"cnot.b32 %r9, %r10;", row{0}, 1},
		{"cnot.b32 %r9, %r10;", row{8}, 0},
		// Counts beyond the width are clamped to it.
		{"shl.b32 %r9, %r10, 31;", row{3}, 0x80000000},
		{"shl.b32 %r9, %r10, 32;", row{3}, 0},
		{"shl.b32 %r9, %r10, %r11;", row{3, 0xffffffff}, 0},
		{"shl.b64 %rd9, %rd10, 64;", row{3}, 0},
		{"shl.b16 %h9, %h10, 15;", row{3}, 0x8000},
		{"shr.u32 %r9, %r10, 32;", row{0x80000000}, 0},
		{"shr.s32 %r9, %r10, 32;", row{0x80000000}, 0xffffffff},
		{"shr.s32 %r9, %r10, 4;", row{0x80000000}, 0xf8000000},
		{"shr.b32 %r9, %r10, 4;", row{0x80000000}, 0x08000000},
		{"shr.s16 %h9, %h10, 20;", row{0x8000}, 0xffff},
		{"shr.s64 %rd9, %rd10, 100;", row{1 << 63}, ^uint64(0)},
		// shf: l takes the high word of b:a shifted left, r the low word shifted right.
		{"shf.l.wrap.b32 %r9, %r10, %r11, 8;", row{0x11223344, 0xaabbccdd}, 0xbbccdd11},
		{"shf.r.wrap.b32 %r9, %r10, %r11, 8;", row{0x11223344, 0xaabbccdd}, 0xdd112233},
		{"shf.l.wrap.b32 %r9, %r10, %r11, 32;", row{0x11223344, 0xaabbccdd}, 0xaabbccdd},
		{"shf.r.wrap.b32 %r9, %r10, %r11, 40;", row{0x11223344, 0xaabbccdd}, 0xdd112233},
		{"shf.l.clamp.b32 %r9, %r10, %r11, 32;", row{0x11223344, 0xaabbccdd}, 0x11223344},
		{"shf.r.clamp.b32 %r9, %r10, %r11, 99;", row{0x11223344, 0xaabbccdd}, 0xaabbccdd},
		// prmt: b:a are bytes 7..0, nibbles of c choose; bit 3 of one replicates the sign.
		{"prmt.b32 %r9, %r10, %r11, 0x3210;", row{0x11223344, 0xaabbccdd}, 0x11223344},
		{"prmt.b32 %r9, %r10, %r11, 0x7654;", row{0x11223344, 0xaabbccdd}, 0xaabbccdd},
		{"prmt.b32 %r9, %r10, %r11, 0x5410;", row{0x11223344, 0xaabbccdd}, 0xccdd3344},
		{"prmt.b32 %r9, %r10, %r11, 0xc4b8;", row{0x91223344, 0xaabbccdd}, 0xffddff00},
		{"prmt.b32 %r9, %r10, %r11, 0xffff3210;", row{0x11223344, 0xaabbccdd}, 0x11223344},
		// The special modes, from the table of the ISA, d.b3..d.b0 for c = 0 to 3.
		{"prmt.b32.f4e %r9, %r10, %r11, 0;", row{0x33221100, 0x77665544}, 0x33221100},
		{"prmt.b32.f4e %r9, %r10, %r11, 3;", row{0x33221100, 0x77665544}, 0x66554433},
		{"prmt.b32.b4e %r9, %r10, %r11, 0;", row{0x33221100, 0x77665544}, 0x55667700},
		{"prmt.b32.b4e %r9, %r10, %r11, 3;", row{0x33221100, 0x77665544}, 0x00112233},
		{"prmt.b32.rc8 %r9, %r10, %r11, 2;", row{0x33221100, 0x77665544}, 0x22222222},
		{"prmt.b32.ecl %r9, %r10, %r11, 0;", row{0x33221100, 0x77665544}, 0x33221100},
		{"prmt.b32.ecl %r9, %r10, %r11, 2;", row{0x33221100, 0x77665544}, 0x33222222},
		{"prmt.b32.ecl %r9, %r10, %r11, 3;", row{0x33221100, 0x77665544}, 0x33333333},
		{"prmt.b32.ecr %r9, %r10, %r11, 0;", row{0x33221100, 0x77665544}, 0x00000000},
		{"prmt.b32.ecr %r9, %r10, %r11, 2;", row{0x33221100, 0x77665544}, 0x22221100},
		{"prmt.b32.rc16 %r9, %r10, %r11, 0;", row{0x33221100, 0x77665544}, 0x11001100},
		{"prmt.b32.rc16 %r9, %r10, %r11, 1;", row{0x33221100, 0x77665544}, 0x33223322},
		{"prmt.b32.rc16 %r9, %r10, %r11, 3;", row{0x33221100, 0x77665544}, 0x33223322},
		// mov packs from the least significant part up.
		{"mov.b32 %r9, {%h10, %h11};", row{0x1111, 0x2222}, 0x22221111},
		{"mov.b64 %rd9, {%r10, %r11};", row{1, 2}, 2<<32 | 1},
		{"mov.b64 %rd9, {%h10, %h11, %h12, %h13};", row{1, 2, 3, 4}, 4<<48 | 3<<32 | 2<<16 | 1},
		{"mov.b32 {%h9, %h20}, %r10;", row{0x22221111}, 0x1111},
		{"mov.b32 {%h20, %h9}, %r10;", row{0x22221111}, 0x2222},
		{"mov.b64 {_, %r9}, %rd10;", row{2<<32 | 1}, 2},
		{"mov.b32 %r9, %f10;", row{0x3f800000}, 0x3f800000},
		{"{ .reg .b32 %r9x; mov.b32 %r9x, 5; { .reg .b32 %r9x; mov.b32 %r9x, 7; } mov.b32 %r9, %r9x; }", row{}, 5},
	})
}

func TestPredicateLogic(t *testing.T) {
	in := []row{{0, 0}, {0, 1}, {1, 0}, {1, 1}}
	require.Equal(t, []uint64{0, 0, 0, 1}, rows(t, "and.pred %p9, %p10, %p11;", in))
	require.Equal(t, []uint64{0, 1, 1, 1}, rows(t, "or.pred %p9, %p10, %p11;", in))
	require.Equal(t, []uint64{0, 1, 1, 0}, rows(t, "xor.pred %p9, %p10, %p11;", in))
	require.Equal(t, []uint64{1, 1, 0, 0}, rows(t, "not.pred %p9, %p10;", in))
	require.Equal(t, []uint64{0, 0, 1, 1}, rows(t, "mov.pred %p9, %p10;", in))
	require.Equal(t, []uint64{1, 1, 1, 1}, rows(t, "mov.pred %p9, -1;", in))
	require.Equal(t, []uint64{0, 0, 0, 0}, rows(t, "mov.pred %p9, 0;", in))
	require.Equal(t, []uint64{1, 1, 0, 0}, rows(t, "xor.pred %p9, %p10, 1;", in))
	require.Equal(t, []uint64{7, 9, 7, 9}, rows(t, "selp.u32 %r9, 7, 9, !%p11;", in))
}

func TestComparisons(t *testing.T) {
	check(t, []given{
		{"setp.lt.s32 %p9, %r10, %r11;", row{0xffffffff, 1}, 1},
		{"setp.lt.u32 %p9, %r10, %r11;", row{0xffffffff, 1}, 0},
		{"setp.lo.u32 %p9, %r10, %r11;", row{1, 0xffffffff}, 1},
		{"setp.hs.u64 %p9, %rd10, %rd11;", row{1 << 63, 1}, 1},
		{"setp.ge.s64 %p9, %rd10, %rd11;", row{1 << 63, 1}, 0},
		{"setp.le.s16 %p9, %h10, %h11;", row{0x8000, 0x7fff}, 1},
		{"setp.eq.b32 %p9, %r10, %r11;", row{3, 3}, 1},
		{"setp.ne.b64 %p9, %rd10, %rd11;", row{3, 3}, 0},
		{"setp.lt.and.s32 %p9, %r10, %r11, %p12;", row{1, 2, 0}, 0},
		{"setp.lt.and.s32 %p9, %r10, %r11, !%p12;", row{1, 2, 0}, 1},
		{"setp.lt.or.s32 %p9, %r10, %r11, %p12;", row{2, 1, 1}, 1},
		{"setp.lt.xor.s32 %p9, %r10, %r11, %p12;", row{1, 2, 1}, 0},
		// The second destination gets the complement of the comparison, combined.
		{"setp.lt.and.s32 %p8|%p9, %r10, %r11, %p12;", row{2, 1, 1}, 1},
		{"setp.lt.and.s32 %p8|%p9, %r10, %r11, %p12;", row{2, 1, 0}, 0},
		{"setp.eq.f16 %p9, %h10, %h11;", row{0x8000, 0}, 1},
		{"setp.lt.bf16 %p9, %h10, %h11;", row{0xbf80, 0x3f80}, 1},
		{"set.lt.u32.s32 %r9, %r10, %r11;", row{1, 2}, 0xffffffff},
		{"set.lt.f32.s32 %f9, %r10, %r11;", row{1, 2}, 0x3f800000},
		{"set.lt.and.u32.f32 %r9, %f10, %f11, %p12;", row{0, 0x3f800000, 1}, 0xffffffff},
		{"slct.u32.s32 %r9, %r10, %r11, %r12;", row{7, 8, 0}, 7},
		{"slct.u32.s32 %r9, %r10, %r11, %r12;", row{7, 8, 0x80000000}, 8},
		{"slct.b64.f32 %rd9, %rd10, %rd11, %f12;", row{7, 8, 0x80000000}, 7}, // −0 ≥ 0
		{"slct.b32.f32 %r9, %r10, %r11, %f12;", row{7, 8, 0x7fc00000}, 8},    // NaN is not
		{"setp.lt.ftz.f32 %p9, %f10, %f11;", row{0, 1}, 0},                   // 1 is subnormal
		{"setp.lt.f32 %p9, %f10, %f11;", row{0, 1}, 1},
	})
	// Floats: 1 and 2, equal, and NaN; u variants are true on NaN.
	nan := uint64(0x7fc00000)
	in := []row{{0x3f800000, 0x40000000}, {0x40000000, 0x3f800000}, {0x3f800000, 0x3f800000}, {nan, 0x3f800000}, {0x3f800000, nan}}
	for op, want := range map[string][]uint64{
		"eq": {0, 0, 1, 0, 0}, "ne": {1, 1, 0, 0, 0}, "lt": {1, 0, 0, 0, 0}, "le": {1, 0, 1, 0, 0}, "gt": {0, 1, 0, 0, 0}, "ge": {0, 1, 1, 0, 0},
		"equ": {0, 0, 1, 1, 1}, "neu": {1, 1, 0, 1, 1}, "ltu": {1, 0, 0, 1, 1}, "leu": {1, 0, 1, 1, 1}, "gtu": {0, 1, 0, 1, 1}, "geu": {0, 1, 1, 1, 1},
		"num": {1, 1, 1, 0, 0}, "nan": {0, 0, 0, 1, 1},
	} {
		require.Equal(t, want, rows(t, "setp."+op+".f32 %p9, %f10, %f11;", in), op)
	}
}
