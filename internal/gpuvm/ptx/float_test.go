package ptx

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A layout of an IEEE-like format, for a reference of our own.
type layout struct {
	expBits, manBits uint
}

var layouts = map[Type]layout{F16: {5, 10}, BF16: {8, 7}, F32: {8, 23}, F64: {11, 52}}

// exact gives the value of finite bits.
func (l layout) exact(v uint64) *big.Float {
	e, m := int(v>>l.manBits&mask(l.expBits)), v&mask(l.manBits)
	bias := int(mask(l.expBits - 1))
	if e == 0 {
		e = 1
	} else {
		m |= 1 << l.manBits
	}
	x := new(big.Float).SetPrec(2000).SetUint64(m)
	x.SetMantExp(x, e-bias-int(l.manBits))
	if v>>(l.expBits+l.manBits)&1 != 0 {
		x.Neg(x)
	}
	return x
}

func (l layout) finite(v uint64) bool { return v>>l.manBits&mask(l.expBits) != mask(l.expBits) }

// round gives the bits of x in the format. Signs of zeros are the caller's.
func (l layout) round(x *big.Float, r rounding) uint64 {
	sign := uint64(0)
	if x.Signbit() {
		sign = 1 << (l.expBits + l.manBits)
	}
	if x.Sign() == 0 {
		return sign
	}
	bias := int(mask(l.expBits - 1))
	unit := max(x.MantExp(nil)-1, 1-bias) - int(l.manBits) // exponent of the last place
	scaled := new(big.Float).SetPrec(2000).SetMantExp(new(big.Float).Abs(x), -unit)
	n, _ := scaled.Int(nil) // toward zero
	rest := new(big.Float).SetPrec(2000).Sub(scaled, new(big.Float).SetInt(n))
	half := rest.Cmp(big.NewFloat(0.5))
	more := false
	switch r {
	case nearest:
		more = half > 0 || half == 0 && n.Bit(0) == 1
	case down:
		more = sign != 0 && rest.Sign() != 0
	case up:
		more = sign == 0 && rest.Sign() != 0
	}
	if more {
		n.Add(n, big.NewInt(1))
	}
	m := n.Uint64() // counts units: a carry moves into the exponent by itself
	e := uint64(unit + int(l.manBits) + bias)
	bits := m
	if m>>l.manBits != 0 {
		bits = (e-1)<<l.manBits + m
	}
	if bits>>l.manBits >= mask(l.expBits) {
		bits = mask(l.expBits) << l.manBits
		if r == zero || r == down && sign == 0 || r == up && sign != 0 {
			bits--
		}
	}
	return sign | bits
}

// hardRows makes finite operands whose sums and products round near ties.
func hardRows(t Type, n int, seed uint64) []row {
	l, g := layouts[t], rng(seed)
	out := make([]row, n)
	for i := range out {
		e := g.next() & mask(l.expBits)
		for k := range 3 {
			m := g.next() & mask(l.manBits)
			if g.below(2) == 0 {
				m &= 1<<(g.next()%uint64(l.manBits+1)) - 1
				m <<= l.manBits / 2
				m &= mask(l.manBits)
			}
			ex := (e + g.next()%12) & mask(l.expBits)
			switch g.below(6) {
			case 0:
				ex = g.next() & mask(l.expBits)
			case 1:
				ex = g.next() & 1
			}
			if ex == mask(l.expBits) {
				ex--
			}
			out[i][k] = (g.next()&1)<<(l.expBits+l.manBits) | ex<<l.manBits | m
			if k == 2 && g.below(2) == 0 { // near the product of the two before
				p := new(big.Float).Mul(l.exact(out[i][0]), l.exact(out[i][1]))
				if c := l.round(p, nearest); l.finite(c) {
					out[i][2] = c ^ (g.next()&1)<<(l.expBits+l.manBits) ^ g.next()&1
				}
			}
		}
	}
	return out
}

func TestFloatArithmetic(t *testing.T) {
	regs := map[Type]string{F16: "h", BF16: "h", F32: "f", F64: "fd"}
	for _, c := range []struct {
		typ   Type
		ops   string
		modes string
	}{
		{F32, "add sub mul fma", "rn rz rm rp"}, {F64, "add sub mul fma", "rn"}, {F16, "add sub mul fma", "rn"}, {BF16, "fma", "rn"},
	} {
		l := layouts[c.typ]
		in := hardRows(c.typ, 3000, uint64(c.typ))
		for _, op := range strings.Fields(c.ops) {
			for _, mode := range strings.Fields(c.modes) {
				r := regs[c.typ]
				text := fmt.Sprintf("%s.%s.%s %%%s9, %%%s10, %%%s11", op, mode, c.typ, r, r, r)
				if op == "fma" {
					text += ", %" + r + "12"
				}
				for i, got := range rows(t, text+";", in) {
					a, b, x := l.exact(in[i][0]), l.exact(in[i][1]), new(big.Float).SetPrec(4000)
					switch op {
					case "add":
						x.Add(a, b)
					case "sub":
						x.Sub(a, b)
					case "mul":
						x.Mul(a, b)
					case "fma":
						x.Add(x.Mul(a, b), l.exact(in[i][2]))
					}
					want := l.round(x, roundings[mode])
					if x.Sign() == 0 && want != got { // the sign of an exact zero has its own table
						require.Equal(t, want&mask(c.typ.width()-1), got&mask(c.typ.width()-1))
						continue
					}
					require.Equal(t, fmt.Sprintf("%x", want), fmt.Sprintf("%x", got), "%s %x", text, in[i][:3])
				}
			}
		}
	}
}

// float64 arithmetic would round this twice: the product is just above a tie of
// float32 and the sum loses that in float64.
func TestFmaRoundsOnce(t *testing.T) {
	a, b, c := math.Float32bits(1+0x1p-12), math.Float32bits(1+0x1p-12), math.Float32bits(0x1p-60)
	twice := float32(float64(math.Float32frombits(a))*float64(math.Float32frombits(b)) + float64(math.Float32frombits(c)))
	check(t, []given{{"fma.rn.f32 %f9, %f10, %f11, %f12;", row{uint64(a), uint64(b), uint64(c)}, uint64(math.Float32bits(1 + 0x1p-11 + 0x1p-23))}})
	require.Equal(t, float32(1+0x1p-11), twice, "the trap is none")
}

func TestFloatTables(t *testing.T) {
	const one, nan, inf, ninf, nzero, sub = 0x3f800000, 0x7fc12345, 0x7f800000, 0xff800000, 0x80000000, 0x00000001
	check(t, []given{
		// The result of arithmetic on NaN is the canonical one.
		{"add.rn.f32 %f9, %f10, %f11;", row{nan, one}, 0x7fffffff},
		{"add.rn.f32 %f9, %f10, %f11;", row{inf, ninf}, 0x7fffffff},
		{"mul.rn.f32 %f9, %f10, %f11;", row{inf, 0}, 0x7fffffff},
		{"fma.rn.f32 %f9, %f10, %f11, %f12;", row{one, inf, ninf}, 0x7fffffff},
		{"add.rn.f16 %h9, %h10, %h11;", row{0x7e01, 0}, 0x7fff},
		{"fma.rn.bf16 %h9, %h10, %h11, %h12;", row{0x7fc1, 0, 0}, 0x7fff},
		// Signs of zeros.
		{"add.rn.f32 %f9, %f10, %f11;", row{one, one | nzero}, 0},
		{"add.rm.f32 %f9, %f10, %f11;", row{one, one | nzero}, nzero},
		{"add.rm.f32 %f9, %f10, %f11;", row{0, nzero}, nzero},
		{"add.rz.f32 %f9, %f10, %f11;", row{nzero, nzero}, nzero},
		{"mul.rn.f32 %f9, %f10, %f11;", row{nzero, one}, nzero},
		// Overflow by mode.
		{"add.rn.f32 %f9, %f10, %f11;", row{0x7f7fffff, 0x7f7fffff}, inf},
		{"add.rz.f32 %f9, %f10, %f11;", row{0x7f7fffff, 0x7f7fffff}, 0x7f7fffff},
		{"add.rp.f32 %f9, %f10, %f11;", row{0xff7fffff, 0xff7fffff}, 0xff7fffff},
		// ftz: subnormals are zeros of their sign, in and out.
		{"add.rn.ftz.f32 %f9, %f10, %f11;", row{sub, sub}, 0},
		{"add.rn.f32 %f9, %f10, %f11;", row{sub, sub}, 2},
		{"mul.rn.ftz.f32 %f9, %f10, %f11;", row{0x00800000, 0xbf000000}, nzero},
		{"neg.ftz.f32 %f9, %f10;", row{sub}, nzero},
		{"add.rn.ftz.f16 %h9, %h10, %h11;", row{1, 1}, 0},
		// sat: to [0, 1], NaN to +0.
		{"add.rn.sat.f32 %f9, %f10, %f11;", row{one, one}, one},
		{"add.rn.sat.f32 %f9, %f10, %f11;", row{ninf, one}, 0},
		{"fma.rn.sat.f32 %f9, %f10, %f11, %f12;", row{nan, one, one}, 0},
		{"mul.rn.sat.f16 %h9, %h10, %h11;", row{0x4000, 0x4000}, 0x3c00},
		{"add.rn.sat.f16 %h9, %h10, %h11;", row{0x7e00, 0x3c00}, 0},
		{"fma.rn.ftz.sat.f16 %h9, %h10, %h11, %h12;", row{0x3800, 0x3800, 1}, 0x3400},
		{"mul.rn.sat.f32 %f9, %f10, %f11;", row{0x3f000000, 0x3f000000}, 0x3e800000},
		{"add.rn.f64 %fd9, %fd10, %fd11;", row{0x7ff0000000000000, 0xfff0000000000000}, 0x7fffffffffffffff},
		{"mov.f64 %fd9, 1.5e-3;", row{}, math.Float64bits(1.5e-3)},
		{"fma.rn.relu.f16 %h9, %h10, %h11, %h12;", row{0x3c00, 0xbc00, 0}, 0},
		{"fma.rn.relu.bf16 %h9, %h10, %h11, %h12;", row{0x3f80, 0x3f80, 0}, 0x3f80},
		// min and max: a number beats NaN, unless .NaN; +0 > −0.
		{"min.f32 %f9, %f10, %f11;", row{nan, one}, one},
		{"max.f32 %f9, %f10, %f11;", row{one, nan}, one},
		{"max.f32 %f9, %f10, %f11;", row{nan, nan}, 0x7fffffff},
		{"min.NaN.f32 %f9, %f10, %f11;", row{nan, one}, 0x7fffffff},
		{"min.f32 %f9, %f10, %f11;", row{0, nzero}, nzero},
		{"max.f32 %f9, %f10, %f11;", row{nzero, 0}, 0},
		{"max.f32 %f9, %f10, %f11;", row{ninf, 0xbf800000}, 0xbf800000},
		{"min.f16x2 %r9, %r10, %r11;", row{0x3c007e00, 0x40003800}, 0x3c003800},
		{"max.bf16x2 %r9, %r10, %r11;", row{0x3f80bf80, 0x40000000}, 0x40000000},
		{"max.NaN.f16 %h9, %h10, %h11;", row{0x7e00, 0x3c00}, 0x7fff},
		{"min.f64 %fd9, %fd10, %fd11;", row{0x3ff0000000000000, 0xbff0000000000000}, 0xbff0000000000000},
		// Packed halves.
		{"add.rn.f16x2 %r9, %r10, %r11;", row{0x64076403, 0xe408e408}, 0xbc00c500},
		{"mul.rn.f16x2 %r9, %r10, %r11;", row{0x40003c00, 0x40004000}, 0x44004000},
		{"fma.rn.f16x2 %r9, %r10, %r11, %r12;", row{0x40003c00, 0x40004000, 0x3c003c00}, 0x45004200},
		{"fma.rn.bf16x2 %r9, %r10, %r11, %r12;", row{0x43004380, 0x3f803f80, 0xc300c300}, 0x00004300},
		{"neg.f16x2 %r9, %r10;", row{0x00008000}, 0x80000000},
		{"abs.bf16x2 %r9, %r10;", row{0xff80bf80}, 0x7f803f80},
		{"abs.f32 %f9, %f10;", row{0xbf800000}, one},
		// Division and roots are exact to the last place.
		{"div.rn.f32 %f9, %f10, %f11;", row{one, 0x40400000}, 0x3eaaaaab},
		{"div.rn.f32 %f9, %f10, %f11;", row{one, 0}, inf},
		{"div.rn.ftz.f32 %f9, %f10, %f11;", row{0x00800000, 0x40000000}, 0},
		{"div.full.f32 %f9, %f10, %f11;", row{0x40c00000, 0x40000000}, 0x40400000},
		{"div.rn.f64 %fd9, %fd10, %fd11;", row{0x3ff0000000000000, 0x4008000000000000}, 0x3fd5555555555555},
		{"sqrt.rn.f32 %f9, %f10;", row{0x40000000}, 0x3fb504f3},
		{"sqrt.rn.f32 %f9, %f10;", row{0xbf800000}, 0x7fffffff},
		{"rcp.rn.f32 %f9, %f10;", row{0x40400000}, 0x3eaaaaab},
		{"rcp.approx.ftz.f32 %f9, %f10;", row{sub}, inf},
		{"rsqrt.approx.f32 %f9, %f10;", row{0x40800000}, 0x3f000000},
		{"ex2.approx.f32 %f9, %f10;", row{0x40400000}, 0x41000000},
		{"ex2.approx.ftz.f32 %f9, %f10;", row{ninf}, 0},
		{"lg2.approx.f32 %f9, %f10;", row{0x41000000}, 0x40400000},
		{"copysign.f32 %f9, %f10, %f11;", row{nzero, one}, 0xbf800000}, // the sign of the first on the second
		{"testp.subnormal.f32 %p9, %f10;", row{sub}, 1},
		{"testp.normal.f32 %p9, %f10;", row{sub}, 0},
		{"testp.notanumber.f32 %p9, %f10;", row{nan}, 1},
		{"testp.infinite.f64 %p9, %fd10;", row{0x7ff0000000000000}, 1},
		{"testp.finite.f32 %p9, %f10;", row{inf}, 0},
		{"mov.f32 %f9, 0f3F800000;", row{}, one},
		{"mov.f64 %fd9, 0d3FF0000000000000;", row{}, 0x3ff0000000000000},
		{"mov.f32 %f9, -1.5;", row{}, 0xbfc00000},
		{"add.rn.f32 %f9, %f10, 1.0;", row{one}, 0x40000000},
	})
}

// What might be fused, or is not there, is refused.
func TestFloatRefusals(t *testing.T) {
	for _, s := range []string{
		"add.f32 %f9, %f10, %f11;", "mul.f32 %f9, %f10, %f11;", "fma.f32 %f9, %f10, %f11, %f12;", "add.f16 %h9, %h10, %h11;",
		"add.rn.bf16 %h9, %h10, %h11;", "mul.rn.bf16x2 %r9, %r10, %r11;", "add.rz.f16 %h9, %h10, %h11;", "sqrt.rz.f32 %f9, %f10;",
		"min.xorsign.abs.f32 %f9, %f10, %f11;", "add.rn.f32 %f9, %f10, %fd11;", "sin.approx.f32 %f9, %f10;", "div.rz.f32 %f9, %f10, %f11;",
		"add.rn.f32 %f9, %f10, 1;", "fma.rn.ftz.sat.relu.f16 %h9, %h10, %h11, %h12;",
	} {
		_, err := Parse("x", []byte(kernel(s)))
		require.Error(t, err, s)
		require.Contains(t, err.Error(), strings.TrimSuffix(s, ";"))
	}
}
