package ptx

import "math/bits"

var flowOps = map[string]func(*decoder){
	"bra": decodeBra, "brx": decodeBrx, "ret": decodeExit, "exit": decodeExit, "trap": decodeTrap, "brkpt": decodeTrap,
}

func (d *decoder) labelAt(name string) int32 {
	i, ok := d.b.labels[name]
	if !ok {
		d.fail("unknown label %s", name)
	}
	return int32(i)
}

func decodeBra(d *decoder) {
	uni := d.flag("uni")
	if !d.count(1, 1) {
		return
	}
	if o := d.op(0); o.kind != opName || o.neg {
		d.fail("want a label")
		return
	}
	d.in.target = d.labelAt(d.op(0).name)
	d.in.exec, d.in.flow = execBranch, branch
	if uni {
		d.in.boolop = 1
	}
}

// brx.idx a, table
func decodeBrx(d *decoder) {
	d.one("idx")
	uni := d.flag("uni")
	if !d.count(2, 2) {
		return
	}
	d.in.a = d.src(d.op(0), U32)
	labels := d.b.tables[d.op(1).name]
	if labels == nil {
		d.fail("want a list of branch targets")
		return
	}
	for _, l := range labels {
		d.in.targets = append(d.in.targets, d.labelAt(l))
	}
	d.in.exec, d.in.flow = execBranchTable, branchTable
	if uni {
		d.in.boolop = 1
	}
}

func decodeExit(d *decoder) {
	if d.s.parts[0] == "ret" {
		d.flag("uni")
	}
	if d.count(0, 0) {
		d.in.exec, d.in.flow = execExit, exit
	}
}

func decodeTrap(d *decoder) {
	if d.count(0, 0) {
		d.in.exec = func(w *warp, in *inst) { panic(w.fault(Trap, in, bits.TrailingZeros32(w.active)&31)) }
	}
}

// execBranch: w.pc is already behind the branch.
func execBranch(w *warp, in *inst) {
	taken, stay := w.active, w.mask&^w.active
	if stay == 0 {
		w.pc = in.target
		return
	}
	if in.boolop != 0 {
		f := w.fault(PartialWarp, in, bits.TrailingZeros32(taken)&31)
		f.Detail = "bra.uni is taken by a part of the warp"
		panic(f)
	}
	w.diverge(in.reconv)
	w.side(w.pc, stay)
	w.side(in.target, taken)
	w.nextSide()
}

func execBranchTable(w *warp, in *inst) {
	w.need(in, in.a, "index of the branch")
	stay := w.mask &^ w.active
	var masks [lanes]uint32
	var at [lanes]int32
	n := 0
	for lm := w.active; lm != 0; lm &= lm - 1 {
		lane := bits.TrailingZeros32(lm) & 31
		i := w.regs[in.a][lane]
		if i >= uint64(len(in.targets)) {
			f := w.fault(Operand, in, lane)
			f.Detail = "index beyond the branch targets"
			panic(f)
		}
		k := 0
		for k < n && at[k] != in.targets[i] {
			k++
		}
		if k == n {
			at[n] = in.targets[i]
			n++
		}
		masks[k] |= 1 << lane
	}
	if n == 1 && stay == 0 {
		w.pc = at[0]
		return
	}
	if in.boolop != 0 {
		f := w.fault(PartialWarp, in, bits.TrailingZeros32(w.active)&31)
		f.Detail = "brx.idx.uni diverges"
		panic(f)
	}
	w.diverge(in.reconv)
	w.side(w.pc, stay)
	for k := range n {
		w.side(at[k], masks[k])
	}
	w.nextSide()
}

func execExit(w *warp, _ *inst) { w.exitLanes(w.active) }
