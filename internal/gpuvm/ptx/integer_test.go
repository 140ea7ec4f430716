package ptx

import (
	"fmt"
	"math/big"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIntegerTables(t *testing.T) {
	m := func(v int64) uint64 { return uint64(v) }
	check(t, []given{
		{"add.s32 %r9, %r10, %r11;", row{0xffffffff, 2}, 1},
		{"add.sat.s32 %r9, %r10, %r11;", row{0x7fffffff, 1}, 0x7fffffff},
		{"add.sat.s32 %r9, %r10, %r11;", row{0x80000000, 0xffffffff}, 0x80000000},
		{"sub.sat.s32 %r9, %r10, %r11;", row{0x80000000, 1}, 0x80000000},
		{"sub.s16 %h9, %h10, %h11;", row{0, 1}, 0xffff},
		{"add.u64 %rd9, %rd10, -16;", row{8}, m(-8)},
		{"mul.lo.s32 %r9, %r10, %r11;", row{0xffffffff, 7}, 0xfffffff9},
		{"mul.hi.s32 %r9, %r10, %r11;", row{0xffffffff, 7}, 0xffffffff},
		{"mul.hi.u32 %r9, %r10, %r11;", row{0xffffffff, 7}, 6},
		{"mul.hi.s64 %rd9, %rd10, %rd11;", row{m(-1), 7}, m(-1)},
		{"mul.hi.u64 %rd9, %rd10, %rd11;", row{m(-1), 7}, 6},
		{"mul.hi.u64 %rd9, %rd10, -3689348814741910323;", row{1234}, 987},
		{"mul.wide.s32 %rd9, %r10, %r11;", row{0xffffffff, 7}, m(-7)},
		{"mul.wide.u32 %rd9, %r10, %r11;", row{0xffffffff, 7}, 0x6fffffff9},
		{"mul.wide.s16 %r9, %h10, %h11;", row{0xffff, 7}, 0xfffffff9},
		{"mul.wide.u16 %r9, %h10, %h11;", row{0xffff, 7}, 0x6fff9},
		{"mad.lo.s32 %r9, %r10, %r11, %r12;", row{0xffffffff, 7, 9}, 2},
		{"mad.hi.s32 %r9, %r10, %r11, %r12;", row{0x40000000, 4, 9}, 10},
		{"mad.hi.sat.s32 %r9, %r10, %r11, %r12;", row{0x40000000, 4, 0x7fffffff}, 0x7fffffff},
		{"mad.wide.s32 %rd9, %r10, %r11, %rd12;", row{0xffffffff, 7, 9}, 2},
		{"mad.wide.u16 %r9, %h10, %h11, %r12;", row{0xffff, 0xffff, 1}, 0xfffe0002},
		{"mul24.lo.s32 %r9, %r10, %r11;", row{0xffffff, 7}, 0xfffffff9},
		{"mul24.lo.u32 %r9, %r10, %r11;", row{0xff000002, 7}, 14},
		{"mul24.hi.u32 %r9, %r10, %r11;", row{0xffffff, 0xffffff}, 0xfffffe00},
		{"sad.s32 %r9, %r10, %r11, %r12;", row{0xfffffffe, 3, 10}, 15},
		{"sad.u32 %r9, %r10, %r11, %r12;", row{3, 8, 10}, 15},
		{"div.s32 %r9, %r10, %r11;", row{m(-7), 2}, 0xfffffffd},
		{"rem.s32 %r9, %r10, %r11;", row{m(-7), 2}, 0xffffffff},
		{"div.u32 %r9, %r10, %r11;", row{0xfffffff9, 2}, 0x7ffffffc},
		{"rem.u64 %rd9, %rd10, %rd11;", row{100, 7}, 2},
		{"div.s32 %r9, %r10, %r11;", row{0x80000000, 0xffffffff}, 0x80000000},
		{"abs.s32 %r9, %r10;", row{m(-5)}, 5},
		{"abs.s32 %r9, %r10;", row{0x80000000}, 0x80000000},
		{"neg.s32 %r9, %r10;", row{5}, 0xfffffffb},
		{"neg.s16 %h9, %h10;", row{5}, 0xfffb},
		{"min.s32 %r9, %r10, %r11;", row{m(-1), 1}, 0xffffffff},
		{"min.u32 %r9, %r10, %r11;", row{m(-1), 1}, 1},
		{"max.s16 %h9, %h10, %h11;", row{0x8000, 1}, 1},
		{"max.u64 %rd9, %rd10, %rd11;", row{1 << 63, 1}, 1 << 63},
		{"popc.b32 %r9, %r10;", row{0xf0f0}, 8},
		{"popc.b64 %r9, %rd10;", row{m(-1)}, 64},
		{"clz.b32 %r9, %r10;", row{0}, 32},
		{"clz.b32 %r9, %r10;", row{1}, 31},
		{"clz.b64 %r9, %rd10;", row{1 << 40}, 23},
		{"bfind.u32 %r9, %r10;", row{0}, 0xffffffff},
		{"bfind.u32 %r9, %r10;", row{0x80000000}, 31},
		{"bfind.s32 %r9, %r10;", row{m(-1)}, 0xffffffff},
		{"bfind.s32 %r9, %r10;", row{m(-256)}, 7},
		{"bfind.shiftamt.u32 %r9, %r10;", row{0x100}, 23},
		{"brev.b32 %r9, %r10;", row{1}, 0x80000000},
		{"brev.b64 %rd9, %rd10;", row{1}, 1 << 63},
		// bfe: d is the field; zero for length 0; the sign above it where it ends
		// inside, the register's own where it does not.
		{"bfe.u32 %r9, %r10, 4, 8;", row{0xabcdef12}, 0xf1},
		{"bfe.s32 %r9, %r10, 4, 8;", row{0xabcdef12}, 0xfffffff1},
		{"bfe.s32 %r9, %r10, 0, 0;", row{0xffffffff}, 0},
		{"bfe.u32 %r9, %r10, 28, 8;", row{0xabcdef12}, 0xa},
		{"bfe.s32 %r9, %r10, 28, 8;", row{0xabcdef12}, 0xfffffffa},
		{"bfe.s32 %r9, %r10, 40, 8;", row{0x80000000}, 0xffffffff},
		{"bfe.u32 %r9, %r10, 40, 8;", row{0x80000000}, 0},
		{"bfe.u32 %r9, %r10, 256, 260;", row{0x123}, 3}, // counts are taken modulo 256
		{"bfe.s64 %rd9, %rd10, 60, 10;", row{1 << 63}, 0xfffffffffffffff8},
		{"bfi.b32 %r9, %r10, %r11, 8, 4;", row{0xf5, 0xffffffff}, 0xfffff5ff},
		{"bfi.b32 %r9, %r10, %r11, 28, 8;", row{0xf5, 0}, 0x50000000},
		{"bfi.b32 %r9, %r10, %r11, 32, 8;", row{0xf5, 7}, 7},
		{"bfi.b32 %r9, %r10, %r11, 4, 0;", row{0xf5, 7}, 7},
		{"bfi.b64 %rd9, %rd10, %rd11, 32, 32;", row{5, 7}, 5<<32 | 7},
		// dp4a: four products of bytes; the third operand is added.
		{"dp4a.u32.u32 %r9, %r10, %r11, %r12;", row{0x01020304, 0x05060708, 10}, 1*5 + 2*6 + 3*7 + 4*8 + 10},
		{"dp4a.s32.s32 %r9, %r10, %r11, %r12;", row{0xff02fe04, 0x05060708, 0}, m(-5+12-14+32) & mask(32)},
		{"dp4a.s32.u32 %r9, %r10, %r11, %r12;", row{0xff000000, 0xff000000, 0}, m(-255) & mask(32)},
		{"dp4a.u32.s32 %r9, %r10, %r11, %r12;", row{0xff000000, 0xff000000, 1}, m(-254) & mask(32)},
		{"dp2a.lo.s32.s32 %r9, %r10, %r11, %r12;", row{0xffff0002, 0x7f7f0403, 1}, m(-4+6+1) & mask(32)},
		{"dp2a.hi.s32.u32 %r9, %r10, %r11, %r12;", row{0xffff0002, 0xff030000, 0}, m(-255+6) & mask(32)},
	})
}

// Random values against big integers.
func TestIntegerArithmetic(t *testing.T) {
	in := randomRows(3000, 1)
	for _, typ := range []Type{U32, S32, U64, S64} {
		reg := "r"
		if typ.Size() == 8 {
			reg = "rd"
		}
		num := func(v uint64) *big.Int {
			if typ.signed() {
				return big.NewInt(extend(v, typ.width()))
			}
			return new(big.Int).SetUint64(v & mask(typ.width()))
		}
		low := func(x *big.Int) uint64 {
			return new(big.Int).And(x, new(big.Int).SetUint64(mask(typ.width()))).Uint64()
		}
		ops := map[string]func(a, b, c *big.Int) *big.Int{
			"add":    func(a, b, _ *big.Int) *big.Int { return a.Add(a, b) },
			"sub":    func(a, b, _ *big.Int) *big.Int { return a.Sub(a, b) },
			"mul.lo": func(a, b, _ *big.Int) *big.Int { return a.Mul(a, b) },
			"mul.hi": func(a, b, _ *big.Int) *big.Int { return a.Rsh(a.Mul(a, b), typ.width()) },
			"mad.lo": func(a, b, c *big.Int) *big.Int { return a.Add(a.Mul(a, b), c) },
			"mad.hi": func(a, b, c *big.Int) *big.Int { return a.Add(a.Rsh(a.Mul(a, b), typ.width()), c) },
			"sad":    func(a, b, c *big.Int) *big.Int { return c.Add(c, a.Abs(a.Sub(a, b))) },
		}
		for op, f := range ops {
			text := fmt.Sprintf("%s.%s %%%s9, %%%s10, %%%s11", op, typ, reg, reg, reg)
			if op[:2] == "ma" || op == "sad" {
				text += ", %" + reg + "12"
			}
			for i, got := range rows(t, text+";", in) {
				require.Equal(t, low(f(num(in[i][0]), num(in[i][1]), num(in[i][2]))), got, "%s %x", text, in[i])
			}
		}
	}
}

func TestBits(t *testing.T) {
	in := randomRows(2000, 2)
	for i, got := range rows(t, "bfe.u32 %r9, %r10, %r11, %r12;", in) {
		pos, n := uint(in[i][1]&255), uint(in[i][2]&255)
		require.Equal(t, uint64(uint32(in[i][0]))>>pos&mask(n), got, "%x", in[i])
	}
	for i, got := range rows(t, "bfind.u64 %r9, %rd10;", in) {
		require.Equal(t, uint64(uint32(bits.Len64(in[i][0])-1)), got)
	}
}

func TestDivisionByZeroIsUndefined(t *testing.T) {
	b := newBench(t, Config{}, nil, 4)
	for _, op := range []string{"div.s32", "rem.u32"} {
		src := kernel("mov.u32 %r1, 0;\n" + op + " %r2, 7, %r1;\nst.global.u32 [%rd0], %r2;")
		wantFault(t, b.launch(mustParse(t, src).Entry("k"), 1, 1, 0), Uninitialised)
	}
}
