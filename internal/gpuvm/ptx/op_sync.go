package ptx

import "math/bits"

var syncOps = map[string]func(*decoder){
	"bar": decodeBar, "barrier": decodeBar, "membar": decodeMembar, "fence": decodeFence,
}

const maxBarriers = 16

// How a warp takes part in a barrier.
const (
	barSync uint8 = iota
	barArrive
	barPopc
	barAnd
	barOr
)

// decodeBar decodes bar.sync, bar.arrive, bar.red and bar.warp.sync, and the
// .aligned forms of barrier.
func decodeBar(d *decoder) {
	isBar := d.s.parts[0] == "bar"
	if isBar && d.flag("warp") {
		d.one("sync")
		if d.count(1, 1) {
			d.in.a, d.in.exec = d.src(d.op(0), B32), execBarWarp
			d.in.yields = true
		}
		return
	}
	d.flag("cta")
	kind := d.one("sync", "arrive", "red")
	op := ""
	if kind == "red" {
		op = d.one("popc", "and", "or")
	}
	if !isBar && !d.flag("aligned") {
		d.fail("only barriers with .aligned are supported")
	}
	at := 0
	switch kind {
	case "sync":
		d.in.boolop = barSync
	case "arrive":
		d.in.boolop = barArrive
	case "red":
		if op == "popc" {
			d.types(U32)
			d.in.boolop, d.in.d = barPopc, d.dst(d.op(0), U32)
		} else {
			d.types(Pred)
			d.in.boolop, d.in.d = map[string]uint8{"and": barAnd, "or": barOr}[op], d.predDst(d.op(0))
		}
		at = 1
		last := d.op(len(d.s.ops) - 1)
		d.in.p, d.in.pNot = d.predReg(last), last.neg
	}
	n := len(d.s.ops) - at
	if kind == "red" {
		n--
	}
	if n < 1 || n > 2 || kind == "arrive" && n != 2 {
		d.fail("%d operands", len(d.s.ops))
		return
	}
	d.in.a, d.in.b = d.src(d.op(at), U32), -1
	if n == 2 {
		d.in.b = d.src(d.op(at+1), U32)
	}
	d.in.exec, d.in.yields = execBar, true
}

// A barrier is one of the sixteen of a block.
type barrier struct {
	arrived  uint32 // warps
	waiting  uint32 // of them, those that wait
	expected int    // threads; 0: all of the block
	count    int    // popc
	and, or  bool
	results  [lanes]*inst // by warp: where a red result goes
	reds     bool
}

func (w *warp) uniform(in *inst, r int32, what string) uint64 {
	w.need(in, r, what)
	lane := bits.TrailingZeros32(w.active) & 31
	v := w.regs[r][lane]
	for lm := w.active; lm != 0; lm &= lm - 1 {
		if l := bits.TrailingZeros32(lm) & 31; w.regs[r][l] != v {
			f := w.fault(Operand, in, l)
			f.Detail = what + " differs within the warp"
			panic(f)
		}
	}
	return v
}

// execBar arrives at a barrier. All threads of the warp that have not exited
// must be here: bar is .aligned.
func execBar(w *warp, in *inst) {
	if w.active != w.live {
		f := w.fault(PartialWarp, in, bits.TrailingZeros32(w.active)&31)
		f.Detail = "lanes " + hex(uint64(w.active)) + " of " + hex(uint64(w.live)) + " are at the barrier"
		panic(f)
	}
	id, expected := w.uniform(in, in.a, "barrier"), 0
	if in.b >= 0 {
		expected = int(w.uniform(in, in.b, "thread count"))
	}
	if id >= maxBarriers || in.b >= 0 && (expected%lanes != 0 || expected == 0 || expected > len(w.blk.warps)*lanes) {
		f := w.fault(Operand, in, bits.TrailingZeros32(w.active)&31)
		f.Detail = "barrier numbers go to 15; thread counts are multiples of 32 within the block"
		panic(f)
	}
	b := &w.blk.barriers[id]
	bit := uint32(1) << w.index
	red := in.boolop >= barPopc
	if b.arrived != 0 && (b.expected != expected || b.reds != red) || b.arrived&bit != 0 {
		f := w.fault(Deadlock, in, bits.TrailingZeros32(w.active)&31)
		f.Detail = "the barrier is in use in another way"
		panic(f)
	}
	if b.arrived == 0 {
		*b = barrier{expected: expected, and: true, reds: red}
	}
	b.arrived |= bit
	if red {
		w.needPred(in, in.p, "predicate of bar.red")
		p := w.preds[in.p]
		if in.pNot {
			p = ^p
		}
		p &= w.active
		b.count += bits.OnesCount32(p)
		b.and = b.and && p == w.active
		b.or = b.or || p != 0
		b.results[w.index] = in
	}
	if in.boolop != barArrive {
		b.waiting |= bit
		w.waiting = true
		w.waitLine = in
	}
	a := arrival{w: w, part: w.live}
	if in.boolop == barArrive {
		a.told = w.announce()
	}
	w.blk.arrivals[id] = append(w.blk.arrivals[id], a)
	w.blk.tryComplete(int(id))
}

// An arrival is a warp at a barrier and its threads then; told is what a warp
// that does not wait leaves there.
type arrival struct {
	w    *warp
	part uint32
	told *far
}

// announce gives all that the warp's threads know and did; later accesses carry
// a later tick.
func (w *warp) announce() *far {
	w.blk.tick++
	w.stamp = w.blk.tick
	var f *far
	for lane := range lanes {
		if w.live>>lane&1 == 0 {
			continue
		}
		k := w.know[lane]
		f = joinFar(f, k.far).clone()
		raise(&f.blocks, w.blk.index, k.block)
		raise(&f.warps, w.gid, k.warp)
		raise(&f.threads, uint64(w.gid)<<5|uint64(lane), w.stamp)
	}
	return f
}

// tryComplete ends a barrier that has all it waits for. Threads that have
// exited are not waited for, unless the count of threads is given.
func (b *block) tryComplete(id int) {
	br := &b.barriers[id]
	if br.arrived == 0 {
		return
	}
	if br.expected == 0 {
		for _, w := range b.warps {
			if w.live != 0 && br.arrived>>w.index&1 == 0 {
				return
			}
		}
	} else if bits.OnesCount32(br.arrived)*lanes < br.expected {
		return
	}
	warps, parts := b.scratchWarps[:0], b.scratchParts[:0]
	var told *far
	for _, a := range b.arrivals[id] {
		if a.told != nil {
			told = joinFar(told, a.told)
			continue
		}
		warps, parts = append(warps, a.w), append(parts, a.part)
	}
	b.meet(warps, parts, told)
	b.scratchWarps, b.scratchParts = warps, parts
	for _, w := range b.warps {
		if br.waiting>>w.index&1 == 0 {
			continue
		}
		w.waiting = false
		if in := br.results[w.index]; in != nil {
			w.finishRed(in, br)
		}
	}
	*br = barrier{}
	b.arrivals[id] = b.arrivals[id][:0]
}

func (w *warp) finishRed(in *inst, br *barrier) {
	w.active = w.live
	switch in.boolop {
	case barPopc:
		for lm := w.active; lm != 0; lm &= lm - 1 {
			w.regs[in.d][bits.TrailingZeros32(lm)&31] = uint64(br.count)
		}
		w.define(in.d)
	case barAnd:
		w.setPred(in.d, -uint32(b2u(br.and)))
	case barOr:
		w.setPred(in.d, -uint32(b2u(br.or)))
	}
}

// execBarWarp orders the accesses of the lanes that its mask names.
func execBarWarp(w *warp, in *inst) {
	w.needMembers(in, in.a)
	one, part := [1]*warp{w}, [1]uint32{w.active}
	w.blk.meet(one[:], part[:], nil)
}

// decodeMembar: on sm_70 and later membar is fence.sc.
func decodeMembar(d *decoder) {
	d.in.boolop = uint8(map[string]scope{"cta": ctaScope, "gl": gpuScope, "sys": gpuScope}[d.one("cta", "gl", "sys")])
	if d.count(0, 0) {
		d.in.exec, d.in.yields = execFence, true
	}
}

func decodeFence(d *decoder) {
	d.opt("sc", "acq_rel")
	d.in.boolop = uint8(map[string]scope{"cta": ctaScope, "gpu": gpuScope, "sys": gpuScope}[d.one("cta", "gpu", "sys")])
	if d.count(0, 0) {
		d.in.exec, d.in.yields = execFence, true
	}
}

func execFence(w *warp, in *inst) {
	if !w.blk.run.tracked {
		return
	}
	for lm := w.active; lm != 0; lm &= lm - 1 {
		w.fence(bits.TrailingZeros32(lm)&31, scope(in.boolop))
	}
}
