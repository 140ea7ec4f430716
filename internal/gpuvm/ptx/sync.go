package ptx

// Release and acquire patterns. A location remembers what was released to it by
// the write in place and, through read-modify-writes, by those before it.

type scope uint8

const (
	noScope scope = iota
	ctaScope
	gpuScope // and .sys, .cluster: one device, one cluster a block
)

// A syncVar is what a strong read of a location can learn.
type syncVar struct {
	gpu *far            // released with a scope that reaches other blocks
	cta map[uint32]*far // by block: released with any scope by its threads
	obs map[uint64]bool // threads that read the write in place with a strong read
}

// seenBy says whether a thread has read the write in place.
func (v *syncVar) seenBy(warp uint32, lane int) bool {
	return v != nil && v.obs[uint64(warp)<<5|uint64(lane)]
}

// A laneSync is a thread's fences and strong reads so far.
type laneSync struct {
	relCTA, relGPU   *far // knowledge at the last fence of at least this scope
	pendCTA, pendGPU *far // read by strong reads, learned at the next fence of at least this scope
}

func (w *warp) laneSync(lane int) *laneSync {
	if w.syncs == nil {
		w.syncs = new([lanes]laneSync)
	}
	return &w.syncs[lane]
}

// fence orders the lane's accesses before it with its strong writes after it,
// and its strong reads before it with its accesses after it.
func (w *warp) fence(lane int, sc scope) {
	s := w.laneSync(lane)
	w.learn(lane, s.pendCTA)
	s.pendCTA = nil
	if sc == gpuScope {
		w.learn(lane, s.pendGPU)
		s.pendGPU = nil
	}
	f := w.export(lane)
	s.relCTA = f
	if sc == gpuScope {
		s.relGPU = f
	}
}

// syncAt gives the location's syncVar, or a new one where make is set.
func (r *region) syncAt(off int, make_ bool) *syncVar {
	v := r.syncs[off]
	if v == nil && make_ {
		if r.syncs == nil {
			r.syncs = map[int]*syncVar{}
		}
		v = &syncVar{}
		r.syncs[off] = v
	}
	return v
}

// strongRead is the reading half of a strong access.
func (w *warp) strongRead(r *region, off, lane int, sc scope, acquire bool) {
	v := r.syncAt(off, false)
	if v == nil || !r.tracked {
		return
	}
	// Only reads in scope of the write observe it; one out of scope was a race.
	if v.obs == nil {
		v.obs = map[uint64]bool{}
	}
	v.obs[uint64(w.gid)<<5|uint64(lane)] = true
	near := v.cta[w.blk.index]
	var wide *far
	if sc == gpuScope {
		wide = v.gpu
	}
	if near == nil && wide == nil {
		return
	}
	if acquire {
		w.learn(lane, near)
		w.learn(lane, wide)
		return
	}
	s := w.laneSync(lane)
	s.pendCTA = joinFar(s.pendCTA, near)
	s.pendGPU = joinFar(s.pendGPU, wide)
}

// strongWrite is the writing half; rmw continues the release sequence that it
// read from.
func (w *warp) strongWrite(r *region, off, lane int, sc scope, release, rmw bool) {
	if !r.tracked {
		return
	}
	var near, wide *far
	if release {
		near = w.export(lane)
		wide = near
	} else if w.syncs != nil {
		near, wide = w.syncs[lane].relCTA, w.syncs[lane].relGPU
	}
	if sc != gpuScope {
		wide = nil
	}
	if !rmw {
		delete(r.syncs, off)
	}
	v := r.syncAt(off, true)
	v.obs = nil
	if near == nil && wide == nil {
		return
	}
	if v.cta == nil {
		v.cta = map[uint32]*far{}
	}
	v.cta[w.blk.index] = joinFar(v.cta[w.blk.index], near)
	v.gpu = joinFar(v.gpu, wide)
}
