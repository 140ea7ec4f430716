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

// making is a layer whose memory is being filled.
type making struct {
	*kernel
	dev  *Device
	spec *backend.Spec
	base *hostmem.Layer
	p    *panel // nil in plain Go
	at   layout
	mem  []byte // at.total bytes of zeros
}

// begin takes the memory of a layer of s. Who gets one calls fail or layer.
func (k *kernel) begin(dev *Device, s *backend.Spec) (*making, error) {
	base, err := hostmem.NewLayer(dev.Device, *s)
	if err != nil {
		return nil, err
	}
	m := &making{kernel: k, dev: dev, spec: s, base: base, p: k.panel(s)}
	m.at = layoutOf(s, m.p)
	if m.mem, err = base.Alloc(m.at.total); err != nil {
		return nil, m.fail(err)
	}
	return m, nil
}

// fail frees what there is and returns err with what went wrong on the way.
func (m *making) fail(err error) error { return errors.Join(err, m.base.Close()) }

// parts are the front and the matrix over the memory, in which everything but rows
// and panels is there.
func (m *making) parts() (*front, packable, error) {
	isa := rows.Go
	if m.unit != nil {
		isa = m.unit.rows
	}
	f, err := newFront(m.mem, &m.at, m.spec, m.p, isa)
	if err != nil {
		return nil, nil, err
	}
	if m.p == nil {
		return f, newWeights(m.mem, &m.at, m.spec), nil
	}
	return f, newProduct(m.p, m.unit, m.mem, &m.at, m.spec), nil
}

func (m *making) layer(f *front, w matrix) backend.Layer {
	return newLayer(m.base, m.dev, m.mem, []*front{f}, []part{{matrix: w}}, needsOf(m.spec, m.p, m.unit).scratch, nil)
}

// prepare packs l, which s is a Spec of.
func (k *kernel) prepare(ctx context.Context, dev *Device, l *quant.Linear, s *backend.Spec) (backend.Layer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m, err := k.begin(dev, s)
	if err != nil {
		return nil, err
	}
	m.at.fill(m.mem, l, s)
	f, w, err := m.parts()
	if err != nil {
		return nil, m.fail(err)
	}
	if err := pack(ctx, dev.pool, w, &l.Weight, f.order, s); err != nil {
		return nil, m.fail(err)
	}
	return m.layer(f, w), nil
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
	p := packTask{ctx: ctx, m: m, src: src, order: order, spare: make([][]uint8, pool.Threads())}
	pool.Run(workers.NewJob(), &p, m.packChunks(), min(pool.Threads(), s.N*s.K>>16+1))
	if p.stopped.Load() {
		return ctx.Err()
	}
	return nil
}

// packTask is the loop over chunks.
type packTask struct {
	ctx     context.Context
	m       packable
	src     *quant.Weight
	order   []int32
	spare   [][]uint8 // of each worker, once it packs
	stopped atomic.Bool
}

// Do implements workers.Task.
func (p *packTask) Do(worker, chunk int) {
	if p.stopped.Load() {
		return
	}
	if p.ctx.Err() != nil {
		p.stopped.Store(true)
		return
	}
	if p.spare[worker] == nil {
		p.spare[worker] = make([]uint8, p.m.packSpare(p.order != nil))
	}
	p.m.packChunk(chunk, p.src, p.order, p.spare[worker])
}
