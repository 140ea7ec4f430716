package ptx

// Per aligned word of four bytes the shadow keeps the accesses that later ones
// must be ordered after: the last write and the reads since, and more where
// accesses were concurrent without being a race (reads; atomics). An access that
// happened before the new one and whose bytes the new one covers is dropped:
// whatever is ordered after the new one is ordered after it.

const (
	pageBytes = 4096
	pageWords = pageBytes / 4

	// Concurrent accesses of a word that are kept one by one; beyond, those of a
	// block become one of "any of its threads".
	maxKept = 64
)

// Properties of an access, in its meta word beside the instruction's index.
const (
	metaWrite    = 1 << 4 // below: the bytes of the word
	metaStrong   = 1 << 5
	metaGPU      = 1 << 6 // the scope of a strong access reaches other blocks
	metaNC       = 1 << 7 // ld.global.nc
	metaRMW      = 1 << 8 // a strong write that observes the write before it
	metaWide     = 1 << 9 // an element of eight bytes
	metaBytes    = 15
	metaIndex    = 10 // shift
	metaMaxIndex = 1<<22 - 1
)

// An access of some lanes of a warp to some bytes of one word. lanes 0: none.
type access struct {
	lanes uint32
	warp  uint32 // global number
	tick  uint32
	meta  uint32
}

// A cell has no pointers: there are many, and the garbage collector need not
// look at them.
type cell struct {
	w, r access
	more uint32 // 1 + number of the region's list; if that has any, w and r are among them
}

type shadowPage struct {
	clean bool // belongs to the running launch
	cells [pageWords]cell
}

// cellAt gives the cell of the word at the offset.
func (r *region) cellAt(off int) *cell {
	p := r.pages[off/pageBytes]
	if p == nil {
		p = new(shadowPage)
		r.pages[off/pageBytes] = p
		p.clean = true
	} else if !p.clean {
		p.clean = true
		for i := range p.cells {
			c := &p.cells[i]
			c.w.lanes, c.r.lanes = 0, 0
			if c.more != 0 {
				r.lists[c.more-1] = r.lists[c.more-1][:0]
			}
		}
	}
	return &p.cells[off%pageBytes/4]
}

// touch records an access and panics with a Race it makes. meta holds the
// properties, without bytes and index.
func (w *warp) touch(in *inst, r *region, off, size, lane int, meta uint32) {
	if !r.tracked {
		return
	}
	meta |= uint32(min(in.index, metaMaxIndex)) << metaIndex
	w.observed = meta&metaStrong == 0 && len(r.syncs) > 0 && r.syncs[off].seenBy(w.gid, lane)
	if size >= 4 {
		for o := off; o < off+size; o += 4 {
			if c := w.record(r, r.cellAt(o), lane, meta|metaBytes); c != nil {
				w.conflict(in, r, c, o, 4, lane, meta)
			}
		}
	} else {
		m := meta | uint32(1<<size-1)<<(off&3)
		if c := w.record(r, r.cellAt(off), lane, m); c != nil {
			w.conflict(in, r, c, off, size, lane, meta)
		}
	}
	if meta&(metaWrite|metaStrong) == metaWrite && len(r.syncs) > 0 {
		for o := range r.syncs {
			if o < off+size && off < o+8 {
				delete(r.syncs, o)
			}
		}
	}
}

// races says whether two accesses of different threads that nothing orders are
// an error.
func (w *warp) races(old *access, meta uint32) bool {
	if (old.meta|meta)&metaWrite == 0 || old.meta&meta&metaBytes == 0 {
		return false
	}
	return !w.morallyStrong(old, meta)
}

// morallyStrong says whether both are strong, of the same bytes, and their scopes
// include each other.
func (w *warp) morallyStrong(old *access, meta uint32) bool {
	if old.meta&meta&metaStrong == 0 || (old.meta^meta)&(metaBytes|metaWide) != 0 {
		return false
	}
	sameBlock := old.warp-w.blk.firstWarp < w.blk.run.warpsPerBlock
	return sameBlock || old.meta&meta&metaGPU != 0
}

// before says whether the access before is ordered before the new one: by
// happens-before, or because the new one, or one of its thread's before, read
// what it wrote.
func (w *warp) before(old *access, lane int, meta uint32) bool {
	if old.meta&(metaWrite|metaStrong) == metaWrite|metaStrong {
		if w.observed || meta&metaRMW != 0 && w.morallyStrong(old, meta) {
			return true
		}
	}
	return w.ordered(old, lane)
}

// record enters an access and gives the one it conflicts with, or nil.
func (w *warp) record(r *region, c *cell, lane int, meta uint32) *access {
	if c.more != 0 && len(r.lists[c.more-1]) > 0 {
		return w.recordMany(r, c, lane, meta)
	}
	bit := uint32(1) << lane
	cw, cr := &c.w, &c.r
	wOrdered := cw.lanes == 0 || w.before(cw, lane, meta)
	if !wOrdered && w.races(cw, meta) || cw.lanes != 0 && meta&metaNC != 0 && cw.meta&meta&metaBytes != 0 {
		return cw
	}
	if meta&metaWrite == 0 {
		if cr.warp == w.gid && cr.tick == w.stamp && (cr.meta^meta)&(1<<metaIndex-1) == 0 && cr.lanes != 0 {
			cr.lanes |= bit
			return nil
		}
		if cr.lanes == 0 || cr.meta&metaBytes&^meta == 0 && w.ordered(cr, lane) {
			*cr = access{bit, w.gid, w.stamp, meta | cr.meta&metaNC*uint32(min(cr.lanes, 1))}
			return nil
		}
	} else {
		rOrdered := cr.lanes == 0 || w.ordered(cr, lane)
		if !rOrdered && w.races(cr, meta) || cr.lanes != 0 && cr.meta&metaNC != 0 && cr.meta&meta&metaBytes != 0 {
			return cr
		}
		if wOrdered && rOrdered && (cw.lanes == 0 || cw.meta&metaBytes&^meta == 0) && (cr.lanes == 0 || cr.meta&metaBytes&^meta == 0) {
			*cw = access{bit, w.gid, w.stamp, meta}
			cr.lanes = 0
			return nil
		}
	}
	if c.more == 0 {
		r.lists = append(r.lists, make([]access, 0, 4))
		c.more = uint32(len(r.lists))
	}
	list := &r.lists[c.more-1]
	for _, a := range [...]access{*cw, *cr} {
		if a.lanes != 0 {
			*list = append(*list, a)
		}
	}
	return w.recordMany(r, c, lane, meta)
}

// recordMany is record for a cell with a list.
func (w *warp) recordMany(r *region, c *cell, lane int, meta uint32) *access {
	bit := uint32(1) << lane
	list := r.lists[c.more-1]
	kept := list[:0]
	merged := false
	for i := range list {
		a := &list[i]
		overlap := a.meta&meta&metaBytes != 0
		nc := overlap && (a.meta&metaNC != 0 && meta&metaWrite != 0 || meta&metaNC != 0 && a.meta&metaWrite != 0)
		before := w.before(a, lane, meta)
		if nc || !before && w.races(a, meta) {
			bad := *a
			return &bad
		}
		same := a.warp == w.gid && a.tick == w.stamp && (a.meta^meta)&(1<<metaIndex-1) == 0
		switch {
		case same && !merged:
			a.lanes |= bit
			merged = true
		case before && a.meta&metaBytes&^meta == 0 && (meta&metaWrite != 0 || a.meta&metaWrite == 0) && a.meta&metaNC == 0:
			continue
		case a.warp == w.gid && a.lanes&bit != 0 && a.lanes != bit && a.meta&metaWrite == 0 && meta&metaWrite == 0 && a.meta&metaBytes&^meta == 0:
			a.lanes &^= bit
		}
		kept = append(kept, *a)
	}
	if !merged {
		kept = append(kept, access{bit, w.gid, w.stamp, meta})
	}
	if len(kept) > maxKept {
		kept = w.coarse(kept)
	}
	if len(kept) == 1 {
		// The list keeps its storage: what was shared once will be again.
		c.w, c.r = access{}, access{}
		r.lists[c.more-1] = kept[:0]
		if kept[0].meta&metaWrite != 0 {
			c.w = kept[0]
		} else {
			c.r = kept[0]
		}
		return nil
	}
	r.lists[c.more-1] = kept
	return nil
}

// coarse joins accesses of one kind by one block: all lanes of its first warp
// with the latest tick stand for them. A later access that knows each of them
// but not the whole block would be accused wrongly; synchronisation between
// blocks teaches whole blocks.
func (w *warp) coarse(list []access) []access {
	per := w.blk.run.warpsPerBlock
	type key struct{ block, meta uint32 }
	at := map[key]int{}
	out := list[:0]
	for _, a := range list {
		k := key{a.warp / per, a.meta & (1<<metaIndex - 1)}
		if i, ok := at[k]; ok && k.block != w.blk.index {
			out[i].lanes, out[i].tick = full, max(out[i].tick, a.tick)
			continue
		}
		at[k] = len(out)
		out = append(out, a)
	}
	return out
}

// conflict turns a conflict into a Fault, unless it is lanes of one instruction
// storing equal values.
func (w *warp) conflict(in *inst, r *region, a *access, off, size, lane int, meta uint32) {
	if a.warp == w.gid && a.tick == w.stamp && a.meta>>metaIndex == meta>>metaIndex && a.meta&meta&metaWrite != 0 && w.sameValue(in, r, off, size, lane) {
		return
	}
	f := w.faultAt(Race, in, lane, r.space, r.base+uint64(off), size)
	if (a.meta|meta)&metaNC != 0 {
		f.Kind, f.Detail = ReadOnly, "ld.global.nc of memory that the kernel writes"
	}
	f.Other = w.describe(a)
	panic(f)
}

// describe turns a record into the other side of a fault.
func (w *warp) describe(a *access) *Access {
	run := w.blk.run
	in := &w.entry.code[a.meta>>metaIndex]
	o := &Access{Line: int(in.line), Text: tidy(in.text), Write: a.meta&metaWrite != 0, Block: run.blockID(a.warp / run.warpsPerBlock)}
	lane := 0
	for a.lanes>>lane&1 == 0 {
		lane++
	}
	o.Thread = run.thread(int(a.warp%run.warpsPerBlock)*lanes + lane)
	return o
}
