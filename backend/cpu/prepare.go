package cpu

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/internal/workers"
	"github.com/bitlane/bitlane/quant"
)

// prepare packs l, which s is a Spec of.
func (k *kernel) prepare(ctx context.Context, dev *Device, l *quant.Linear, s *backend.Spec) (backend.Layer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	base, err := hostmem.NewLayer(dev.Device, *s)
	if err != nil {
		return nil, err
	}
	p := k.panel(s)
	at := layoutOf(s, p)
	mem, err := base.Alloc(at.total)
	if err != nil {
		return nil, errors.Join(err, base.Close())
	}
	isa := rows.Go
	if k.unit != nil {
		isa = k.unit.rows
	}
	f, err := newFront(mem, &at, l, s, p, isa)
	if err != nil {
		return nil, errors.Join(err, base.Close())
	}
	var m packable
	if p == nil {
		m = newWeights(mem, &at, l, s)
	} else {
		m = newProduct(p, k.unit, mem, &at, l)
	}
	if err := pack(ctx, dev.pool, m, &l.Weight, f.order, s); err != nil {
		return nil, errors.Join(err, base.Close())
	}
	return newLayer(base, dev, []*front{f}, []part{{matrix: m}}, needsOf(s, p, k.unit).scratch, nil), nil
}

// packable is a matrix that is being packed, a chunk at a time.
type packable interface {
	matrix
	packChunks() int

	// packSpare is the bytes that packChunk needs besides; order is whether
	// the codes are moved.
	packSpare(order bool) int

	// packChunk packs rows of src, its codes in the order given, nil for as
	// they are.
	packChunk(chunk int, src *quant.Weight, order []int32, spare []uint8)
}

// pack fills m on all threads, or returns the context's error.
func pack(ctx context.Context, pool *workers.Pool, m packable, src *quant.Weight, order []int32, s *backend.Spec) error {
	p := packing{ctx: ctx, m: m, src: src, order: order, size: m.packSpare(order != nil)}
	p.spare = make([]uint8, pool.Threads()*p.size)
	pool.Run(workers.NewJob(), &p, m.packChunks(), min(pool.Threads(), s.N*s.K>>16+1))
	if p.stopped.Load() {
		return ctx.Err()
	}
	return nil
}

// packing is the loop over chunks.
type packing struct {
	ctx     context.Context
	m       packable
	src     *quant.Weight
	order   []int32
	spare   []uint8 // size bytes for each worker
	size    int
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
	p.m.packChunk(chunk, p.src, p.order, p.spare[worker*p.size:][:p.size])
}
