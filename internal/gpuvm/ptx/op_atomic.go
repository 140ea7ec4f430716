package ptx

import "github.com/bitlane/bitlane/dtype"

var atomicOps = map[string]func(*decoder){"atom": decodeAtom, "red": decodeAtom}

// decodeAtom decodes atom and red: .sem .scope .space .op .type. Relaxed and
// .gpu are the defaults.
func decodeAtom(d *decoder) {
	isAtom := d.s.parts[0] == "atom"
	m := &memInfo{n: 1, meta: metaWrite | metaStrong | metaRMW, scope: gpuScope}
	d.in.mem = m
	sems := []string{"relaxed", "acquire", "release", "acq_rel"}
	if !isAtom {
		sems = []string{"relaxed", "release"}
	}
	switch d.opt(sems...) {
	case "acquire":
		m.acquire = true
	case "release":
		m.release = true
	case "acq_rel":
		m.acquire, m.release = true, true
	}
	if len(d.mods) > 0 && (d.mods[0] == "cta" || d.mods[0] == "gpu" || d.mods[0] == "sys") {
		m.scope = d.scope()
	}
	if m.scope == gpuScope {
		m.meta |= metaGPU
	}
	m.space = d.stateSpace()
	if m.space != global && m.space != shared && m.space != generic {
		d.fail("atomics on %s memory", m.space)
	}
	ops := []string{"and", "or", "xor", "add", "inc", "dec", "min", "max"}
	if isAtom {
		ops = append(ops, "exch", "cas")
	}
	op := d.one(ops...)
	noftz := op == "add" && d.flag("noftz")
	m.policy = -1
	if d.flag("L2::cache_hint") {
		m.policy = 0
	}
	t := d.types(atomTypes(op)...)
	if half := t.Size() == 2 || t == F16x2 || t == BF16x2; half != noftz && t.class() == float {
		d.fail(".noftz goes with 16-bit floats, and with nothing else")
	}
	if t == BF16 || t == BF16x2 {
		d.needArch(90)
	}
	m.size, m.exchange = t.Size(), op == "exch"
	if m.size == 8 {
		m.meta |= metaWide
	}
	n := 2
	if op == "cas" {
		n = 3
	}
	at := 0
	d.in.d = d.sink
	if isAtom {
		if d.op(0).kind != opSink {
			d.in.d = d.dst(d.op(0), t)
		}
		at = 1
	}
	d.in.a = d.addressOf(d.op(at), m)
	d.in.b = d.src(d.op(at+1), t)
	d.in.c = d.in.b
	if n == 3 {
		d.in.c = d.src(d.op(at+2), t)
	}
	d.cachePolicy(m, at+n)
	d.in.f3, d.in.exec, d.in.width, d.in.yields = atomFunc(op, t), execAtom, uint8(t.width()), true
}

func atomTypes(op string) []Type {
	switch op {
	case "and", "or", "xor":
		return []Type{B32, B64}
	case "exch":
		return []Type{B32, B64}
	case "cas":
		return []Type{B16, B32, B64}
	case "inc", "dec":
		return []Type{U32}
	case "min", "max":
		return []Type{U32, U64, S32, S64}
	}
	return []Type{U32, U64, S32, F16, F16x2, BF16, BF16x2, F32, F64}
}

// atomFunc gives the new value from the old one, b and c.
func atomFunc(op string, t Type) func(old, b, c uint64) uint64 {
	switch op {
	case "and":
		return func(o, b, _ uint64) uint64 { return o & b }
	case "or":
		return func(o, b, _ uint64) uint64 { return o | b }
	case "xor":
		return func(o, b, _ uint64) uint64 { return o ^ b }
	case "exch":
		return func(_, b, _ uint64) uint64 { return b }
	case "cas":
		return func(o, b, c uint64) uint64 {
			if o == b {
				return c
			}
			return o
		}
	case "inc":
		return func(o, b, _ uint64) uint64 {
			if o >= b {
				return 0
			}
			return o + 1
		}
	case "dec":
		return func(o, b, _ uint64) uint64 {
			if o == 0 || o > b {
				return b
			}
			return o - 1
		}
	case "min", "max":
		return func(o, b, _ uint64) uint64 {
			if less(t, b, o) == (op == "min") {
				return b
			}
			return o
		}
	}
	switch t {
	case F32:
		return func(o, b, _ uint64) uint64 { return bits32(f32(o) + f32(b)) }
	case F64:
		return func(o, b, _ uint64) uint64 { return bits64(f64(o) + f64(b)) }
	case F16, BF16:
		fm := formats[t]
		return func(o, b, _ uint64) uint64 { return fm.narrow(dtype.AddToOdd(fm.wide(o), fm.wide(b))) }
	case F16x2, BF16x2:
		fm := formats[map[Type]Type{F16x2: F16, BF16x2: BF16}[t]]
		return func(o, b, _ uint64) uint64 {
			lo := fm.narrow(dtype.AddToOdd(fm.wide(o&0xffff), fm.wide(b&0xffff)))
			return lo | fm.narrow(dtype.AddToOdd(fm.wide(o>>16), fm.wide(b>>16)))<<16
		}
	}
	return func(o, b, _ uint64) uint64 { return (o + b) & mask(t.width()) }
}

// execAtom runs the lanes one after another, beginning with a random one.
func execAtom(w *warp, in *inst) {
	w.checkAccess(in)
	w.need(in, in.b, "operand")
	w.need(in, in.c, "operand")
	m := in.mem
	var out, ub vreg
	var undef uint32
	first := int(w.blk.rng.next() & 31)
	for i := range lanes {
		lane := (first + i) & 31
		if w.active>>lane&1 == 0 {
			continue
		}
		r, off := w.locate(in, m.space, w.addr(in, lane), m.size, lane)
		if r.space == local || r.readOnly {
			f := w.faultAt(ReadOnly, in, lane, r.space, r.base+uint64(off), m.size)
			f.Detail = "atomics need global or shared memory that can be written"
			panic(f)
		}
		old, u, pending := r.value(off, m.size)
		if pending {
			panic(w.faultAt(AsyncPending, in, lane, r.space, r.base+uint64(off), m.size))
		}
		w.storing = storing{off: -1}
		w.touch(in, r, off, m.size, lane, m.meta)
		w.strongRead(r, off, lane, m.scope, m.acquire)
		w.strongWrite(r, off, lane, m.scope, m.release, true)
		if u != 0 {
			if !m.exchange {
				f := w.faultAt(Uninitialised, in, lane, r.space, r.base+uint64(off), m.size)
				f.Detail, f.Origin = "the atomic's old value is undefined", int(in.line)
				panic(f)
			}
			undef |= 1 << lane
		}
		out[lane], ub[lane] = old, u
		r.set(off, m.size, in.f3(old, w.regs[in.b][lane], w.regs[in.c][lane])&mask(uint(m.size)*8), 0)
	}
	w.unlock()
	dst := [1]int32{in.d}
	w.writeBack(in, dst[:], []vreg{out}, []vreg{ub}, undef)
}
