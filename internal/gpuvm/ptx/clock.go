package ptx

import "maps"

// Happens-before is kept with ticks. A block counts them; an event that orders
// something (a barrier, a release) takes a new one. A warp's accesses carry the
// tick of the last such event in which it took part. So "thread t knows u's
// accesses before tick T" is one number, also for all threads of a warp or block
// at once, which is what barriers teach.

// A know is what one thread knows about accesses before. It is immutable and
// shared between the threads that learned the same.
type know struct {
	block uint32 // of its own block: accesses of all threads before this tick
	warp  uint32 // of its own warp, likewise
	far   *far   // of others, or nil
}

// A far is knowledge in a form that can be handed to any thread. Immutable. It
// may name the knowing thread's own block too.
type far struct {
	blocks  map[uint32]uint32 // block number to tick: all threads before it
	warps   map[uint32]uint32 // global warp number
	threads map[uint64]uint32 // global warp number · 32 + lane
}

func raise[K comparable](m *map[K]uint32, k K, tick uint32) {
	if tick == 0 {
		return
	}
	if *m == nil {
		*m = map[K]uint32{}
	}
	if (*m)[k] < tick {
		(*m)[k] = tick
	}
}

func (f *far) clone() *far {
	if f == nil {
		return &far{}
	}
	return &far{maps.Clone(f.blocks), maps.Clone(f.warps), maps.Clone(f.threads)}
}

// joinFar gives what either knows.
func joinFar(a, b *far) *far {
	if a == b || b == nil {
		return a
	}
	if a == nil {
		return b
	}
	c := a.clone()
	for k, t := range b.blocks {
		raise(&c.blocks, k, t)
	}
	for k, t := range b.warps {
		raise(&c.warps, k, t)
	}
	for k, t := range b.threads {
		raise(&c.threads, k, t)
	}
	return c
}

// export gives all that a lane knows and did, as known to whom it releases to.
// The warp's later accesses carry a later tick.
func (w *warp) export(lane int) *far {
	w.blk.tick++
	w.stamp = w.blk.tick
	k := w.know[lane]
	f := k.far.clone()
	raise(&f.blocks, w.blk.index, k.block)
	raise(&f.warps, w.gid, k.warp)
	raise(&f.threads, uint64(w.gid)<<5|uint64(lane), w.stamp)
	return f
}

// learn adds far knowledge to a lane.
func (w *warp) learn(lane int, f *far) {
	if f == nil {
		return
	}
	k := w.know[lane]
	w.know[lane] = &know{
		block: max(k.block, f.blocks[w.blk.index]),
		warp:  max(k.warp, f.warps[w.gid]),
		far:   joinFar(k.far, f),
	}
}

// ordered says whether the access happened before whatever the lane does now.
func (w *warp) ordered(r *access, lane int) bool {
	k := w.know[lane]
	if r.warp-w.blk.firstWarp < w.blk.run.warpsPerBlock {
		if r.tick < k.block {
			return true
		}
		if r.warp == w.gid && (r.lanes == 1<<lane || r.tick < k.warp || w.blk.run.m.cfg.Checks.WarpOrdered) {
			return true
		}
	}
	if k.far == nil && r.warp != w.gid {
		return false
	}
	return w.orderedFar(r, lane, k.far)
}

func (w *warp) orderedFar(r *access, lane int, f *far) bool {
	if f == nil {
		f = &far{}
	}
	if r.tick < f.blocks[r.warp/w.blk.run.warpsPerBlock] || r.tick < f.warps[r.warp] {
		return true
	}
	for i := range lanes {
		own := r.warp == w.gid && i == lane
		if r.lanes>>i&1 != 0 && !own && r.tick >= f.threads[uint64(r.warp)<<5|uint64(i)] {
			return false
		}
	}
	return true
}

// meet makes the lanes of the warps know all that any of them knows and did:
// what a barrier does. parts names the lanes of each warp; f is what others told.
func (b *block) meet(warps []*warp, parts []uint32, f *far) {
	b.tick++
	var seen *know
	n := know{}
	everyone, wholeWarps := len(warps) == len(b.warps), true
	for i, w := range warps {
		w.stamp = b.tick
		wholeWarps = wholeWarps && parts[i] == w.all
		for lane := range lanes {
			k := w.know[lane]
			if parts[i]>>lane&1 == 0 || k == seen {
				continue
			}
			seen = k
			n.block = max(n.block, k.block)
			f = joinFar(f, k.far)
			if k.warp > k.block {
				g := f.clone()
				raise(&g.warps, w.gid, k.warp)
				f = g
			}
		}
	}
	switch {
	case everyone && wholeWarps:
		n.block, n.warp, n.far = b.tick, b.tick, b.othersOnly(f)
		for i, w := range warps {
			w.teach(parts[i], &n)
		}
		return
	case len(warps) == 1 && wholeWarps:
		n.warp, n.far = b.tick, f
		warps[0].teach(parts[0], &n)
		return
	}
	// Threads that have exited took no part: name those who did.
	f = f.clone()
	for i, w := range warps {
		if parts[i] == w.all {
			raise(&f.warps, w.gid, b.tick)
			continue
		}
		for lane := range lanes {
			if parts[i]>>lane&1 != 0 {
				raise(&f.threads, uint64(w.gid)<<5|uint64(lane), b.tick)
			}
		}
	}
	for i, w := range warps {
		w.teach(parts[i], &know{block: n.block, warp: f.warps[w.gid], far: f})
	}
}

func (w *warp) teach(part uint32, k *know) {
	for lane := range lanes {
		if part>>lane&1 != 0 {
			w.know[lane] = k
		}
	}
}

// othersOnly drops what a barrier of the whole block has made superfluous.
func (b *block) othersOnly(f *far) *far {
	if f == nil || f.blocks == nil && f.warps == nil && f.threads == nil {
		return nil
	}
	g := &far{}
	for k, t := range f.blocks {
		if k != b.index {
			raise(&g.blocks, k, t)
		}
	}
	per := b.run.warpsPerBlock
	for k, t := range f.warps {
		if k/per != b.index && t > g.blocks[k/per] {
			raise(&g.warps, k, t)
		}
	}
	for k, t := range f.threads {
		if wgid := uint32(k >> 5); wgid/per != b.index && t > g.blocks[wgid/per] {
			raise(&g.threads, k, t)
		}
	}
	if g.blocks == nil && g.warps == nil && g.threads == nil {
		return nil
	}
	return g
}
