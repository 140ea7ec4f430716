package ptx

import "math/bits"

// exec1, exec2 and exec3 apply the instruction's function lane by lane.

func exec1(w *warp, in *inst) {
	d, a, f := &w.regs[in.d], &w.regs[in.a], in.f1
	if u := w.undef[in.a] & w.active; u != 0 {
		if in.prop != nil {
			w.undefined(in, 1)
			return
		}
		w.spoil(in, u, in.a)
	} else {
		w.undef[in.d] &^= w.active
	}
	if w.active == full {
		for i := range d {
			d[i] = f(a[i])
		}
		return
	}
	for m := w.active; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		d[i] = f(a[i])
	}
}

func exec2(w *warp, in *inst) {
	d, a, b, f := &w.regs[in.d], &w.regs[in.a], &w.regs[in.b], in.f2
	if u := (w.undef[in.a] | w.undef[in.b]) & w.active; u != 0 {
		if in.prop != nil {
			w.undefined(in, 2)
			return
		}
		w.spoil(in, u, in.a, in.b)
	} else {
		w.undef[in.d] &^= w.active
	}
	if w.active == full {
		for i := range d {
			d[i] = f(a[i], b[i])
		}
		return
	}
	for m := w.active; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		d[i] = f(a[i], b[i])
	}
}

func exec3(w *warp, in *inst) {
	d, a, b, c, f := &w.regs[in.d], &w.regs[in.a], &w.regs[in.b], &w.regs[in.c], in.f3
	if u := (w.undef[in.a] | w.undef[in.b] | w.undef[in.c]) & w.active; u != 0 {
		if in.prop != nil {
			w.undefined(in, 3)
			return
		}
		w.spoil(in, u, in.a, in.b, in.c)
	} else {
		w.undef[in.d] &^= w.active
	}
	if w.active == full {
		for i := range d {
			d[i] = f(a[i], b[i], c[i])
		}
		return
	}
	for m := w.active; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		d[i] = f(a[i], b[i], c[i])
	}
}

// spoil makes the whole result undefined in some of the active lanes.
func (w *warp) spoil(in *inst, u uint32, sources ...int32) {
	origin := w.originOf(bits.TrailingZeros32(u), sources...)
	w.undef[in.d] = w.undef[in.d]&^w.active | u
	w.origins[in.d] = origin
	if ub := w.ubits[in.d]; ub != nil {
		all := w.entry.regMasks[in.d]
		for ; u != 0; u &= u - 1 {
			ub[bits.TrailingZeros32(u)] = all
		}
	}
}

// undefined is the slow way of exec1 to exec3, taken when a source has an
// undefined bit in an active lane and the instruction passes bits on.
func (w *warp) undefined(in *inst, n int) {
	regs := [3]int32{in.a, in.b, in.c}
	for m := w.active; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		var v, u [3]uint64
		origin := int32(0)
		for k := range n {
			v[k], u[k] = w.regs[regs[k]][i], w.undefBits(regs[k], i)
			if u[k] != 0 && origin == 0 {
				origin = w.origins[regs[k]]
			}
		}
		var r uint64
		switch n {
		case 1:
			r = in.f1(v[0])
		case 2:
			r = in.f2(v[0], v[1])
		case 3:
			r = in.f3(v[0], v[1], v[2])
		}
		ub := uint64(0)
		if u[0]|u[1]|u[2] != 0 {
			ub = in.prop(in, &v, &u) & mask(uint(in.width))
		}
		w.regs[in.d][i] = r
		w.setUndef(in.d, i, ub, origin)
	}
}

// Ways in which undefined bits pass through an instruction.

// throughApply passes them as the function passes bits, where the operands named
// by the inst's imm as a bit set (shift counts, selectors) are defined.
func throughApply(in *inst, v, u *[3]uint64) uint64 {
	x := *u
	for k := range x {
		if in.imm>>k&1 != 0 {
			if u[k] != 0 {
				return ^uint64(0)
			}
			x[k] = v[k]
		}
	}
	switch {
	case in.f1 != nil:
		return in.f1(x[0])
	case in.f2 != nil:
		return in.f2(x[0], x[1])
	}
	return in.f3(x[0], x[1], x[2])
}

func throughAnd(_ *inst, v, u *[3]uint64) uint64 {
	return (u[0] | u[1]) & (u[0] | v[0]) & (u[1] | v[1])
}

func throughOr(_ *inst, v, u *[3]uint64) uint64 {
	return (u[0] | u[1]) & (u[0] | ^v[0]) & (u[1] | ^v[1])
}

func throughBits(_ *inst, _, u *[3]uint64) uint64 { return u[0] | u[1] | u[2] }

// throughLop3 finds the bits of the result that can still be both 0 and 1.
func throughLop3(in *inst, v, u *[3]uint64) uint64 {
	var can [2]uint64
	for k := range 8 {
		m := ^uint64(0)
		for j := range 3 {
			want := v[j]
			if k>>(2-j)&1 == 0 {
				want = ^v[j]
			}
			m &= want | u[j]
		}
		can[in.imm>>k&1] |= m
	}
	return can[0] & can[1]
}

// propagate sets how undefined bits pass; control names operands that must be
// defined, bit 0 for a.
func (d *decoder) propagate(f propFn, control int64) {
	d.in.prop, d.in.imm = f, control
}

// undefBits gives the undefined bits of a register in one lane.
func (w *warp) undefBits(r int32, lane int) uint64 {
	if w.undef[r]>>lane&1 == 0 {
		return 0
	}
	if b := w.ubits[r]; b != nil {
		return b[lane]
	}
	return w.entry.regMasks[r]
}

// setUndef sets them; origin is the line that brought them.
func (w *warp) setUndef(r int32, lane int, b uint64, origin int32) {
	if b == 0 {
		w.undef[r] &^= 1 << lane
		return
	}
	ub := w.ubits[r]
	if all := w.entry.regMasks[r]; ub == nil && b&all == all {
		w.undef[r] |= 1 << lane
		w.origins[r] = origin
		return
	}
	if ub == nil {
		ub = new(vreg)
		for i := range ub {
			ub[i] = w.entry.regMasks[r]
		}
		w.ubits[r] = ub
	}
	ub[lane] = b
	w.undef[r] |= 1 << lane
	w.origins[r] = origin
}

// define marks the active lanes of a register defined.
func (w *warp) define(r int32) { w.undef[r] &^= w.active }

// need faults unless a register is wholly defined in the active lanes.
func (w *warp) need(in *inst, r int32, what string) {
	if u := w.undef[r] & w.active; u != 0 {
		w.failUndef(in, r, bits.TrailingZeros32(u), what)
	}
}

func (w *warp) failUndef(in *inst, r int32, lane int, what string) {
	name := w.entry.regNames[r]
	if name != "" {
		what += " " + name
	}
	f := w.fault(Uninitialised, in, lane)
	f.Detail, f.Origin = what+" is undefined", int(w.origins[r])
	panic(f)
}
