package ptx

import "math/bits"

var asyncOps = map[string]func(*decoder){"cp": decodeCp}

// cp.async copies 4, 8 or 16 bytes from global to shared memory in the
// background; its forms commit and wait.
func decodeCp(d *decoder) {
	d.one("async")
	switch d.opt("commit_group", "wait_group", "wait_all") {
	case "commit_group":
		if d.count(0, 0) {
			d.in.exec = execCommit
		}
		return
	case "wait_group":
		if d.count(1, 1) {
			d.in.imm = d.literalInt(d.op(0), 0, 1<<30)
			d.in.exec = execWaitGroup
		}
		return
	case "wait_all":
		if d.count(0, 0) {
			d.in.exec = func(w *warp, in *inst) {
				execCommit(w, in)
				execWaitGroup(w, in)
			}
		}
		return
	}
	cache := d.one("ca", "cg")
	if d.one("shared", "shared::cta") == "" {
		return
	}
	d.one("global")
	m := &memInfo{n: 1, space: global, policy: -1}
	d.in.mem = m
	if d.flag("L2::cache_hint") {
		m.policy = 0
	}
	d.prefetchSize(m)
	dst := &memInfo{space: shared}
	d.in.b = d.addressOf(d.op(0), dst)
	d.in.targets = []int32{int32(d.in.imm), 0}
	if dst.narrow {
		d.in.targets[1] = 1
	}
	d.in.imm = 0
	d.in.a = d.addressOf(d.op(1), m)
	m.size = int(d.literalInt(d.op(2), 4, 16))
	if m.size != 4 && m.size != 8 && m.size != 16 || cache == "cg" && m.size != 16 {
		d.fail("cp-size %d", m.size)
	}
	n := 3
	d.in.c = d.constant(uint64(m.size))
	extra := len(d.s.ops)
	if m.policy == 0 {
		extra--
	}
	if extra == 4 {
		if o := d.op(3); o.kind == opName && d.b.regs[o.name] == Pred {
			d.in.p, d.in.pNot = d.predReg(o), o.neg
		} else {
			d.in.c = d.src(o, U32)
		}
		n = 4
	}
	d.cachePolicy(m, n)
	d.in.exec = execCpAsync
}

// An asyncCopy is one lane's copy in flight. Its bytes were read at the issue.
type asyncCopy struct {
	lane  uint8
	size  uint8
	group uint32 // of its lane
	off   int32  // in shared memory
	index int32  // of the instruction
	data  [16]byte
	undef [16]bool
}

func execCpAsync(w *warp, in *inst) {
	w.checkAccess(in)
	w.need(in, in.b, "address")
	w.need(in, in.c, "src-size")
	skip := uint32(0)
	if in.p >= 0 {
		w.needPred(in, in.p, "ignore-src")
		if skip = w.preds[in.p]; in.pNot {
			skip = ^skip
		}
	}
	m := in.mem
	w.storing.off = -1
	for lm := w.active; lm != 0; lm &= lm - 1 {
		lane := bits.TrailingZeros32(lm) & 31
		size := w.regs[in.c][lane]
		if size > uint64(m.size) {
			f := w.fault(Operand, in, lane)
			f.Detail = "src-size is larger than cp-size"
			panic(f)
		}
		if skip>>lane&1 != 0 {
			size = 0
		}
		c := asyncCopy{lane: uint8(lane), size: uint8(m.size), group: w.committed[lane], index: in.index}
		src := w.addr(in, lane)
		if src&uint64(m.size-1) != 0 {
			panic(w.faultAt(Misaligned, in, lane, global, src, m.size))
		}
		// Only the bytes that are copied are read, and only they must be there.
		for i := 0; i < int(size); {
			step := 1
			if int(size)-i >= 4 {
				step = 4
			}
			r, off := w.locate(in, global, src+uint64(i), step, lane)
			w.touch(in, r, off, step, lane, 0)
			v, u, _ := r.value(off, step)
			putLE(c.data[i:i+step], v)
			for k := range step {
				c.undef[i+k] = u>>(8*k)&0xff != 0
			}
			i += step
		}
		w.unlock()
		dst := w.regs[in.b][lane] + uint64(int64(in.targets[0]))
		if in.targets[1] != 0 {
			dst = uint64(uint32(dst))
		}
		r, off := w.locate(in, shared, dst, m.size, lane)
		if r.pendingIn(off, m.size) {
			f := w.faultAt(AsyncPending, in, lane, shared, dst, m.size)
			f.Detail = "two copies to one place"
			panic(f)
		}
		w.touch(in, r, off, m.size, lane, metaWrite)
		fill(r.state[off:off+m.size], bytePending)
		c.off = int32(off)
		w.inFlight = append(w.inFlight, c)
	}
}

func execCommit(w *warp, _ *inst) {
	for lm := w.active; lm != 0; lm &= lm - 1 {
		w.committed[bits.TrailingZeros32(lm)&31]++
	}
}

// execWaitGroup completes all groups of a lane but its latest imm.
func execWaitGroup(w *warp, in *inst) {
	if len(w.inFlight) == 0 {
		return
	}
	sh := &w.blk.shared
	left := w.inFlight[:0]
	for _, c := range w.inFlight {
		lane := int(c.lane)
		if w.active>>lane&1 == 0 || int64(c.group) >= int64(w.committed[lane])-in.imm {
			left = append(left, c)
			continue
		}
		off, n := int(c.off), int(c.size)
		copy(sh.data[off:], c.data[:n])
		for i := range n {
			sh.state[off+i] = byteDefined
			if c.undef[i] {
				sh.state[off+i] = byteUndef
			}
		}
		// The bytes count as written now: nothing that was ordered after the issue
		// alone may read them.
		w.storing.off = -1
		w.touch(&w.entry.code[c.index], sh, off, n, lane, metaWrite)
	}
	w.inFlight = left
}
