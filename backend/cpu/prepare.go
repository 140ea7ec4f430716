package cpu

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/internal/workers"
	"github.com/bitlane/bitlane/quant"
)

// prepare packs l, which s is a Spec of.
func prepare(ctx context.Context, dev *Device, l *quant.Linear, s *backend.Spec) (backend.Layer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	base, err := hostmem.NewLayer(dev.Device, *s)
	if err != nil {
		return nil, err
	}
	at := layoutOf(s)
	mem, err := base.Alloc(int(at.total))
	if err != nil {
		return nil, errors.Join(err, base.Close())
	}
	w, f := newWeights(mem, &at, l, s), newFront(mem, &at, l, s)
	p := packing{ctx: ctx, w: w, src: &l.Weight, order: f.order}
	if f.order != nil {
		p.spare = make([]uint8, dev.pool.Threads()*2*s.K)
	}
	chunks := (s.N + packRows - 1) / packRows
	dev.pool.Run(workers.NewJob(), &p, chunks, min(dev.pool.Threads(), s.N*s.K>>16+1))
	if p.stopped.Load() {
		return nil, errors.Join(ctx.Err(), base.Close())
	}
	return newLayer(base, dev, []*front{f}, []part{{w: w}}, int(scratchBytes(s)), nil), nil
}

// packRows is the rows of a chunk of packing, after which the context is asked.
const packRows = 64

// packing is the loop over rows of W.
type packing struct {
	ctx     context.Context
	w       *weights
	src     *quant.Weight
	order   []int32
	spare   []uint8 // two rows of codes for each worker
	stopped atomic.Bool
}

// Do implements workers.Task.
func (p *packing) Do(worker, chunk int) {
	if p.stopped.Load() {
		return
	}
	if p.ctx.Err() != nil {
		p.stopped.Store(true)
		return
	}
	var spare []uint8
	if p.order != nil {
		spare = p.spare[worker*2*p.w.k:][:2*p.w.k]
	}
	for n := chunk * packRows; n < min(p.w.n, (chunk+1)*packRows); n++ {
		p.w.packRow(n, p.src, p.order, spare)
	}
}
