package ptx

import (
	"math"
	"math/bits"
)

var moveOps = map[string]func(*decoder){"mov": decodeMov, "cvt": decodeCvt, "cvta": decodeCvta}

func decodeMov(d *decoder) {
	t := d.types(B16, B32, B64, U16, U32, U64, S16, S32, S64, F32, F64, Pred)
	if !d.count(2, 2) {
		return
	}
	dst, src := d.op(0), d.op(1)
	if t == Pred {
		d.in.d, d.in.a = d.predDst(dst), d.predReg(src)
		d.in.exec = execPredMov
		return
	}
	d.in.width = uint8(t.width())
	switch {
	case dst.kind == opVector && src.kind == opVector:
		d.fail("vector to vector")
	case dst.kind == opVector:
		n, et := d.pieces(dst, t)
		d.in.dv, d.in.a, d.in.exec = d.vector(dst, n, et, false, true), d.src(src, t), execUnpack
		d.in.imm = int64(et.width())
	case src.kind == opVector:
		n, et := d.pieces(src, t)
		d.in.d, d.in.av, d.in.exec = d.dst(dst, t), d.vector(src, n, et, false, false), execPack
		d.in.imm = int64(et.width())
	default:
		d.in.d, d.in.exec, d.in.f1 = d.dst(dst, t), execMov, func(a uint64) uint64 { return a }
		d.in.a = d.movSource(src, t)
	}
}

// pieces gives the number and type of the elements of a packed mov.
func (d *decoder) pieces(o *operand, t Type) (int, Type) {
	n := len(o.list)
	et := map[uint]Type{16: B16, 32: B32}[t.width()/uint(n)]
	if t.class() != untyped || et == NoType || t.width()%uint(n) != 0 || n < 2 {
		d.fail("cannot take .%s as %d parts", t, n)
		return n, B16
	}
	return n, et
}

// movSource is a source that may also be a special register or a variable.
func (d *decoder) movSource(o *operand, t Type) int32 {
	if o.kind == opAddress {
		d.fail("bad operand")
		return 0
	}
	if o.kind == opName && !o.neg {
		if id, ok := specials[o.name]; ok {
			if t.class() == float || t.width() < 32 || (id >= firstWide) != (t.width() == 64) {
				d.fail("special register %s is no .%s", o.name, t)
			}
			return d.specialReg(id)
		}
		if v := d.variable(o.name); v != nil {
			if t != B64 && t != U64 && !(v.space == shared && (t == B32 || t == U32)) {
				d.fail("an address is no .%s", t)
			}
			return d.address(v, 0)
		}
	}
	return d.src(o, t)
}

// variable finds a variable by name; one of the module's shared ones becomes
// part of the entry with its first use.
func (d *decoder) variable(name string) *variable {
	v := d.b.vars[name]
	if v == nil {
		if g := d.p.globals[name]; g != nil {
			c := *g // shared variables have their place per entry
			v = &c
			d.b.vars[name] = v
		}
	}
	if v == nil || v.offset >= 0 {
		return v
	}
	switch {
	case v.extern:
		d.e.DynShared, d.e.dynAlign = true, max(d.e.dynAlign, v.align)
	case v.space == shared:
		v.offset = sharedBase + alignUp(d.e.Shared, v.align)
		d.e.Shared = v.offset - sharedBase + v.size
	case v.space == local:
		v.offset = localBase + alignUp(d.e.Local, v.align)
		d.e.Local = v.offset - localBase + v.size
	}
	return v
}

// address gives a register with the address of the variable plus add.
func (d *decoder) address(v *variable, add int64) int32 {
	if v.space != global && v.space != constant && !v.extern {
		return d.constant(uint64(int64(v.offset) + add))
	}
	key := v.name
	if r, ok := d.relocs[key]; ok && add == 0 {
		return r
	}
	r := d.newReg("", B64)
	d.e.relocs = append(d.e.relocs, reloc{r, v, add})
	if add == 0 {
		d.relocs[key] = r
	}
	return r
}

func execMov(w *warp, in *inst) {
	d, a := &w.regs[in.d], &w.regs[in.a]
	if w.undef[in.a]&w.active != 0 {
		w.move(in, in.d, in.a)
		return
	}
	w.undef[in.d] &^= w.active
	if w.active == full {
		*d = *a
		return
	}
	for m := w.active; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		d[i] = a[i]
	}
}

// move copies with undefined bits.
func (w *warp) move(in *inst, to, from int32) {
	origin := w.origins[from]
	for m := w.active; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		ub := w.undefBits(from, i) & mask(uint(in.width))
		w.regs[to][i] = w.regs[from][i]
		w.setUndef(to, i, ub, origin)
	}
}

func execPredMov(w *warp, in *inst) {
	v, u, origin := w.preds[in.a], w.pundef[in.a], w.porigins[in.a]
	w.setPred(in.d, v)
	w.undefPred(in.d, u, origin)
}

func execUnpack(w *warp, in *inst) {
	src := w.regs[in.a] // a copy: a part may go to the source itself
	n := uint(in.imm)
	undef := w.undef[in.a] & w.active
	var ubits vreg
	origin := w.origins[in.a]
	if undef != 0 {
		for i := range ubits {
			ubits[i] = w.undefBits(in.a, i)
		}
	}
	for k, r := range in.dv {
		d, shift := &w.regs[r], uint(k)*n
		w.define(r)
		for m := w.active; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			d[i] = src[i] >> shift & mask(n)
		}
		for m := undef; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			w.setUndef(r, i, ubits[i]>>shift&mask(n), origin)
		}
	}
}

func execPack(w *warp, in *inst) {
	n := uint(in.imm)
	var v, u vreg
	var undef uint32
	origin := int32(0)
	for k, r := range in.av {
		a, shift := &w.regs[r], uint(k)*n
		for m := w.active; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			v[i] |= a[i] << shift
		}
		for m := w.undef[r] & w.active; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			u[i] |= w.undefBits(r, i) & mask(n) << shift
			undef |= 1 << i
			origin = w.origins[r]
		}
	}
	d := &w.regs[in.d]
	w.define(in.d)
	for m := w.active; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		d[i] = v[i]
	}
	for m := undef; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		w.setUndef(in.d, i, u[i], origin)
	}
}

// cvta moves between a space's addresses and generic ones.
func decodeCvta(d *decoder) {
	to := d.flag("to")
	sp := varSpaces["."+d.one("global", "shared", "local", "const")]
	t := d.types(U32, U64)
	if t != U64 || !d.count(2, 2) {
		d.fail("want cvta of .u64")
		return
	}
	d.in.d, d.in.width, d.in.exec = d.dst(d.op(0), t), 64, exec1
	d.in.a = d.movSource(d.op(1), t)
	var window uint64
	switch sp {
	case shared:
		window = sharedWindow
	case local:
		window = localWindow
	}
	d.in.f1 = func(a uint64) uint64 { return a + window }
	if to {
		d.in.f1 = func(a uint64) uint64 { return a - window }
	}
	if window == 0 {
		d.in.exec = execMov
		d.in.f1 = func(a uint64) uint64 { return a }
	}
}

func decodeCvt(d *decoder) {
	if len(d.mods) >= 2 && (d.mods[len(d.mods)-2] == "f16x2" || d.mods[len(d.mods)-2] == "bf16x2") {
		decodeCvtPacked(d)
		return
	}
	name := d.opt("rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi")
	ftz, sat, relu := d.flag("ftz"), d.flag("sat"), false
	if !sat {
		relu = d.flag("relu")
	}
	all := []Type{U8, U16, U32, U64, S8, S16, S32, S64, F16, BF16, F32, F64}
	dt, st := d.types(all...), d.types(all...)
	if !d.count(2, 2) {
		return
	}
	d.in.width, d.in.exec = uint8(dt.width()), exec1
	var rt Type
	d.in.d, rt = d.register(d.op(0), dt, true)
	d.in.a = d.source(d.op(1), st, true)
	df, sf := dt.class() == float, st.class() == float
	toInt := len(name) == 3
	switch {
	case ftz && st != F32 && dt != F32, relu && !(df && dt.Size() == 2 && st == F32), sat && dt == BF16:
		d.fail("unsupported modifier of cvt")
	case df != sf && name == "", df && !sf && toInt, !df && sf && !toInt, !df && !sf && name != "":
		d.fail("rounding of cvt.%s.%s", dt, st)
	case df && sf && dt.Size() < st.Size() && (name == "" || toInt):
		d.fail("rounding of cvt.%s.%s", dt, st)
	case df && sf && dt.Size() > st.Size() && name != "", df && sf && dt.Size() == st.Size() && name != "" && !toInt:
		d.fail("rounding of cvt.%s.%s", dt, st)
	case df && sf && dt != st && dt.Size() == st.Size():
		d.fail("unsupported cvt.%s.%s", dt, st)
	case dt == BF16 && st != F32, st == BF16 && dt != F32:
		d.needArch(90)
	}
	r := roundings[name[:min(len(name), 2)]]
	wide := reader(st, ftz)
	w, rw := dt.width(), rt.width()
	switch {
	case !df && !sf:
		d.in.f1 = convertInt(dt, st, sat, rw)
		if !sat {
			d.propagate(throughApply, 0)
		}
		d.in.width = uint8(rw)
	case !df:
		d.in.f1 = func(a uint64) uint64 { return floatToInt(wide(a), dt, r) & mask(rw) }
		if dt.signed() {
			d.in.f1 = func(a uint64) uint64 {
				return uint64(extend(floatToInt(wide(a), dt, r), w)) & mask(rw)
			}
		}
		d.in.width = uint8(rw)
	default:
		write := writer(dt, r, sat, relu, ftz)
		switch {
		case sf && toInt:
			d.in.f1 = func(a uint64) uint64 { return write(integral(wide(a), r)) }
		case sf:
			d.in.f1 = func(a uint64) uint64 { return write(wide(a)) }
		default:
			d.in.f1 = func(a uint64) uint64 { return write(intToFloat(a, st, dt)) }
		}
	}
}

func decodeCvtPacked(d *decoder) {
	r := roundings[d.one("rn", "rz")]
	relu := d.flag("relu")
	dt := d.types(F16x2, BF16x2)
	d.types(F32)
	if !d.count(3, 3) {
		return
	}
	d.in.d, d.in.a, d.in.b = d.dst(d.op(0), dt), d.src(d.op(1), F32), d.src(d.op(2), F32)
	d.in.width, d.in.exec = 32, exec2
	half := F16
	if dt == BF16x2 {
		half = BF16
	}
	write := writer(half, r, false, relu, false)
	d.in.f2 = func(a, b uint64) uint64 { return write(float64(f32(a)))<<16 | write(float64(f32(b))) }
	d.in.prop = func(_ *inst, _, u *[3]uint64) uint64 {
		return throughHalves(nil, nil, &[3]uint64{b2u(u[0] != 0)<<16 | b2u(u[1] != 0)})
	}
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// reader widens a float of type t to float64.
func reader(t Type, ftz bool) func(uint64) float64 {
	switch {
	case t == F32 && ftz:
		return func(a uint64) float64 { return float64(f32(flush32(a))) }
	case t == F32:
		return func(a uint64) float64 { return float64(f32(a)) }
	case t == F64:
		return f64
	case t.class() == float:
		fm := formats[t]
		return func(a uint64) float64 { return fm.wide(a & 0xffff) }
	}
	return nil
}

// writer narrows a float64 to type t.
func writer(t Type, r rounding, sat, relu, ftz bool) func(float64) uint64 {
	return func(v float64) uint64 {
		if sat {
			v = min(max(v, 0), 1)
			if v != v {
				v = 0
			}
		}
		var out uint64
		switch t {
		case F32:
			out = narrow32(v, r)
			if ftz {
				out = flush32(out)
			}
		case F64:
			out = bits64(v)
		default:
			out = formats[t].round(v, r)
			if relu && out&0x8000 != 0 && out&0x7fff != nan16 {
				out = 0
			}
		}
		return out
	}
}

// integral rounds to an integer in floating point.
func integral(v float64, r rounding) float64 {
	switch r {
	case zero:
		return math.Trunc(v)
	case down:
		return math.Floor(v)
	case up:
		return math.Ceil(v)
	}
	return math.RoundToEven(v)
}

// floatToInt clamps to the range of t; NaN gives 0.
func floatToInt(v float64, t Type, r rounding) uint64 {
	v = integral(v, r)
	w := t.width()
	if v != v {
		return 0
	}
	if t.signed() {
		lim := math.Ldexp(1, int(w)-1)
		switch {
		case v >= lim:
			return mask(w - 1)
		case v < -lim:
			return 1 << (w - 1)
		}
		return uint64(int64(v)) & mask(w)
	}
	switch {
	case v <= 0:
		return 0
	case v >= math.Ldexp(1, int(w)):
		return mask(w)
	}
	return uint64(v)
}

// intToFloat gives the integer as a float64 that rounds to dt as the integer
// itself does: rounded to odd where 53 bits are too few.
func intToFloat(a uint64, st, dt Type) float64 {
	neg := false
	a &= mask(st.width())
	if st.signed() {
		if v := extend(a, st.width()); v < 0 {
			neg, a = true, -uint64(v)
		} else {
			a = uint64(v)
		}
	}
	if n := bits.Len64(a); n > 53 && dt != F64 {
		s := uint(n - 53)
		sticky := b2u(a&mask(s) != 0)
		a = (a>>s | sticky) << s
	}
	f := float64(a)
	if neg {
		f = -f
	}
	return f
}

// convertInt truncates or extends, clamping first if sat; the result fills the
// destination register of rw bits.
func convertInt(dt, st Type, sat bool, rw uint) func(uint64) uint64 {
	sw, dw := st.width(), dt.width()
	return func(a uint64) uint64 {
		a &= mask(sw)
		if st.signed() {
			a = uint64(extend(a, sw))
		}
		if sat {
			switch {
			case st.signed():
				a = saturate(int64(a), dt)
			case dt.signed():
				a = min(a, mask(dw-1))
			default:
				a = min(a, mask(dw))
			}
		}
		a &= mask(dw)
		if dt.signed() {
			a = uint64(extend(a, dw))
		}
		return a & mask(rw)
	}
}
