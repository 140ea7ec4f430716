package ptx

import (
	"math/bits"
	"strconv"
)

// A warp is 32 threads of a block and their state.
type warp struct {
	blk   *block
	entry *Entry
	index int    // in the block
	gid   uint32 // in the grid

	// Control. mask are the lanes at pc; the others that live are on the stack.
	pc     int32
	rpc    int32 // where mask waits for others; -1: nowhere
	mask   uint32
	active uint32 // mask and the guard of the running instruction
	live   uint32 // not exited
	all    uint32 // at the start
	stack  []sideEntry

	waiting  bool
	waitLine *inst
	steps    int

	// Registers, and which lanes of them have undefined bits; ubits has the bits,
	// all where it is nil.
	regs     []vreg
	undef    []uint32
	ubits    []*vreg
	origins  []int32
	preds    []uint32
	pundef   []uint32
	porigins []int32
	local    []region

	// Happens-before.
	know     [lanes]*know
	stamp    uint32
	syncs    *[lanes]laneSync
	observed bool
	storing  storing

	// cp.async.
	inFlight  []asyncCopy
	committed [lanes]uint32

	locked *region // held until the end of the instruction
	last   *region // found last
}

// A sideEntry is lanes that wait for their turn, at pc, to run until rpc.
type sideEntry struct {
	pc, rpc int32
	mask    uint32
}

// begin makes the warp ready for a block.
func (w *warp) begin(b *block, index int) {
	e := b.run.entry
	threads := int(b.run.threads)
	w.blk, w.index, w.gid = b, index, b.firstWarp+uint32(index)
	w.all = uint32(mask(uint(min(lanes, threads-index*lanes))))
	w.live, w.mask, w.pc, w.rpc, w.stack = w.all, w.all, 0, -1, w.stack[:0]
	w.waiting, w.waitLine, w.steps = false, nil, 0
	w.locked, w.last, w.syncs, w.inFlight = nil, nil, nil, w.inFlight[:0]
	w.committed = [lanes]uint32{}
	w.stamp = b.tick
	w.teach(full, &know{})
	if w.entry != e {
		w.entry = e
		w.regs, w.undef, w.ubits, w.origins = make([]vreg, e.nregs), make([]uint32, e.nregs), make([]*vreg, e.nregs), make([]int32, e.nregs)
		w.preds, w.pundef, w.porigins = make([]uint32, e.npreds), make([]uint32, e.npreds), make([]int32, e.npreds)
	}
	for i := range w.undef {
		w.undef[i], w.origins[i] = full, 0
		if ub := w.ubits[i]; ub != nil {
			for lane := range ub {
				ub[lane] = e.regMasks[i]
			}
		}
	}
	for i := range w.pundef {
		w.pundef[i], w.porigins[i] = full, 0
	}
	for _, c := range e.consts {
		w.undef[c.reg] = 0
		for i := range w.regs[c.reg] {
			w.regs[c.reg][i] = c.val
		}
	}
	for _, c := range e.constPreds {
		w.preds[c.reg], w.pundef[c.reg] = c.val, 0
	}
	for _, r := range e.relocs {
		w.undef[r.reg] = 0
		v := b.run.addressOf(r.v) + uint64(r.add)
		for i := range w.regs[r.reg] {
			w.regs[r.reg][i] = v
		}
	}
	for _, s := range e.specials {
		w.undef[s.reg] = 0
	}
	w.fillSpecials()
	w.local = nil
	if e.Local > 0 {
		w.local = make([]region, lanes)
		for i := range w.local {
			w.local[i] = region{space: local, base: localBase, data: make([]byte, e.Local), state: make([]byte, e.Local)}
		}
	}
}

// run executes up to n instructions; it ends early at barriers, at the end, and
// where switching warps may show something.
func (w *warp) run(n int) {
	code := w.entry.code
	limit := w.blk.run.stepLimit
	for ; n > 0 && !w.waiting && w.live != 0; n-- {
		in := &code[w.pc]
		w.active = w.mask
		if in.guard >= 0 {
			w.needPred(in, in.guard, "guard")
			p := w.preds[in.guard]
			if in.guardNot {
				p = ^p
			}
			w.active &= p
		}
		w.pc++
		if w.active != 0 {
			in.exec(w, in)
			if in.yields {
				n = min(n, 3)
			}
		}
		if w.pc == w.rpc {
			w.nextSide()
		}
		if w.steps++; w.steps > limit {
			f := w.fault(NoProgress, in, bits.TrailingZeros32(w.mask)&31)
			f.Detail = "the warp ran " + strconv.Itoa(limit) + " instructions"
			panic(f)
		}
	}
}

// diverge puts the lanes that are here on the stack, to continue together at r.
func (w *warp) diverge(r int32) {
	if r != w.rpc {
		w.stack = append(w.stack, sideEntry{r, w.rpc, w.mask})
	}
	w.rpc = r
}

// side puts lanes on the stack that run from pc to the meeting point.
func (w *warp) side(pc int32, m uint32) {
	if m != 0 && pc != w.rpc {
		w.stack = append(w.stack, sideEntry{pc, w.rpc, m})
	}
}

// nextSide continues with what is on top of the stack.
func (w *warp) nextSide() {
	for len(w.stack) > 0 {
		top := w.stack[len(w.stack)-1]
		w.stack = w.stack[:len(w.stack)-1]
		if top.mask &= w.live; top.mask == 0 {
			continue
		}
		w.pc, w.rpc, w.mask = top.pc, top.rpc, top.mask
		if w.pc != w.rpc || w.pc < 0 {
			return
		}
	}
	w.mask = 0
}

func (w *warp) exitLanes(m uint32) {
	w.live &^= m
	w.mask &^= m
	if w.mask == 0 {
		w.nextSide()
	}
	if w.live == 0 {
		for id := range w.blk.barriers {
			if w.blk.barriers[id].expected == 0 {
				w.blk.tryComplete(id)
			}
		}
	}
}

// fault makes a Fault at a lane.
func (w *warp) fault(k Kind, in *inst, lane int) *Fault {
	return &Fault{
		Kind: k, Kernel: w.entry.Name, Line: int(in.line), Text: tidy(in.text),
		Block: w.blk.id, Thread: w.blk.run.thread(w.index*lanes + lane),
	}
}

func (w *warp) faultAt(k Kind, in *inst, lane int, sp space, addr uint64, size int) *Fault {
	f := w.fault(k, in, lane)
	f.Space, f.Address, f.Bytes = sp.String(), addr, size
	return f
}
