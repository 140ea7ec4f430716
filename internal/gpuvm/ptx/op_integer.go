package ptx

import "math/bits"

var integerOps = map[string]func(*decoder){
	"mul24": decodeMul24, "mad": decodeMad, "sad": decodeSad, "rem": decodeRem,
	"popc": decodeCount, "clz": decodeCount, "bfind": decodeBfind, "brev": decodeBrev,
	"bfe": decodeBfe, "bfi": decodeBfi, "dp4a": decodeDp4a, "dp2a": decodeDp2a,
}

var (
	intTypes  = []Type{U16, U32, U64, S16, S32, S64}
	signsOnly = []Type{S16, S32, S64}
)

// wrap2 truncates the result of f to the width of t.
func wrap2(t Type, f func(a, b uint64) uint64) func(a, b uint64) uint64 {
	m := mask(t.width())
	return func(a, b uint64) uint64 { return f(a, b) & m }
}

// arithmeticInt decodes add and sub of integers.
func arithmeticInt(d *decoder, sub bool) {
	sat := d.flag("sat")
	if d.opt("cc") != "" {
		d.fail("carries are not supported")
	}
	t := d.types(intTypes...)
	if sat && t != S32 {
		d.fail(".sat is for .s32 only")
	}
	d.plain(t, 2)
	switch {
	case sat && sub:
		d.in.f2 = func(a, b uint64) uint64 { return saturate(int64(int32(a))-int64(int32(b)), S32) }
	case sat:
		d.in.f2 = func(a, b uint64) uint64 { return saturate(int64(int32(a))+int64(int32(b)), S32) }
	case sub:
		d.in.f2 = wrap2(t, func(a, b uint64) uint64 { return a - b })
	case t == U32 || t == S32:
		d.in.exec = execAdd32
		d.in.f2 = func(a, b uint64) uint64 { return uint64(uint32(a + b)) }
	case t == U64 || t == S64:
		d.in.exec = execAdd64
		d.in.f2 = func(a, b uint64) uint64 { return a + b }
	default:
		d.in.f2 = wrap2(t, func(a, b uint64) uint64 { return a + b })
	}
}

// saturate clamps to the range of t.
func saturate(v int64, t Type) uint64 {
	w := t.width()
	if t.signed() {
		lo, hi := -int64(1)<<(w-1), int64(mask(w-1))
		return uint64(min(max(v, lo), hi)) & mask(w)
	}
	if v < 0 {
		return 0
	}
	return min(uint64(v), mask(w))
}

// product gives the low and high words of a·b at the width of t.
func product(t Type, a, b uint64) (lo, hi uint64) {
	w := t.width()
	if w < 64 {
		var p uint64
		if t.signed() {
			p = uint64(extend(a, w) * extend(b, w))
		} else {
			p = a * b
		}
		return p & mask(w), p >> w & mask(w)
	}
	hi, lo = bits.Mul64(a, b)
	if t.signed() {
		if int64(a) < 0 {
			hi -= b
		}
		if int64(b) < 0 {
			hi -= a
		}
	}
	return lo, hi
}

var doubled = map[Type]Type{U16: U32, S16: S32, U32: U64, S32: S64}

// multiplyInt decodes mul and mad of integers.
func multiplyInt(d *decoder, add bool) {
	which := d.one("lo", "hi", "wide")
	sat := add && d.flag("sat")
	t := d.types(intTypes...)
	n := 2
	if add {
		n = 3
	}
	if !d.count(n+1, n+1) {
		return
	}
	rt := t
	if which == "wide" {
		if rt = doubled[t]; rt == NoType {
			d.fail(".wide of 64 bits")
			return
		}
	}
	if sat && (which != "hi" || t != S32) {
		d.fail(".sat is for mad.hi.sat.s32 only")
	}
	d.in.width = uint8(rt.width())
	d.in.d, d.in.a, d.in.b = d.dst(d.op(0), rt), d.src(d.op(1), t), d.src(d.op(2), t)
	m := mask(rt.width())
	var f func(a, b uint64) uint64
	switch {
	case which == "lo":
		f = func(a, b uint64) uint64 { return a * b & m }
	case which == "hi":
		f = func(a, b uint64) uint64 { _, hi := product(t, a, b); return hi }
	case t.signed():
		w := t.width()
		f = func(a, b uint64) uint64 { return uint64(extend(a, w)*extend(b, w)) & m }
	default:
		f = func(a, b uint64) uint64 { return a * b }
	}
	if !add {
		d.in.exec, d.in.f2 = exec2, f
		return
	}
	d.in.c = d.src(d.op(3), rt)
	d.in.exec = exec3
	if sat {
		d.in.f3 = func(a, b, c uint64) uint64 { return saturate(extend(f(a, b), 32)+extend(c, 32), S32) }
		return
	}
	d.in.f3 = func(a, b, c uint64) uint64 { return (f(a, b) + c) & m }
}

func decodeMad(d *decoder) {
	if len(d.mods) > 0 && (d.mods[0] == "lo" || d.mods[0] == "hi" || d.mods[0] == "wide") {
		multiplyInt(d, true)
		return
	}
	decodeFma(d)
}

// decodeMul24 multiplies the low 24 bits: lo gives bits 31..0 of the product, hi
// bits 47..16.
func decodeMul24(d *decoder) {
	shift := uint(0)
	if d.one("lo", "hi") == "hi" {
		shift = 16
	}
	t := d.types(U32, S32)
	d.plain(t, 2)
	d.in.f2 = func(a, b uint64) uint64 {
		return uint64(part(t, a, 0, 24)*part(t, b, 0, 24)) >> shift & mask(32)
	}
}

func decodeSad(d *decoder) {
	t := d.types(intTypes...)
	d.plain(t, 3)
	m := mask(t.width())
	d.in.f3 = func(a, b, c uint64) uint64 {
		if less(t, a, b) {
			a, b = b, a
		}
		return (c + a - b) & m
	}
}

// less compares integers of type t.
func less(t Type, a, b uint64) bool {
	if t.signed() {
		return extend(a, t.width()) < extend(b, t.width())
	}
	return a < b
}

func decodeRem(d *decoder) { divideInt(d, true) }

// divideInt decodes div and rem of integers. Division by zero gives an undefined
// value: PTX leaves it to the machine.
func divideInt(d *decoder, rem bool) {
	t := d.types(intTypes...)
	d.plain(t, 2)
	w := t.width()
	d.in.f2 = func(a, b uint64) uint64 {
		switch {
		case b == 0:
			return mask(w)
		case !t.signed() && rem:
			return a % b
		case !t.signed():
			return a / b
		case rem:
			return uint64(extend(a, w)%extend(b, w)) & mask(w)
		}
		return uint64(extend(a, w)/extend(b, w)) & mask(w)
	}
	d.in.exec = execDivide
}

func execDivide(w *warp, in *inst) {
	// The destination may be the divisor: look before.
	var zero uint32
	for i, v := range w.regs[in.b] {
		if v == 0 {
			zero |= 1 << i
		}
	}
	exec2(w, in)
	for m := zero & w.active; m != 0; m &= m - 1 {
		w.setUndef(in.d, bits.TrailingZeros32(m)&31, mask(uint(in.width)), in.line)
	}
}

func absInt(d *decoder) {
	t := d.types(signsOnly...)
	d.plain(t, 1)
	w := t.width()
	d.in.f1 = func(a uint64) uint64 {
		if extend(a, w) < 0 {
			a = -a & mask(w)
		}
		return a
	}
}

func negInt(d *decoder) {
	t := d.types(signsOnly...)
	d.plain(t, 1)
	m := mask(t.width())
	d.in.f1 = func(a uint64) uint64 { return -a & m }
}

func minMaxInt(d *decoder, isMax bool) {
	t := d.types(intTypes...)
	d.plain(t, 2)
	d.in.f2 = func(a, b uint64) uint64 {
		if less(t, a, b) != isMax {
			return a
		}
		return b
	}
}

func decodeCount(d *decoder) {
	t := d.types(B32, B64)
	if !d.count(2, 2) {
		return
	}
	d.in.d, d.in.a, d.in.width, d.in.exec = d.dst(d.op(0), U32), d.src(d.op(1), t), 32, exec1
	w := int(t.width())
	if d.s.parts[0] == "popc" {
		d.in.f1 = func(a uint64) uint64 { return uint64(bits.OnesCount64(a)) }
	} else {
		d.in.f1 = func(a uint64) uint64 { return uint64(bits.LeadingZeros64(a) - (64 - w)) }
	}
}

func decodeBfind(d *decoder) {
	shift := d.flag("shiftamt")
	t := d.types(U32, U64, S32, S64)
	if !d.count(2, 2) {
		return
	}
	d.in.d, d.in.a, d.in.width, d.in.exec = d.dst(d.op(0), U32), d.src(d.op(1), t), 32, exec1
	w := t.width()
	d.in.f1 = func(a uint64) uint64 {
		if t.signed() && extend(a, w) < 0 {
			a = ^a & mask(w)
		}
		if a == 0 {
			return mask(32)
		}
		at := uint64(bits.Len64(a) - 1)
		if shift {
			at = uint64(w-1) - at
		}
		return at
	}
}

func decodeBrev(d *decoder) {
	t := d.types(B32, B64)
	d.plain(t, 1)
	s := 64 - t.width()
	d.in.f1 = func(a uint64) uint64 { return bits.Reverse64(a) >> s }
	d.propagate(throughApply, 0)
}

func decodeBfe(d *decoder) {
	t := d.types(U32, U64, S32, S64)
	if !d.count(4, 4) {
		return
	}
	d.in.d, d.in.a, d.in.width, d.in.exec = d.dst(d.op(0), t), d.src(d.op(1), t), uint8(t.width()), exec3
	d.in.b, d.in.c = d.src(d.op(2), U32), d.src(d.op(3), U32)
	d.in.f3 = func(a, pos, n uint64) uint64 { return bitField(t, a, uint(pos&255), uint(n&255)) }
	d.propagate(throughApply, 6)
}

// bitField extracts n bits from pos; what lies above the register is filled with
// the sign: the field's own top bit, or the register's where the field reaches
// beyond it.
func bitField(t Type, a uint64, pos, n uint) uint64 {
	w := t.width()
	if n == 0 {
		return 0
	}
	var sign uint64
	if t.signed() {
		sign = a >> min(pos+n-1, w-1) & 1
	}
	var field uint64
	got := uint(0)
	if pos < w {
		got = min(n, w-pos)
		field = a >> pos & mask(got)
	}
	if sign == 1 {
		field |= ^mask(got)
	}
	return field & mask(w)
}

func decodeBfi(d *decoder) {
	t := d.types(B32, B64)
	if !d.count(5, 5) {
		return
	}
	d.in.d, d.in.a, d.in.b, d.in.width = d.dst(d.op(0), t), d.src(d.op(1), t), d.src(d.op(2), t), uint8(t.width())
	d.in.av = []int32{d.src(d.op(3), U32), d.src(d.op(4), U32)}
	d.in.exec = execBfi
}

func execBfi(w *warp, in *inst) {
	pos, n := &w.regs[in.av[0]], &w.regs[in.av[1]]
	for m := w.active; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		f := mask(uint(min(n[i]&255, 64)))
		p := pos[i] & 255
		if p >= 64 {
			f = 0
		}
		f = f << (p & 63) & mask(uint(in.width))
		merge := func(a, b uint64) uint64 { return a<<(p&63)&f | b&^f }
		u := (w.undef[in.a] | w.undef[in.b] | w.undef[in.av[0]] | w.undef[in.av[1]]) >> i & 1
		r := merge(w.regs[in.a][i], w.regs[in.b][i])
		var ub uint64
		origin := in.line
		if u != 0 {
			ub = merge(w.undefBits(in.a, i), w.undefBits(in.b, i)) & mask(uint(in.width))
			if w.undefBits(in.av[0], i)|w.undefBits(in.av[1], i) != 0 {
				ub = mask(uint(in.width))
			}
			origin = w.originOf(i, in.a, in.b, in.av[0], in.av[1])
		}
		w.regs[in.d][i] = r
		w.setUndef(in.d, i, ub, origin)
	}
}

// originOf gives the line that brought the first undefined one of the registers.
func (w *warp) originOf(lane int, regs ...int32) int32 {
	for _, r := range regs {
		if w.undef[r]>>lane&1 != 0 {
			return w.origins[r]
		}
	}
	return 0
}

// dotTypes decodes the two types of dp4a and dp2a, and the operands.
func dotTypes(d *decoder) (at, bt Type) {
	at, bt = d.types(U32, S32), d.types(U32, S32)
	if !d.count(4, 4) {
		return
	}
	ct := U32
	if at == S32 || bt == S32 {
		ct = S32
	}
	d.in.d, d.in.a, d.in.b, d.in.c = d.dst(d.op(0), ct), d.src(d.op(1), B32), d.src(d.op(2), B32), d.src(d.op(3), ct)
	d.in.exec, d.in.width = exec3, 32
	return at, bt
}

// part reads n bits at the bit position as a number of the sign of t.
func part(t Type, v uint64, at, n uint) int64 {
	v = v >> at & mask(n)
	if t.signed() {
		return extend(v, n)
	}
	return int64(v)
}

func decodeDp4a(d *decoder) {
	at, bt := dotTypes(d)
	d.in.f3 = func(a, b, c uint64) uint64 {
		for i := uint(0); i < 32; i += 8 {
			c += uint64(part(at, a, i, 8) * part(bt, b, i, 8))
		}
		return c & mask(32)
	}
}

func decodeDp2a(d *decoder) {
	half := uint(0)
	if d.one("lo", "hi") == "hi" {
		half = 16
	}
	at, bt := dotTypes(d)
	d.in.f3 = func(a, b, c uint64) uint64 {
		for i := uint(0); i < 2; i++ {
			c += uint64(part(at, a, i*16, 16) * part(bt, b, half+i*8, 8))
		}
		return c & mask(32)
	}
}
