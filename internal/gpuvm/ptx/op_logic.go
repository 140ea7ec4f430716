package ptx

var logicOps = map[string]func(*decoder){
	"and": decodeLogic, "or": decodeLogic, "xor": decodeLogic, "not": decodeNot, "cnot": decodeCnot,
	"lop3": decodeLop3, "shl": decodeShift, "shr": decodeShift, "shf": decodeFunnel, "prmt": decodePrmt,
}

func decodeLogic(d *decoder) {
	t := d.types(B16, B32, B64, Pred)
	name := d.s.parts[0]
	var f func(a, b uint64) uint64
	prop := throughBits
	switch name {
	case "and":
		f, prop = func(a, b uint64) uint64 { return a & b }, throughAnd
	case "or":
		f, prop = func(a, b uint64) uint64 { return a | b }, throughOr
	default:
		f = func(a, b uint64) uint64 { return a ^ b }
	}
	if t == Pred {
		if d.count(3, 3) {
			d.in.d, d.in.a, d.in.b = d.dst(d.op(0), Pred), d.predReg(d.op(1)), d.predReg(d.op(2))
			if d.op(1).neg || d.op(2).neg {
				d.fail("! is not allowed here")
			}
			d.in.f2, d.in.prop, d.in.exec = f, prop, execPredLogic
		}
		return
	}
	d.plain(t, 2)
	d.in.f2 = f
	d.propagate(prop, 0)
}

// execPredLogic works on all lanes at once: a predicate is a mask.
func execPredLogic(w *warp, in *inst) {
	a, b := uint64(w.preds[in.a]), uint64(w.preds[in.b])
	u := [3]uint64{uint64(w.pundef[in.a]), uint64(w.pundef[in.b])}
	ub := in.prop(in, &[3]uint64{a, b}, &u)
	w.setPred(in.d, uint32(in.f2(a, b)))
	w.pundef[in.d] |= uint32(ub) & w.active
}

func decodeNot(d *decoder) {
	t := d.types(B16, B32, B64, Pred)
	if t == Pred {
		if d.count(2, 2) {
			d.in.d, d.in.a = d.dst(d.op(0), Pred), d.predReg(d.op(1))
			d.in.exec = execPredNot
		}
		return
	}
	d.plain(t, 1)
	m := mask(t.width())
	d.in.f1 = func(a uint64) uint64 { return ^a & m }
	d.propagate(throughBits, 0)
}

func execPredNot(w *warp, in *inst) {
	u := w.pundef[in.a] & w.active
	w.setPred(in.d, ^w.preds[in.a])
	w.pundef[in.d] |= u
}

func decodeCnot(d *decoder) {
	d.plain(d.types(B16, B32, B64), 1)
	d.in.f1 = func(a uint64) uint64 {
		if a == 0 {
			return 1
		}
		return 0
	}
}

func decodeLop3(d *decoder) {
	if !d.flag("b32") {
		d.fail("only lop3.b32 is supported")
		return
	}
	if !d.count(5, 5) {
		return
	}
	d.in.d, d.in.a, d.in.b, d.in.c = d.dst(d.op(0), B32), d.src(d.op(1), B32), d.src(d.op(2), B32), d.src(d.op(3), B32)
	lut := d.literalInt(d.op(4), 0, 255)
	d.in.exec, d.in.width = execLop3, 32
	d.propagate(throughLop3, lut)
	d.in.f3 = func(a, b, c uint64) uint64 { return lop3(lut, a, b, c) & mask(32) }
}

// lop3 looks each bit up: entry 4a+2b+c of the table.
func lop3(lut int64, a, b, c uint64) uint64 {
	var r uint64
	for k := range 8 {
		if lut>>k&1 == 0 {
			continue
		}
		x, y, z := a, b, c
		if k&4 == 0 {
			x = ^x
		}
		if k&2 == 0 {
			y = ^y
		}
		if k&1 == 0 {
			z = ^z
		}
		r |= x & y & z
	}
	return r
}

func decodeShift(d *decoder) {
	var t Type
	right := d.s.parts[0] == "shr"
	if right {
		t = d.types(B16, B32, B64, U16, U32, U64, S16, S32, S64)
	} else {
		t = d.types(B16, B32, B64)
	}
	if !d.count(3, 3) {
		return
	}
	w := t.width()
	d.in.d, d.in.a, d.in.b = d.dst(d.op(0), t), d.src(d.op(1), t), d.src(d.op(2), U32)
	d.in.exec, d.in.width = exec2, uint8(w)
	d.propagate(throughApply, 2)
	// The count is clamped to the width; Go's shifts by 64 and more give 0 or the sign.
	switch {
	case right && t.signed():
		d.in.f2 = func(a, n uint64) uint64 { return uint64(extend(a, w)>>min(n, 63)) & mask(w) }
	case right:
		d.in.f2 = func(a, n uint64) uint64 { return a >> n }
	default:
		d.in.f2 = func(a, n uint64) uint64 { return a << n & mask(w) }
	}
}

func decodeFunnel(d *decoder) {
	left := d.one("l", "r") == "l"
	clamp := d.one("clamp", "wrap") == "clamp"
	d.types(B32)
	if !d.count(4, 4) {
		return
	}
	d.in.d, d.in.a, d.in.b, d.in.c = d.dst(d.op(0), B32), d.src(d.op(1), B32), d.src(d.op(2), B32), d.src(d.op(3), U32)
	d.in.exec, d.in.width = exec3, 32
	d.propagate(throughApply, 4)
	d.in.f3 = func(a, b, c uint64) uint64 {
		n := c & 31
		if clamp {
			n = min(c, 32)
		}
		v := b<<32 | a
		if left {
			return v << n >> 32 & mask(32)
		}
		return v >> n & mask(32)
	}
}

func decodePrmt(d *decoder) {
	d.types(B32)
	mode := d.opt("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
	if !d.count(4, 4) {
		return
	}
	d.in.d, d.in.a, d.in.b, d.in.c = d.dst(d.op(0), B32), d.src(d.op(1), B32), d.src(d.op(2), B32), d.src(d.op(3), B32)
	d.in.exec, d.in.width = exec3, 32
	d.propagate(throughApply, 4)
	d.in.f3 = func(a, b, c uint64) uint64 { return permute(b<<32|a, selector(mode, c)) }
}

// selector turns the two low bits of a special mode's selector into the four
// nibbles of the general one.
func selector(mode string, c uint64) uint64 {
	n := c & 3
	var sel uint64
	for i := range uint64(4) {
		var s uint64
		switch mode {
		case "":
			return c
		case "f4e":
			s = n + i
		case "b4e":
			s = (n - i) & 7
		case "rc8":
			s = n
		case "ecl":
			s = max(i, n)
		case "ecr":
			s = min(i, n)
		case "rc16":
			s = n&1*2 + i&1
		}
		sel |= s << (4 * i)
	}
	return sel
}

// permute picks four of eight bytes; bit 3 of a nibble replicates the byte's
// sign instead.
func permute(v, sel uint64) uint64 {
	var r uint64
	for i := range uint(4) {
		s := sel >> (4 * i) & 15
		b := v >> (8 * (s & 7)) & 255
		if s&8 != 0 {
			b = 255 * (b >> 7)
		}
		r |= b << (8 * i)
	}
	return r
}
