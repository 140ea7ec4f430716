package ptx

import (
	"context"
	"math/bits"
	"strconv"
)

// A block is one block of the grid and its warps. Its storage serves one block
// after another.
type block struct {
	run       *gridRun
	index     uint32 // in the grid
	id        [3]uint32
	firstWarp uint32
	warps     []*warp
	pool      []*warp
	shared    region
	tick      uint32
	barriers  [maxBarriers]barrier
	arrivals  [maxBarriers][]arrival
	rng       rng
	uses      uint64

	scratchWarps []*warp
	scratchParts []uint32
}

// begin makes the storage ready for a block of the run.
func (b *block) begin(run *gridRun, index uint32) {
	b.run, b.index, b.id = run, index, run.blockID(index)
	b.firstWarp = index * run.warpsPerBlock
	b.rng = rng(run.m.cfg.Seed*0x2545f4914f6cdd1d + run.serial<<20 + uint64(index))
	b.tick = 1
	b.barriers = [maxBarriers]barrier{}
	for i := range b.arrivals {
		b.arrivals[i] = b.arrivals[i][:0]
	}
	b.beginShared()
	for len(b.pool) < int(run.warpsPerBlock) {
		b.pool = append(b.pool, &warp{})
	}
	b.warps = b.pool[:run.warpsPerBlock]
	for i, w := range b.warps {
		w.begin(b, i)
	}
}

func (b *block) beginShared() {
	n := b.run.entry.Shared
	if b.run.launch.Shared > 0 {
		n = alignUp(n, max(16, b.run.entry.dynAlign)) + int(b.run.launch.Shared)
	}
	s := &b.shared
	if len(s.data) != n {
		*s = region{data: make([]byte, n), state: make([]byte, n)}
	}
	s.space, s.base, s.tracked = shared, sharedBase, b.run.tracked
	clear(s.state)
	// Contents stay from the block before: as good a garbage as on a GPU.
	if s.tracked {
		b.uses++
		s.begin(b.uses)
	}
}

// execute interleaves the warps at random until all have ended.
func (b *block) execute(ctx context.Context, at int64) {
	for round := 0; ; round++ {
		if round&63 == 63 && (ctx.Err() != nil || b.run.stop.Load() < at) {
			return
		}
		ready := 0
		var pick *warp
		for _, w := range b.warps {
			if w.live != 0 && !w.waiting {
				if ready++; b.rng.below(ready) == 0 {
					pick = w
				}
			}
		}
		if pick == nil {
			b.ended()
			return
		}
		pick.run(1 + b.rng.below(64))
	}
}

// ended faults if warps still wait.
func (b *block) ended() {
	for _, w := range b.warps {
		if w.live == 0 {
			continue
		}
		f := w.fault(Deadlock, w.waitLine, bits.TrailingZeros32(w.live)&31)
		f.Detail = "warps wait here that no other will join"
		for _, o := range b.warps {
			if o.live != 0 && o.waitLine != w.waitLine {
				f.Detail += "; others wait at line " + strconv.Itoa(int(o.waitLine.line))
				break
			}
		}
		panic(f)
	}
}
