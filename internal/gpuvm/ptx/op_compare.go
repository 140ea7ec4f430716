package ptx

import "math/bits"

var compareOps = map[string]func(*decoder){
	"setp": decodeSetp, "set": decodeSet, "selp": decodeSelp, "slct": decodeSlct,
}

var compareTypes = []Type{B16, B32, B64, U16, U32, U64, S16, S32, S64, F16, BF16, F32, F64}

// comparison decodes CmpOp{.BoolOp}{.ftz}.type; for set, dt comes before the
// source type.
func (d *decoder) comparison(dts ...Type) (cmp func(a, b uint64) bool, boolop string, dt, t Type) {
	name := d.one("eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan")
	boolop = d.opt("and", "or", "xor")
	ftz := d.flag("ftz")
	if dts != nil {
		dt = d.types(dts...)
	}
	t = d.types(compareTypes...)
	if ftz && t != F32 && t != F16 {
		d.fail(".ftz of .%s", t)
	}
	if t.class() == float {
		return floatComparison(d, name, t, ftz), boolop, dt, t
	}
	return intComparison(d, name, t), boolop, dt, t
}

func intComparison(d *decoder, name string, t Type) func(a, b uint64) bool {
	if (name == "lo" || name == "ls" || name == "hi" || name == "hs") && t.class() != unsigned || t.class() == untyped && name != "eq" && name != "ne" {
		d.fail("comparison .%s of .%s", name, t)
	}
	switch name {
	case "eq":
		return func(a, b uint64) bool { return a == b }
	case "ne":
		return func(a, b uint64) bool { return a != b }
	case "lt", "lo":
		return func(a, b uint64) bool { return less(t, a, b) }
	case "le", "ls":
		return func(a, b uint64) bool { return !less(t, b, a) }
	case "gt", "hi":
		return func(a, b uint64) bool { return less(t, b, a) }
	case "ge", "hs":
		return func(a, b uint64) bool { return !less(t, a, b) }
	}
	d.fail("comparison .%s of .%s", name, t)
	return nil
}

// floatComparison: the plain comparisons are false on NaN, those ending in u true.
func floatComparison(d *decoder, name string, t Type, ftz bool) func(a, b uint64) bool {
	wide := func(v uint64) float64 { return f64(v) }
	switch {
	case t == F32 && ftz:
		wide = func(v uint64) float64 { return float64(f32(flush32(v))) }
	case t == F32:
		wide = func(v uint64) float64 { return float64(f32(v)) }
	case t == F16 && ftz:
		wide = func(v uint64) float64 { return formats[F16].wide(flush16(v)) }
	case t == F16 || t == BF16:
		wide = formats[t].wide
	}
	var f func(x, y float64) bool
	switch name {
	case "eq":
		f = func(x, y float64) bool { return x == y }
	case "ne":
		f = func(x, y float64) bool { return x < y || x > y }
	case "lt":
		f = func(x, y float64) bool { return x < y }
	case "le":
		f = func(x, y float64) bool { return x <= y }
	case "gt":
		f = func(x, y float64) bool { return x > y }
	case "ge":
		f = func(x, y float64) bool { return x >= y }
	case "equ":
		f = func(x, y float64) bool { return !(x < y || x > y) }
	case "neu":
		f = func(x, y float64) bool { return x != y }
	case "ltu":
		f = func(x, y float64) bool { return !(x >= y) }
	case "leu":
		f = func(x, y float64) bool { return !(x > y) }
	case "gtu":
		f = func(x, y float64) bool { return !(x <= y) }
	case "geu":
		f = func(x, y float64) bool { return !(x < y) }
	case "num":
		f = func(x, y float64) bool { return x == x && y == y }
	case "nan":
		f = func(x, y float64) bool { return x != x || y != y }
	default:
		d.fail("comparison .%s of .%s", name, t)
	}
	return func(a, b uint64) bool { return f(wide(a), wide(b)) }
}

var boolops = map[string]uint8{"": 0, "and": 1, "or": 2, "xor": 3}

func combine(op uint8, cmp, p uint32) uint32 {
	switch op {
	case 1:
		return cmp & p
	case 2:
		return cmp | p
	case 3:
		return cmp ^ p
	}
	return cmp
}

func decodeSetp(d *decoder) {
	cmp, boolop, _, t := d.comparison()
	n := 3
	if boolop != "" {
		n = 4
	}
	if !d.count(n, n) {
		return
	}
	d.in.cmp, d.in.boolop, d.in.exec = cmp, boolops[boolop], execSetp
	if o := d.op(0); o.kind == opPair {
		d.in.d, d.in.q = d.predDst(&o.list[0]), d.predDst(&o.list[1])
	} else {
		d.in.d = d.predDst(o)
	}
	d.in.a, d.in.b = d.src(d.op(1), t), d.src(d.op(2), t)
	if n == 4 {
		d.in.p, d.in.pNot = d.predReg(d.op(3)), d.op(3).neg
	}
}

func (d *decoder) predDst(o *operand) int32 {
	if o.kind == opSink {
		return d.sinkPred
	}
	if o.neg {
		d.fail("! on a destination")
	}
	return d.predRegister(o)
}

// compare evaluates the comparison for all lanes; u has those whose result is
// undefined.
func (w *warp) compare(in *inst) (r, u uint32) {
	a, b, f := &w.regs[in.a], &w.regs[in.b], in.cmp
	if w.active == full {
		for i := range a {
			if f(a[i], b[i]) {
				r |= 1 << i
			}
		}
	} else {
		for m := w.active; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			if f(a[i], b[i]) {
				r |= 1 << i
			}
		}
	}
	return r, w.undef[in.a] | w.undef[in.b]
}

func execSetp(w *warp, in *inst) {
	r, u := w.compare(in)
	origin := int32(0)
	if u&w.active != 0 {
		origin = w.originOf(bits.TrailingZeros32(u&w.active), in.a, in.b)
	}
	var p, pu uint32
	if in.p >= 0 {
		p, pu = w.preds[in.p], w.pundef[in.p]
		if in.pNot {
			p = ^p
		}
		if pu&w.active != 0 {
			origin = w.porigins[in.p]
		}
	}
	w.setPred(in.d, combine(in.boolop, r, p))
	w.undefPred(in.d, u|pu, origin)
	if in.q >= 0 {
		w.setPred(in.q, combine(in.boolop, ^r, p))
		w.undefPred(in.q, u|pu, origin)
	}
}

// setPred writes a predicate in the active lanes and marks it defined there.
func (w *warp) setPred(p int32, v uint32) {
	w.preds[p] = w.preds[p]&^w.active | v&w.active
	w.pundef[p] &^= w.active
}

func (w *warp) undefPred(p int32, u uint32, origin int32) {
	if u &= w.active; u != 0 {
		w.pundef[p] |= u
		w.porigins[p] = origin
	}
}

func decodeSet(d *decoder) {
	cmp, boolop, dt, t := d.comparison(U32, S32, F32)
	n := 3
	if boolop != "" {
		n = 4
	}
	if !d.count(n, n) {
		return
	}
	d.in.cmp, d.in.boolop, d.in.exec, d.in.width = cmp, boolops[boolop], execSet, 32
	d.in.d, d.in.a, d.in.b = d.dst(d.op(0), dt), d.src(d.op(1), t), d.src(d.op(2), t)
	d.in.imm = 0xffffffff
	if dt == F32 {
		d.in.imm = int64(bits32(1))
	}
	if n == 4 {
		d.in.p, d.in.pNot = d.predReg(d.op(3)), d.op(3).neg
	}
}

func execSet(w *warp, in *inst) {
	r, u := w.compare(in)
	if in.p >= 0 {
		p := w.preds[in.p]
		if in.pNot {
			p = ^p
		}
		r, u = combine(in.boolop, r, p), u|w.pundef[in.p]
	}
	for m := w.active; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		var ub uint64
		if u>>i&1 != 0 {
			ub = mask(32)
		}
		w.regs[in.d][i] = uint64(in.imm) * uint64(r>>i&1)
		w.setUndef(in.d, i, ub, in.line)
	}
}

func decodeSelp(d *decoder) {
	t := d.types(compareTypes...)
	if !d.count(4, 4) {
		return
	}
	d.in.d, d.in.a, d.in.b, d.in.width = d.dst(d.op(0), t), d.src(d.op(1), t), d.src(d.op(2), t), uint8(t.width())
	d.in.p, d.in.pNot, d.in.exec = d.predReg(d.op(3)), d.op(3).neg, execSelp
}

func execSelp(w *warp, in *inst) {
	p := w.preds[in.p]
	if in.pNot {
		p = ^p
	}
	d, a, b := &w.regs[in.d], &w.regs[in.a], &w.regs[in.b]
	if (w.undef[in.a]|w.undef[in.b]|w.pundef[in.p])&w.active != 0 {
		for m := w.active; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			from := in.b
			if p>>i&1 != 0 {
				from = in.a
			}
			ub, origin := w.undefBits(from, i), w.origins[from]
			if w.pundef[in.p]>>i&1 != 0 {
				ub, origin = mask(uint(in.width)), w.porigins[in.p]
			}
			d[i] = w.regs[from][i]
			w.setUndef(in.d, i, ub&mask(uint(in.width)), origin)
		}
		return
	}
	w.define(in.d)
	for m := w.active; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		if p>>i&1 != 0 {
			d[i] = a[i]
		} else {
			d[i] = b[i]
		}
	}
}

// slct.dtype.ctype d, a, b, c gives a where c ≥ 0.
func decodeSlct(d *decoder) {
	ftz := d.flag("ftz")
	t := d.types(B16, B32, B64, U16, U32, U64, S16, S32, S64, F32, F64)
	ct := d.types(S32, F32)
	if ftz && ct != F32 {
		d.fail(".ftz of .s32")
	}
	if !d.count(4, 4) {
		return
	}
	d.in.d, d.in.a, d.in.b, d.in.c = d.dst(d.op(0), t), d.src(d.op(1), t), d.src(d.op(2), t), d.src(d.op(3), ct)
	d.in.width, d.in.exec = uint8(t.width()), exec3
	d.in.f3 = func(a, b, c uint64) uint64 {
		if ct == S32 {
			if int32(c) >= 0 {
				return a
			}
			return b
		}
		if ftz {
			c = flush32(c)
		}
		if f32(c) >= 0 {
			return a
		}
		return b
	}
}
