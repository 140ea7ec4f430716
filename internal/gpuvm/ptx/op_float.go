package ptx

import (
	"math"

	"github.com/bitlane/bitlane/dtype"
)

var floatOps = map[string]func(*decoder){
	"add": decodeAdd, "sub": decodeSub, "mul": decodeMul, "div": decodeDiv, "fma": decodeFma,
	"abs": decodeAbs, "neg": decodeNeg, "min": decodeMinMax, "max": decodeMinMax,
	"rcp": decodeFunction, "sqrt": decodeFunction, "rsqrt": decodeFunction, "ex2": decodeFunction, "lg2": decodeFunction,
	"copysign": decodeCopysign, "testp": decodeTestp,
}

// isFloat looks at the type that ends the opcode.
func (d *decoder) isFloat() bool {
	return len(d.mods) > 0 && typeByName[d.mods[len(d.mods)-1]].class() == float
}

func decodeAdd(d *decoder) {
	if !d.isFloat() {
		arithmeticInt(d, false)
		return
	}
	s := d.floatForm(false)
	if s.typ == F32 && s.bare() {
		d.plain(F32, 2)
		d.in.f2 = func(a, b uint64) uint64 { return bits32(f32(a) + f32(b)) }
		return
	}
	if s.typ == F64 {
		d.plain(F64, 2)
		d.in.f2 = func(a, b uint64) uint64 { return bits64(f64(a) + f64(b)) }
		return
	}
	d.multiplyAdd(s, 2, func(a, b, _ float64) float64 { return fmaOdd(a, 1, b, s.round) })
}

func decodeSub(d *decoder) {
	if !d.isFloat() {
		arithmeticInt(d, true)
		return
	}
	s := d.floatForm(false)
	if s.typ == F32 && s.bare() {
		d.plain(F32, 2)
		d.in.f2 = func(a, b uint64) uint64 { return bits32(f32(a) - f32(b)) }
		return
	}
	if s.typ == F64 {
		d.plain(F64, 2)
		d.in.f2 = func(a, b uint64) uint64 { return bits64(f64(a) - f64(b)) }
		return
	}
	d.multiplyAdd(s, 2, func(a, b, _ float64) float64 { return fmaOdd(a, 1, -b, s.round) })
}

func decodeMul(d *decoder) {
	if !d.isFloat() {
		multiplyInt(d, false)
		return
	}
	s := d.floatForm(false)
	if s.typ == F32 && s.bare() {
		d.plain(F32, 2)
		d.in.f2 = func(a, b uint64) uint64 { return bits32(f32(a) * f32(b)) }
		return
	}
	if s.typ == F64 {
		d.plain(F64, 2)
		d.in.f2 = func(a, b uint64) uint64 { return bits64(f64(a) * f64(b)) }
		return
	}
	// A float64 product of smaller floats is exact.
	d.multiplyAdd(s, 2, func(a, b, _ float64) float64 { return a * b })
}

func decodeFma(d *decoder) {
	if d.s.parts[0] == "mad" && (!d.isFloat() || d.mods[len(d.mods)-1] != "f32" && d.mods[len(d.mods)-1] != "f64") {
		d.fail("unsupported form of mad")
		return
	}
	s := d.floatForm(true)
	if s.typ == F64 {
		d.plain(F64, 3)
		d.in.f3 = func(a, b, c uint64) uint64 { return bits64(math.FMA(f64(a), f64(b), f64(c))) }
		return
	}
	d.multiplyAdd(s, 3, func(a, b, c float64) float64 { return fmaOdd(a, b, c, s.round) })
	if s.typ == F32 && s.bare() {
		d.in.f3, d.in.exec = fma32, execFma32
	}
}

// A floatForm is what add, sub, mul and fma may carry.
type floatForm struct {
	round          rounding
	ftz, sat, relu bool
	typ            Type
}

func (s floatForm) bare() bool { return s.round == nearest && !s.ftz && !s.sat && !s.relu }

// floatForm decodes modifiers up to the type. The rounding mode must be named:
// without it ptxas may fuse a product and a sum, and then there are two right
// results.
func (d *decoder) floatForm(fma bool) floatForm {
	name := d.opt("rn", "rz", "rm", "rp")
	s := floatForm{round: roundings[name], ftz: d.flag("ftz"), sat: d.flag("sat")}
	s.relu = fma && d.flag("relu")
	s.typ = d.types(F16, F16x2, BF16, BF16x2, F32, F64)
	small := s.typ != F32 && s.typ != F64
	switch {
	case name == "":
		d.fail("rounding mode is missing: compile with -ffp-contract=off")
	case small && name != "" && name != "rn":
		d.fail(".%s of .%s", name, s.typ)
	case s.ftz && (s.typ == BF16 || s.typ == BF16x2 || s.typ == F64), s.sat && (s.typ == BF16 || s.typ == BF16x2 || s.typ == F64):
		d.fail("modifier does not go with .%s", s.typ)
	case !fma && (s.typ == BF16 || s.typ == BF16x2):
		d.needArch(90)
	case s.relu && (!small || s.sat):
		d.fail(".relu does not go with .%s", s.typ)
	case s.typ == F64 && s.round != nearest:
		d.fail(".%s of .f64 is not supported", name)
	}
	return s
}

// multiplyAdd sets an operation that f computes with rounding to odd in float64,
// on one value or on two halves.
func (d *decoder) multiplyAdd(s floatForm, n int, f func(a, b, c float64) float64) {
	d.plain(s.typ, n)
	var one func(a, b, c uint64) uint64
	switch s.typ {
	case F32:
		one = func(a, b, c uint64) uint64 {
			if s.ftz {
				a, b, c = flush32(a), flush32(b), flush32(c)
			}
			r := narrow32(f(float64(f32(a)), float64(f32(b)), float64(f32(c))), s.round)
			if s.ftz {
				r = flush32(r)
			}
			if s.sat {
				r = saturate32(r)
			}
			return r
		}
	default:
		fm := formats[F16]
		if s.typ == BF16 || s.typ == BF16x2 {
			fm = formats[BF16]
		}
		if quick := d.quickHalf(s, n); quick != nil {
			one = quick
			break
		}
		one = func(a, b, c uint64) uint64 {
			if s.ftz {
				a, b, c = flush16(a), flush16(b), flush16(c)
			}
			r := fm.narrow(f(fm.wide(a), fm.wide(b), fm.wide(c)))
			if s.ftz {
				r = flush16(r)
			}
			if s.sat {
				r = saturate16(r)
			}
			if s.relu && r&0x8000 != 0 {
				r = 0
			}
			return r
		}
	}
	if s.typ == F16x2 || s.typ == BF16x2 {
		half := one
		one = func(a, b, c uint64) uint64 {
			return half(a&0xffff, b&0xffff, c&0xffff) | half(a>>16, b>>16, c>>16)<<16
		}
	}
	if n == 3 {
		d.in.f3 = one
	} else {
		d.in.f2 = func(a, b uint64) uint64 { return one(a, b, 0) }
	}
	if s.typ == F16x2 || s.typ == BF16x2 {
		d.in.prop = throughHalves
	}
}

// quickHalf gives the plain sum, difference or product of float16 by way of
// float32, whose 24 bits are enough (2·11+2) to make the second rounding harmless.
func (d *decoder) quickHalf(s floatForm, n int) func(a, b, c uint64) uint64 {
	if n != 2 || !s.bare() || s.typ != F16 && s.typ != F16x2 {
		return nil
	}
	wide := func(v uint64) float32 { return dtype.F16ToF32(uint16(v)) }
	narrow := func(v float32) uint64 { return canonical16(uint64(dtype.F16FromF32(v)), 0x7c00) }
	switch d.s.parts[0] {
	case "add":
		return func(a, b, _ uint64) uint64 { return narrow(wide(a) + wide(b)) }
	case "sub":
		return func(a, b, _ uint64) uint64 { return narrow(wide(a) - wide(b)) }
	}
	return func(a, b, _ uint64) uint64 { return narrow(wide(a) * wide(b)) }
}

// throughHalves keeps the two halves of packed arithmetic apart.
func throughHalves(_ *inst, _, u *[3]uint64) uint64 {
	var r uint64
	all := u[0] | u[1] | u[2]
	if all&0xffff != 0 {
		r = 0xffff
	}
	if all>>16 != 0 {
		r |= 0xffff << 16
	}
	return r
}

// flush16 is flush32 for float16.
func flush16(v uint64) uint64 {
	if v&0x7c00 == 0 {
		return v & 0x8000
	}
	return v
}

// saturate32 clamps to [0, 1]; NaN becomes 0.
func saturate32(v uint64) uint64 {
	f := f32(v)
	switch {
	case !(f > 0):
		return 0
	case f > 1:
		return bits32(1)
	}
	return v
}

func saturate16(v uint64) uint64 {
	switch f := formats[F16].wide(v); {
	case !(f > 0):
		return 0
	case f > 1:
		return 0x3c00
	}
	return v
}

func decodeDiv(d *decoder) {
	if !d.isFloat() {
		divideInt(d, false)
		return
	}
	mode := d.one("rn", "full", "approx")
	ftz := d.flag("ftz")
	t := d.types(F32, F64)
	d.plain(t, 2)
	if t == F64 {
		if mode != "rn" || ftz {
			d.fail("unsupported form of div.f64")
		}
		d.in.f2 = func(a, b uint64) uint64 { return bits64(f64(a) / f64(b)) }
		return
	}
	d.in.f2 = func(a, b uint64) uint64 {
		if ftz {
			return flush32(bits32(f32(flush32(a)) / f32(flush32(b))))
		}
		return bits32(f32(a) / f32(b))
	}
}

// signMask gives the sign bits of a value of type t.
func signMask(t Type) uint64 {
	if t == F16x2 || t == BF16x2 {
		return 0x80008000
	}
	return 1 << (t.width() - 1)
}

func decodeAbs(d *decoder) {
	if !d.isFloat() {
		absInt(d)
		return
	}
	ftz := d.flag("ftz")
	t := d.types(F16, F16x2, BF16, BF16x2, F32, F64)
	if ftz && t != F32 {
		d.fail("unsupported .ftz")
	}
	d.plain(t, 1)
	m := ^signMask(t)
	d.in.f1 = func(a uint64) uint64 { return a & m }
	if ftz {
		d.in.f1 = func(a uint64) uint64 { return flush32(a) & m }
	}
	if t == F16x2 || t == BF16x2 {
		d.in.prop = throughHalves
	}
}

func decodeNeg(d *decoder) {
	if !d.isFloat() {
		negInt(d)
		return
	}
	ftz := d.flag("ftz")
	t := d.types(F16, F16x2, BF16, BF16x2, F32, F64)
	if ftz && t != F32 {
		d.fail("unsupported .ftz")
	}
	d.plain(t, 1)
	m := signMask(t)
	d.in.f1 = func(a uint64) uint64 { return a ^ m }
	if ftz {
		d.in.f1 = func(a uint64) uint64 { return flush32(a) ^ m }
	}
	if t == F16x2 || t == BF16x2 {
		d.in.prop = throughHalves
	}
}

func decodeMinMax(d *decoder) {
	isMax := d.s.parts[0] == "max"
	if !d.isFloat() {
		minMaxInt(d, isMax)
		return
	}
	ftz, nan := d.flag("ftz"), d.flag("NaN")
	t := d.types(F16, F16x2, BF16, BF16x2, F32, F64)
	if ftz && t != F32 || nan && t == F64 {
		d.fail("modifier does not go with .%s", t)
	}
	d.plain(t, 2)
	choose := func(a, b uint64, fa, fb float64, canonical uint64) uint64 {
		switch {
		case fa != fa && fb != fb, nan && (fa != fa || fb != fb):
			return canonical
		case fa != fa:
			return b
		case fb != fb:
			return a
		case fa == fb: // zeros of both signs
			if math.Signbit(fa) == isMax {
				return b
			}
			return a
		case (fa > fb) == isMax:
			return a
		}
		return b
	}
	switch t {
	case F32:
		d.in.f2 = func(a, b uint64) uint64 {
			if ftz {
				a, b = flush32(a), flush32(b)
			}
			return choose(a, b, float64(f32(a)), float64(f32(b)), nan32)
		}
	case F64:
		d.in.f2 = func(a, b uint64) uint64 { return choose(a, b, f64(a), f64(b), nan64) }
	default:
		fm := formats[F16]
		if t == BF16 || t == BF16x2 {
			fm = formats[BF16]
		}
		one := func(a, b uint64) uint64 { return choose(a, b, fm.wide(a), fm.wide(b), fm.nan) }
		d.in.f2 = one
		if t == F16x2 || t == BF16x2 {
			d.in.f2 = func(a, b uint64) uint64 { return one(a&0xffff, b&0xffff) | one(a>>16, b>>16)<<16 }
			d.in.prop = throughHalves
		}
	}
}

// decodeFunction decodes the functions of one float. An .approx result is the
// correctly rounded one.
func decodeFunction(d *decoder) {
	name := d.s.parts[0]
	mode := d.one("approx", "rn")
	ftz := d.flag("ftz")
	t := d.types(F32, F64)
	if mode == "rn" && name != "rcp" && name != "sqrt" || t == F64 && (mode != "rn" || ftz) {
		d.fail("unsupported form of %s", name)
	}
	d.plain(t, 1)
	var f func(float64) float64
	switch name {
	case "rcp":
		f = func(x float64) float64 { return 1 / x }
	case "sqrt":
		f = math.Sqrt
	case "rsqrt":
		f = func(x float64) float64 { return 1 / math.Sqrt(x) }
	case "ex2":
		f = math.Exp2
	case "lg2":
		f = math.Log2
	}
	if t == F64 {
		d.in.f1 = func(a uint64) uint64 { return bits64(f(f64(a))) }
		return
	}
	// float32 division and square root through float64 round correctly; the error
	// of the others is far below their documented one.
	d.in.f1 = func(a uint64) uint64 {
		if ftz {
			return flush32(bits32(float32(f(float64(f32(flush32(a)))))))
		}
		return bits32(float32(f(float64(f32(a)))))
	}
}

func decodeCopysign(d *decoder) {
	t := d.types(F32, F64)
	d.plain(t, 2)
	m := signMask(t)
	d.in.f2 = func(a, b uint64) uint64 { return b&^m | a&m }
	d.in.prop = nil
}

func decodeTestp(d *decoder) {
	what := d.one("finite", "infinite", "number", "notanumber", "normal", "subnormal")
	t := d.types(F32, F64)
	if !d.count(2, 2) {
		return
	}
	d.in.d, d.in.a, d.in.b = d.dst(d.op(0), Pred), d.src(d.op(1), t), d.constant(0)
	d.in.exec = execSetp
	least := 0x1p-126
	d.in.cmp = func(a, _ uint64) bool {
		x := f64(a)
		if t == F32 {
			x = float64(f32(a))
		}
		switch what {
		case "finite":
			return !math.IsInf(x, 0) && x == x
		case "infinite":
			return math.IsInf(x, 0)
		case "number":
			return x == x
		case "notanumber":
			return x != x
		case "normal":
			return math.Abs(x) >= least && !math.IsInf(x, 0)
		}
		return x != 0 && math.Abs(x) < least
	}
	if t == F64 {
		least = 0x1p-1022
	}
}
