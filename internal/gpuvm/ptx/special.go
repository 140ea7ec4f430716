package ptx

// A special is a special register that does not change while a thread runs.
type special uint8

const (
	tidX special = iota
	tidY
	tidZ
	ntidX
	ntidY
	ntidZ
	ctaidX
	ctaidY
	ctaidZ
	nctaidX
	nctaidY
	nctaidZ
	laneID
	warpID
	nWarpID
	lanemaskEq
	lanemaskLt
	lanemaskLe
	lanemaskGt
	lanemaskGe
	dynamicSmem
	totalSmem
	gridID // the first of 64 bits

	firstWide = gridID
)

// specials by name. Clocks and SM numbers are left out: a kernel whose result
// may depend on them has no one right result.
var specials = map[string]special{
	"%tid.x": tidX, "%tid.y": tidY, "%tid.z": tidZ, "%ntid.x": ntidX, "%ntid.y": ntidY, "%ntid.z": ntidZ,
	"%ctaid.x": ctaidX, "%ctaid.y": ctaidY, "%ctaid.z": ctaidZ, "%nctaid.x": nctaidX, "%nctaid.y": nctaidY, "%nctaid.z": nctaidZ,
	"%laneid": laneID, "%warpid": warpID, "%nwarpid": nWarpID,
	"%lanemask_eq": lanemaskEq, "%lanemask_lt": lanemaskLt, "%lanemask_le": lanemaskLe, "%lanemask_gt": lanemaskGt, "%lanemask_ge": lanemaskGe,
	"%dynamic_smem_size": dynamicSmem, "%total_smem_size": totalSmem, "%gridid": gridID,
}

// specialReg gives a register that holds it.
func (d *decoder) specialReg(id special) int32 {
	r, ok := d.special[id]
	if !ok {
		r = d.newReg("", B64)
		d.special[id] = r
		d.e.specials = append(d.e.specials, specialReg{r, id})
	}
	return r
}

// fillSpecials sets the special registers of a warp at its start.
func (w *warp) fillSpecials() {
	b := w.blk
	l := b.run.launch
	for _, s := range w.entry.specials {
		r := &w.regs[s.reg]
		for i := range r {
			var v uint64
			t := b.run.thread(w.index*lanes + i)
			bit := uint64(1) << i
			switch s.id {
			case tidX, tidY, tidZ:
				v = uint64(t[s.id-tidX])
			case ntidX, ntidY, ntidZ:
				v = uint64(l.Block[s.id-ntidX])
			case ctaidX, ctaidY, ctaidZ:
				v = uint64(b.id[s.id-ctaidX])
			case nctaidX, nctaidY, nctaidZ:
				v = uint64(l.Grid[s.id-nctaidX])
			case laneID:
				v = uint64(i)
			case warpID:
				v = uint64(w.index)
			case nWarpID:
				v = uint64(len(b.warps))
			case lanemaskEq:
				v = bit
			case lanemaskLt:
				v = bit - 1
			case lanemaskLe:
				v = bit<<1 - 1
			case lanemaskGt:
				v = mask(32) &^ (bit<<1 - 1)
			case lanemaskGe:
				v = mask(32) &^ (bit - 1)
			case dynamicSmem:
				v = uint64(l.Shared)
			case totalSmem:
				v = uint64(len(b.shared.data))
			case gridID:
				v = b.run.serial
			}
			r[i] = v
		}
	}
}
