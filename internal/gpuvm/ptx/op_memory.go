package ptx

import "math/bits"

var memoryOps = map[string]func(*decoder){
	"ld": decodeLd, "st": decodeSt, "prefetch": decodePrefetch, "prefetchu": decodePrefetch,
	"createpolicy": decodeCreatePolicy,
}

// A memInfo is how an instruction reaches memory.
type memInfo struct {
	space    space
	narrow   bool // the address register has 32 bits
	size     int  // bytes of an element
	n        int  // elements
	reg      uint // bits of the data registers
	signed   bool
	scope    scope // noScope: weak
	acquire  bool
	release  bool
	exchange bool   // atom.exch: the old value does not matter to memory
	meta     uint32 // of the shadow
	policy   int32  // register of a cache policy; -1: none
}

var memTypes = []Type{B8, B16, B32, B64, U8, U16, U32, U64, S8, S16, S32, S64, F32, F64}

// addressOf decodes [base+offset] into in.a and in.imm.
func (d *decoder) addressOf(o *operand, m *memInfo) int32 {
	if o.kind != opAddress {
		d.fail("want an address")
		return 0
	}
	base := &o.list[0]
	if base.kind == opInt {
		return d.constant(base.val + uint64(o.off))
	}
	if t, ok := d.b.regs[base.name]; ok {
		if t.class() == float || t.class() == predicate || t.Size() != 8 && (t.Size() != 4 || m.space != shared && m.space != local && m.space != param) {
			d.fail("register %s is no %s address", base.name, m.space)
		}
		m.narrow = t.Size() == 4
		d.in.imm = o.off
		r, _ := d.register(base, t, false)
		return r
	}
	if v := d.variable(base.name); v != nil {
		if v.space != m.space {
			d.fail("%s is in %s memory, not %s", v.name, v.space, m.space)
		}
		return d.address(v, o.off)
	}
	d.fail("unknown name %s", base.name)
	return 0
}

// strength decodes the ordering and scope of ld, st and fences.
func (d *decoder) strength(m *memInfo, strong string) {
	switch d.opt("weak", "relaxed", "volatile", strong) {
	case "", "weak":
		return
	case "volatile":
		m.scope = gpuScope
	case strong:
		m.acquire, m.release = strong == "acquire", strong == "release"
		m.scope = d.scope()
	default:
		m.scope = d.scope()
	}
	m.meta |= metaStrong
	if m.scope == gpuScope {
		m.meta |= metaGPU
	}
}

func (d *decoder) scope() scope {
	if d.one("cta", "gpu", "sys", "gl") == "cta" {
		return ctaScope
	}
	return gpuScope
}

func (d *decoder) stateSpace() space {
	switch d.opt("global", "shared", "shared::cta", "local", "param", "const", "param::entry") {
	case "global":
		return global
	case "shared", "shared::cta":
		return shared
	case "local":
		return local
	case "param", "param::entry":
		return param
	case "const":
		return constant
	}
	return generic
}

// cacheHints takes modifiers that change nothing but speed. Evict priorities,
// prefetch sizes and the policy operand's mark are all of them.
func (d *decoder) cacheHints(m *memInfo) {
	global := m.space == global || m.space == generic
	for _, level := range []string{"L1", "L2"} {
		for _, p := range []string{"evict_normal", "evict_unchanged", "evict_first", "evict_last", "no_allocate"} {
			if (level == "L1" || p == "evict_normal" || p == "evict_first" || p == "evict_last") && d.flag(level+"::"+p) && !global {
				d.fail("eviction priority outside global memory")
			}
		}
	}
	m.policy = -1
	if d.flag("L2::cache_hint") {
		if !global {
			d.fail("cache hint outside global memory")
		}
		m.policy = 0
	}
}

func (d *decoder) prefetchSize(m *memInfo) {
	if d.opt("L2::64B", "L2::128B", "L2::256B") != "" && m.space != global && m.space != generic {
		d.fail("prefetch size outside global memory")
	}
}

// elements decodes .v2, .v4 and the type.
func (d *decoder) elements(m *memInfo) Type {
	m.n = map[string]int{"": 1, "v2": 2, "v4": 4}[d.opt("v2", "v4")]
	t := d.types(memTypes...)
	m.size, m.signed = t.Size(), t.signed()
	if m.size == 8 {
		m.meta |= metaWide
	}
	if m.size*m.n > 16 {
		d.fail("more than 16 bytes")
	}
	return t
}

// cachePolicy takes the operand after n others.
func (d *decoder) cachePolicy(m *memInfo, n int) {
	if m.policy == 0 {
		m.policy = d.src(d.op(n), B64)
		n++
	}
	d.count(n, n)
}

func decodeLd(d *decoder) {
	m := &memInfo{}
	d.in.mem = m
	d.strength(m, "acquire")
	m.space = d.stateSpace()
	if m.scope != noScope && m.space != global && m.space != shared && m.space != generic {
		d.fail("a strong access of %s memory", m.space)
	}
	weak := m.scope == noScope
	if weak {
		d.opt("ca", "cg", "cs", "lu", "cv")
	}
	if d.flag("nc") {
		if m.space != global || !weak {
			d.fail(".nc is for weak loads of global memory")
		}
		m.meta |= metaNC
	}
	d.cacheHints(m)
	d.prefetchSize(m)
	t := d.elements(m)
	if !d.count(2, 3) {
		return
	}
	d.data(d.op(0), t, true)
	d.in.a = d.addressOf(d.op(1), m)
	d.cachePolicy(m, 2)
	d.in.exec = execLd
	d.in.yields = !weak
	if m.space == param {
		d.in.exec = execLdParam
	}
}

// data decodes the registers of ld and st; they may be wider than the element.
func (d *decoder) data(o *operand, t Type, dst bool) {
	m := d.in.mem
	list := []operand{*o}
	if m.n > 1 {
		if o.kind != opVector || len(o.list) != m.n {
			d.fail("want a vector of %d", m.n)
			return
		}
		list = o.list
	}
	d.in.dv = make([]int32, m.n)
	for i := range list {
		e := &list[i]
		rt := t
		switch {
		case e.kind == opSink && dst && m.n > 1:
			d.in.dv[i] = d.sink
		case dst:
			d.in.dv[i], rt = d.register(e, t, true)
		default:
			d.in.dv[i] = d.source(e, t, true)
			if r, ok := d.b.regs[e.name]; ok && e.kind == opName {
				rt = r
			}
		}
		if rt.class() == float && rt != t && t.class() != untyped {
			d.fail("register of .%s for .%s", rt, t)
		}
		m.reg = max(m.reg, rt.width())
		for _, before := range d.in.dv[:i] {
			if dst && before == d.in.dv[i] && before != d.sink {
				d.fail("register %s is written twice", e.name)
			}
		}
	}
	d.in.width = uint8(m.reg)
}

func decodeSt(d *decoder) {
	m := &memInfo{meta: metaWrite}
	d.in.mem = m
	d.strength(m, "release")
	m.space = d.stateSpace()
	if m.space == param || m.space == constant {
		d.fail("a store to %s memory", m.space)
	}
	if m.scope != noScope && m.space == local {
		d.fail("a strong access of local memory")
	}
	if m.scope == noScope {
		d.opt("wb", "cg", "cs", "wt")
	}
	d.cacheHints(m)
	t := d.elements(m)
	if !d.count(2, 3) {
		return
	}
	d.in.a = d.addressOf(d.op(0), m)
	d.data(d.op(1), t, false)
	d.cachePolicy(m, 2)
	d.in.exec = execSt
	d.in.yields = m.scope != noScope
}

// addr gives the lane's address of an instruction.
func (w *warp) addr(in *inst, lane int) uint64 {
	a := w.regs[in.a][lane] + uint64(in.imm)
	if in.mem.narrow {
		a = uint64(uint32(a))
	}
	return a
}

func (w *warp) checkAccess(in *inst) {
	w.need(in, in.a, "address")
	if p := in.mem.policy; p >= 0 {
		w.checkPolicy(in, p)
	}
}

func execLd(w *warp, in *inst) {
	w.checkAccess(in)
	m := in.mem
	var out [4]vreg
	var ub [4]vreg
	var undef uint32
	for lm := w.active; lm != 0; lm &= lm - 1 {
		lane := bits.TrailingZeros32(lm) & 31
		r, off := w.locate(in, m.space, w.addr(in, lane), m.size*m.n, lane)
		w.touch(in, r, off, m.size*m.n, lane, m.meta)
		if m.scope != noScope {
			for k := range m.n {
				w.strongRead(r, off+k*m.size, lane, m.scope, m.acquire)
			}
		}
		for k := range m.n {
			v, u, pending := r.value(off+k*m.size, m.size)
			if pending {
				panic(w.faultAt(AsyncPending, in, lane, r.space, r.base+uint64(off), m.size*m.n))
			}
			if m.size < 8 && m.signed {
				v = uint64(extend(v, uint(m.size)*8)) & mask(m.reg)
			}
			out[k][lane] = v
			if u != 0 {
				undef |= 1 << lane
				if m.signed {
					u = uint64(extend(u, uint(m.size)*8)) & mask(m.reg)
				}
				ub[k][lane] = u
			}
		}
	}
	w.unlock()
	w.writeBack(in, in.dv, out[:m.n], ub[:m.n], undef)
}

// writeBack puts results and their undefined bits into registers.
func (w *warp) writeBack(in *inst, dst []int32, out, ub []vreg, undef uint32) {
	for k, r := range dst {
		d := &w.regs[r]
		if w.active == full {
			*d = out[k]
		} else {
			for lm := w.active; lm != 0; lm &= lm - 1 {
				lane := bits.TrailingZeros32(lm) & 31
				d[lane] = out[k][lane]
			}
		}
		w.define(r)
		for lm := undef; lm != 0; lm &= lm - 1 {
			lane := bits.TrailingZeros32(lm) & 31
			w.setUndef(r, lane, ub[k][lane], in.line)
		}
	}
}

func execLdParam(w *warp, in *inst) {
	w.need(in, in.a, "address")
	m, data := in.mem, w.blk.run.params
	for lm := w.active; lm != 0; lm &= lm - 1 {
		lane := bits.TrailingZeros32(lm) & 31
		a := w.addr(in, lane)
		off := a - paramBase
		if off >= uint64(len(data)) || off+uint64(m.size*m.n) > uint64(len(data)) {
			panic(w.faultAt(Bounds, in, lane, param, a, m.size*m.n))
		}
		if a&uint64(m.size*m.n-1) != 0 {
			panic(w.faultAt(Misaligned, in, lane, param, a, m.size*m.n))
		}
		for k, r := range in.dv {
			o := int(off) + k*m.size
			v := getLE(data[o : o+m.size])
			if m.signed {
				v = uint64(extend(v, uint(m.size)*8)) & mask(m.reg)
			}
			w.regs[r][lane] = v
		}
	}
	for _, r := range in.dv {
		w.define(r)
	}
}

func execSt(w *warp, in *inst) {
	w.checkAccess(in)
	m := in.mem
	for lm := w.active; lm != 0; lm &= lm - 1 {
		lane := bits.TrailingZeros32(lm) & 31
		r, off := w.locate(in, m.space, w.addr(in, lane), m.size*m.n, lane)
		if r.readOnly {
			panic(w.faultAt(ReadOnly, in, lane, r.space, r.base+uint64(off), m.size*m.n))
		}
		if m.space != local && r.pendingIn(off, m.size*m.n) {
			panic(w.faultAt(AsyncPending, in, lane, r.space, r.base+uint64(off), m.size*m.n))
		}
		for k, reg := range in.dv {
			o := off + k*m.size
			v := w.regs[reg][lane] & mask(uint(m.size)*8)
			u := w.undefBits(reg, lane) & mask(uint(m.size)*8)
			if u != 0 && r.space == global {
				w.failUndef(in, reg, lane, "value stored to global memory")
			}
			w.storing = storing{v, u, o}
			w.touch(in, r, o, m.size, lane, m.meta)
			if m.scope != noScope {
				w.strongWrite(r, o, lane, m.scope, m.release, false)
			}
			r.set(o, m.size, v, u)
		}
	}
	w.unlock()
}

// storing is the element that a store is about to write; off is negative for
// everything but stores.
type storing struct {
	v, undef uint64
	off      int
}

// sameValue says whether bytes of it are in memory already.
func (w *warp) sameValue(_ *inst, r *region, off, size, _ int) bool {
	if w.storing.off < 0 {
		return false
	}
	s := uint(off-w.storing.off) * 8
	now, undef, _ := r.value(off, size)
	return now == w.storing.v>>s&mask(uint(size)*8) && undef == w.storing.undef>>s&mask(uint(size)*8)
}

// A prefetch touches nothing: PTX makes even a bad address harmless.
func decodePrefetch(d *decoder) {
	m := &memInfo{space: d.stateSpace(), policy: -1}
	d.in.mem = m
	switch {
	case d.s.parts[0] == "prefetchu":
		d.one("L1")
	case m.space != generic && m.space != global && m.space != local:
		d.fail("prefetch of %s memory", m.space)
	default:
		d.one("L1", "L2", "L2::evict_last", "L2::evict_normal")
	}
	if d.count(1, 1) {
		d.in.a = d.addressOf(d.op(0), m)
		d.in.exec = func(w *warp, in *inst) { w.need(in, in.a, "address") }
	}
}

// policyMark is the upper half of every cache policy that createpolicy makes.
const policyMark = 0x0ca4e901

// createpolicy.fractional gives an opaque value; only where it goes is checked.
func decodeCreatePolicy(d *decoder) {
	d.one("fractional")
	d.one("L2::evict_last", "L2::evict_normal", "L2::evict_first", "L2::evict_unchanged")
	d.opt("L2::evict_first", "L2::evict_unchanged")
	d.types(B64)
	if !d.count(1, 2) {
		return
	}
	d.in.d, d.in.width, d.in.exec = d.dst(d.op(0), B64), 64, exec1
	d.in.a = d.constant(bits32(1))
	if len(d.s.ops) == 2 {
		d.in.a = d.src(d.op(1), F32)
	}
	d.in.f1 = func(a uint64) uint64 { return policyMark<<32 | a }
}

func (w *warp) checkPolicy(in *inst, r int32) {
	w.need(in, r, "cache policy")
	for lm := w.active; lm != 0; lm &= lm - 1 {
		lane := bits.TrailingZeros32(lm) & 31
		if w.regs[r][lane]>>32 != policyMark {
			f := w.fault(Operand, in, lane)
			f.Detail = "the cache policy does not come from createpolicy"
			panic(f)
		}
	}
}
