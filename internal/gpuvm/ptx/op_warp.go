package ptx

import "math/bits"

var warpOps = map[string]func(*decoder){
	"shfl": decodeShfl, "vote": decodeVote, "activemask": decodeActivemask, "redux": decodeRedux, "match": decodeMatch,
}

// needMembers checks the membermask of a .sync instruction: it must be defined,
// the same in all lanes here, and name exactly the lanes that are here. Lanes
// that are elsewhere could still come on a GPU; that is refused as too fragile.
func (w *warp) needMembers(in *inst, r int32) {
	w.need(in, r, "membermask")
	for lm := w.active; lm != 0; lm &= lm - 1 {
		lane := bits.TrailingZeros32(lm) & 31
		// Lanes that do not exist or have exited may be named.
		if m := uint32(w.regs[r][lane]); m>>lane&1 == 0 || m&w.live&^w.active != 0 || w.active&^m != 0 {
			f := w.fault(PartialWarp, in, lane)
			f.Detail = "membermask " + hex(uint64(m)) + ", lanes here " + hex(uint64(w.active))
			panic(f)
		}
	}
}

func (w *warp) needPred(in *inst, p int32, what string) {
	if u := w.pundef[p] & w.active; u != 0 {
		f := w.fault(Uninitialised, in, bits.TrailingZeros32(u))
		f.Detail, f.Origin = what+" is undefined", int(w.porigins[p])
		panic(f)
	}
}

// shfl.sync.mode.b32 d[|p], a, b, c, membermask
func decodeShfl(d *decoder) {
	d.one("sync")
	mode := d.one("up", "down", "bfly", "idx")
	d.types(B32)
	if !d.count(5, 5) {
		return
	}
	o := d.op(0)
	if o.kind == opPair {
		d.in.q = d.predDst(&o.list[1])
		o = &o.list[0]
	}
	d.in.d = d.sink
	if o.kind != opSink {
		d.in.d = d.dst(o, B32)
	}
	d.in.a, d.in.b, d.in.c = d.src(d.op(1), B32), d.src(d.op(2), U32), d.src(d.op(3), U32)
	d.in.av = []int32{d.src(d.op(4), U32)}
	d.in.boolop = map[string]uint8{"up": 0, "down": 1, "bfly": 2, "idx": 3}[mode]
	d.in.width, d.in.exec = 32, execShfl
}

// shflSource gives the lane that a lane reads and whether it lies in its
// segment, after the pseudocode of the ISA.
func shflSource(mode uint8, lane int, b, c uint64) (int, bool) {
	bval, cval, segment := int(b&31), int(c&31), int(c>>8&31)
	maxLane := lane&segment | cval&^segment
	minLane := lane & segment
	var j int
	var p bool
	switch mode {
	case 0:
		j = lane - bval
		p = j >= maxLane
	case 1:
		j = lane + bval
		p = j <= maxLane
	case 2:
		j = lane ^ bval
		p = j <= maxLane
	default:
		j = minLane | bval&^segment
		p = j <= maxLane
	}
	if !p {
		j = lane
	}
	return j, p
}

func execShfl(w *warp, in *inst) {
	w.needMembers(in, in.av[0])
	w.need(in, in.b, "lane operand")
	w.need(in, in.c, "clamp operand")
	a := w.regs[in.a]
	au := w.undef[in.a]
	var ua vreg
	if au != 0 {
		for i := range ua {
			ua[i] = w.undefBits(in.a, i)
		}
	}
	var preds uint32
	origin := w.origins[in.a]
	for lm := w.active; lm != 0; lm &= lm - 1 {
		lane := bits.TrailingZeros32(lm) & 31
		j, p := shflSource(in.boolop, lane, w.regs[in.b][lane], w.regs[in.c][lane])
		if p {
			preds |= 1 << lane
		}
		var ub uint64
		switch {
		case w.active>>j&1 == 0: // an inactive lane's value is undefined
			ub = mask(32)
			w.regs[in.d][lane] = 0xdeadbeef
			w.setUndef(in.d, lane, ub, in.line)
			continue
		case au>>j&1 != 0:
			ub = ua[j] & mask(32)
		}
		w.regs[in.d][lane] = a[j]
		w.setUndef(in.d, lane, ub, origin)
	}
	if in.q >= 0 {
		w.setPred(in.q, preds)
	}
}

// vote.sync.mode d, {!}a, membermask
func decodeVote(d *decoder) {
	d.one("sync")
	mode := d.one("all", "any", "uni", "ballot")
	if mode == "ballot" {
		d.types(B32)
	} else {
		d.types(Pred)
	}
	if !d.count(3, 3) {
		return
	}
	if mode == "ballot" {
		d.in.d = d.dst(d.op(0), B32)
	} else {
		d.in.d = d.predDst(d.op(0))
	}
	d.in.p, d.in.pNot = d.predReg(d.op(1)), d.op(1).neg
	d.in.a = d.src(d.op(2), U32)
	d.in.exec = func(w *warp, in *inst) {
		w.needMembers(in, in.a)
		w.needPred(in, in.p, "predicate of vote")
		v := w.preds[in.p]
		if in.pNot {
			v = ^v
		}
		v &= w.active
		var r uint32
		switch mode {
		case "ballot":
			for lm := w.active; lm != 0; lm &= lm - 1 {
				w.regs[in.d][bits.TrailingZeros32(lm)&31] = uint64(v)
			}
			w.define(in.d)
			return
		case "all":
			r = -uint32(b2u(v == w.active))
		case "any":
			r = -uint32(b2u(v != 0))
		case "uni":
			r = -uint32(b2u(v == 0 || v == w.active))
		}
		w.setPred(in.d, r)
	}
}

func decodeActivemask(d *decoder) {
	d.types(B32)
	if !d.count(1, 1) {
		return
	}
	d.in.d = d.dst(d.op(0), B32)
	d.in.exec = func(w *warp, in *inst) {
		for lm := w.active; lm != 0; lm &= lm - 1 {
			w.regs[in.d][bits.TrailingZeros32(lm)&31] = uint64(w.active)
		}
		w.define(in.d)
	}
}

// redux.sync.op.type d, a, membermask
func decodeRedux(d *decoder) {
	d.one("sync")
	op := d.one("add", "min", "max", "and", "or", "xor")
	t := B32
	if op == "add" || op == "min" || op == "max" {
		t = d.types(U32, S32)
	} else {
		d.types(B32)
	}
	d.needArch(80)
	if !d.count(3, 3) {
		return
	}
	d.in.d, d.in.a, d.in.b = d.dst(d.op(0), t), d.src(d.op(1), t), d.src(d.op(2), U32)
	f := atomFunc(op, t)
	d.in.exec = func(w *warp, in *inst) {
		w.needMembers(in, in.b)
		w.need(in, in.a, "operand of redux")
		first := bits.TrailingZeros32(w.active) & 31
		v := w.regs[in.a][first]
		for lm := w.active & (w.active - 1); lm != 0; lm &= lm - 1 {
			v = f(v, w.regs[in.a][bits.TrailingZeros32(lm)&31], 0) & mask(32)
		}
		for lm := w.active; lm != 0; lm &= lm - 1 {
			w.regs[in.d][bits.TrailingZeros32(lm)&31] = v
		}
		w.define(in.d)
	}
}

// match.any.sync and match.all.sync d[|p], a, membermask
func decodeMatch(d *decoder) {
	mode := d.one("any", "all")
	d.one("sync")
	t := d.types(B32, B64)
	if !d.count(3, 3) {
		return
	}
	o := d.op(0)
	if o.kind == opPair {
		if mode == "any" {
			d.fail("match.any has no predicate")
		}
		d.in.q = d.predDst(&o.list[1])
		o = &o.list[0]
	}
	d.in.d, d.in.a, d.in.b = d.dst(o, B32), d.src(d.op(1), t), d.src(d.op(2), U32)
	d.in.exec = func(w *warp, in *inst) {
		w.needMembers(in, in.b)
		w.need(in, in.a, "operand of match")
		v := w.regs[in.a]
		var all uint32
		for lm := w.active; lm != 0; lm &= lm - 1 {
			lane := bits.TrailingZeros32(lm) & 31
			var same uint32
			for k := range lanes {
				if w.active>>k&1 != 0 && v[k] == v[lane] {
					same |= 1 << k
				}
			}
			if mode == "all" && same != w.active {
				same = 0
			}
			if same != 0 {
				all |= 1 << lane
			}
			w.regs[in.d][lane] = uint64(same)
		}
		w.define(in.d)
		if in.q >= 0 {
			w.setPred(in.q, all)
		}
	}
}
