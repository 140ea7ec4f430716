package ptx

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConvertTables(t *testing.T) {
	f := func(v float32) uint64 { return uint64(math.Float32bits(v)) }
	nan := uint64(0x7fc00000)
	check(t, []given{
		// Integers: truncated or extended by the destination's sign; sat clamps.
		{"cvt.u32.u64 %r9, %rd10;", row{0x1_8000_0001}, 0x80000001},
		{"cvt.s64.s32 %rd9, %r10;", row{0x80000000}, 0xffffffff80000000},
		{"cvt.u64.u32 %rd9, %r10;", row{0x80000000}, 0x80000000},
		{"cvt.u64.s32 %rd9, %r10;", row{0x80000000}, 0xffffffff80000000},
		{"cvt.s32.s8 %r9, %r10;", row{0x80}, 0xffffff80},
		{"cvt.u32.u8 %r9, %r10;", row{0x180}, 0x80},
		{"cvt.s16.s8 %h9, %h10;", row{0x80}, 0xff80},
		{"cvt.s8.s32 %r9, %r10;", row{0x1ff}, 0xffffffff}, // extended into the register
		{"cvt.u8.u32 %h9, %r10;", row{0x1ff}, 0xff},
		{"cvt.sat.s8.s32 %r9, %r10;", row{200}, 127},
		{"cvt.sat.u8.s32 %r9, %r10;", row{0xffffffff}, 0},
		{"cvt.sat.u8.s32 %r9, %r10;", row{300}, 255},
		{"cvt.sat.s32.u32 %r9, %r10;", row{0xffffffff}, 0x7fffffff},
		{"cvt.sat.u32.s64 %r9, %rd10;", row{1 << 40}, 0xffffffff},
		{"cvt.sat.s32.s64 %r9, %rd10;", row{1 << 63}, 0x80000000},
		// Floats to integers: rounded, clamped, NaN is 0.
		{"cvt.rni.s32.f32 %r9, %f10;", row{f(2.5)}, 2},
		{"cvt.rni.s32.f32 %r9, %f10;", row{f(-3.5)}, 0xfffffffc},
		{"cvt.rzi.s32.f32 %r9, %f10;", row{f(-3.9)}, 0xfffffffd},
		{"cvt.rmi.s32.f32 %r9, %f10;", row{f(-3.1)}, 0xfffffffc},
		{"cvt.rpi.s32.f32 %r9, %f10;", row{f(3.1)}, 4},
		{"cvt.rni.s32.f32 %r9, %f10;", row{f(3e9)}, 0x7fffffff},
		{"cvt.rni.s32.f32 %r9, %f10;", row{f(-3e9)}, 0x80000000},
		{"cvt.rzi.u32.f32 %r9, %f10;", row{f(-1)}, 0},
		{"cvt.rzi.u32.f32 %r9, %f10;", row{f(5e9)}, 0xffffffff},
		{"cvt.rzi.u32.f32 %r9, %f10;", row{nan}, 0},
		{"cvt.rzi.s8.f32 %r9, %f10;", row{f(-300)}, 0xffffff80},
		{"cvt.rzi.u64.f32 %rd9, %f10;", row{f(0x1p63)}, 1 << 63},
		{"cvt.rzi.s64.f32 %rd9, %f10;", row{f(float32(math.Inf(1)))}, 1<<63 - 1},
		{"cvt.rni.s32.f16 %r9, %h10;", row{0xc500}, 0xfffffffb},
		{"cvt.rzi.u16.f64 %h9, %fd10;", row{math.Float64bits(70000)}, 0xffff},
		{"cvt.rni.ftz.s32.f32 %r9, %f10;", row{1}, 0},
		// Integers to floats.
		{"cvt.rn.f32.s32 %f9, %r10;", row{0xffffffff}, f(-1)},
		{"cvt.rn.f32.u32 %f9, %r10;", row{0x01000001}, f(0x1000000)},
		{"cvt.rp.f32.u32 %f9, %r10;", row{0x01000001}, f(0x1000002)},
		{"cvt.rn.f32.u64 %f9, %rd10;", row{0x8000008000000001}, f(0x1.000002p63)}, // just above a tie
		{"cvt.rn.f32.s64 %f9, %rd10;", row{0x8000000000000000}, f(-0x1p63)},
		{"cvt.rn.f16.u16 %h9, %h10;", row{0xffff}, 0x7c00},
		{"cvt.rz.f16.u16 %h9, %h10;", row{0xffff}, 0x7bff},
		{"cvt.rn.f16.s32 %h9, %r10;", row{2049}, 0x6800},
		{"cvt.rn.f64.u64 %fd9, %rd10;", row{^uint64(0)}, math.Float64bits(0x1p64)},
		{"cvt.rn.f32.u16 %f9, %h10;", row{0xffff}, f(65535)},
		{"cvt.rn.f32.u8 %f9, %h10;", row{0x1ff}, f(255)},
		{"cvt.rn.f32.s8 %f9, %r10;", row{0xff}, f(-1)},
		// Floats to floats.
		{"cvt.f32.f16 %f9, %h10;", row{0x0001}, f(0x1p-24)},
		{"cvt.f32.bf16 %f9, %h10;", row{0xbf80}, f(-1)},
		{"cvt.rn.f16.f32 %h9, %f10;", row{f(65520)}, 0x7c00},
		{"cvt.rz.f16.f32 %h9, %f10;", row{f(65520)}, 0x7bff},
		{"cvt.rn.f16.f32 %h9, %f10;", row{nan}, 0x7fff},
		{"cvt.rn.bf16.f32 %h9, %f10;", row{0x3f808000}, 0x3f80},
		{"cvt.rn.bf16.f32 %h9, %f10;", row{0x3f818000}, 0x3f82},
		{"cvt.rz.bf16.f32 %h9, %f10;", row{0x3f80ffff}, 0x3f80},
		{"cvt.rn.relu.f16.f32 %h9, %f10;", row{f(-1)}, 0},
		{"cvt.rn.relu.bf16.f32 %h9, %f10;", row{f(2)}, 0x4000},
		{"cvt.sat.f32.f32 %f9, %f10;", row{f(3)}, f(1)},
		{"cvt.rn.sat.f16.f32 %h9, %f10;", row{nan}, 0},
		{"cvt.rni.f32.f32 %f9, %f10;", row{f(2.5)}, f(2)},
		{"cvt.rmi.f32.f32 %f9, %f10;", row{f(-2.5)}, f(-3)},
		{"cvt.rni.f16.f16 %h9, %h10;", row{0x4100}, 0x4000},
		{"cvt.f64.f32 %fd9, %f10;", row{f(-1.5)}, math.Float64bits(-1.5)},
		{"cvt.rn.f32.f64 %f9, %fd10;", row{math.Float64bits(1 + 0x1p-24 + 0x1p-50)}, f(1 + 0x1p-23)},
		{"cvt.rm.f32.f64 %f9, %fd10;", row{math.Float64bits(-1 - 0x1p-50)}, f(-1 - 0x1p-23)},
		{"cvt.rn.f16x2.f32 %r9, %f10, %f11;", row{f(1), f(2)}, 0x3c004000}, // the first is the upper half
		{"cvt.rn.bf16x2.f32 %r9, %f10, %f11;", row{f(1), f(2)}, 0x3f804000},
		{"cvt.rn.relu.f16x2.f32 %r9, %f10, %f11;", row{f(-1), f(2)}, 0x00004000},
	})
}

func TestConvertRounding(t *testing.T) {
	for _, c := range []struct {
		to, from Type
		reg      string
	}{{F16, F32, "f"}, {BF16, F32, "f"}, {F32, F64, "fd"}, {F16, F64, "fd"}} {
		src, dst := layouts[c.from], layouts[c.to]
		g := rng(uint64(c.to) * 31)
		in := make([]row, 4000)
		for i := range in {
			// Exponents in and around the narrow format, ties as often as not.
			e := int(mask(src.expBits-1)) - int(mask(dst.expBits-1)) + g.below(1<<dst.expBits+30) - 20
			e = min(max(e, 0), int(mask(src.expBits))-1)
			m := g.next() & mask(src.manBits)
			if g.below(2) == 0 {
				m = m&^mask(src.manBits-dst.manBits) | 1<<(src.manBits-dst.manBits-1) | uint64(g.below(3)/2)
			}
			in[i][0] = (g.next()&1)<<(src.expBits+src.manBits) | uint64(e)<<src.manBits | m
		}
		for _, mode := range strings.Fields("rn rz rm rp") {
			if c.to == BF16 && mode[1] != 'n' && mode[1] != 'z' || c.to == F16 && mode != "rn" && mode != "rz" {
				continue
			}
			d := map[Type]string{F16: "h", BF16: "h", F32: "f"}[c.to]
			text := fmt.Sprintf("cvt.%s.%s.%s %%%s9, %%%s10;", mode, c.to, c.from, d, c.reg)
			for i, got := range rows(t, text, in) {
				require.Equal(t, fmt.Sprintf("%x", dst.round(src.exact(in[i][0]), roundings[mode])), fmt.Sprintf("%x", got), "%s %x", text, in[i][0])
			}
		}
	}
	l := layouts[F32]
	in := randomRows(3000, 9)
	for _, mode := range strings.Fields("rn rz rm rp") {
		for i, got := range rows(t, "cvt."+mode+".f32.s64 %f9, %rd10;", in) {
			x := new(big.Float).SetPrec(2000).SetInt64(int64(in[i][0]))
			require.Equal(t, fmt.Sprintf("%x", l.round(x, roundings[mode])), fmt.Sprintf("%x", got), "%s %x", mode, in[i][0])
		}
	}
}

func TestConvertRefusals(t *testing.T) {
	for _, s := range []string{
		"cvt.f32.s32 %f9, %r10;", "cvt.s32.f32 %r9, %f10;", "cvt.rn.s32.f32 %r9, %f10;", "cvt.rni.f32.s32 %f9, %r10;", "cvt.f16.f32 %h9, %f10;",
		"cvt.rn.f32.f16 %f9, %h10;", "cvt.rn.tf32.f32 %r9, %f10;", "cvt.rn.u32.u64 %r9, %rd10;", "cvt.rn.f16.bf16 %h9, %h10;",
		"cvt.rn.bf16.s32 %h9, %r10;", "cvt.rn.f32.f32 %f9, %f10;", "cvt.rna.f32.f64 %f9, %fd10;", "cvt.u64.u32 %r9, %r10;",
	} {
		_, err := Parse("x", []byte(kernel(s)))
		require.Error(t, err, s)
	}
}
