package cpu

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/internal/packing"
	"github.com/bitlane/bitlane/internal/workers"
	"github.com/bitlane/bitlane/quant"
)

// packingVersion changes with any byte of what Prepare writes: layouts, panels,
// the order in which pieces are stacked.
const packingVersion = 3

var _ backend.Restorer = (*kernel)(nil)

// Packing implements backend.Restorer. Panels are cut by the recipe, and differ
// by what their unit's kernels read; the types of x and y change nothing.
func (k *kernel) Packing(_ backend.DeviceInfo, s backend.Spec) string {
	form := "rows"
	if p := k.panel(&s); p != nil {
		form = fmt.Sprintf("panel%d", p.kind)
	}
	return fmt.Sprintf("%s-%d-%s", form, packingVersion, strings.ReplaceAll(s.Recipe.String(), " ", ""))
}

// Restore implements backend.Restorer.
func (k *kernel) Restore(ctx context.Context, d backend.Device, s backend.Spec, p backend.Packed) (backend.Layer, error) {
	dev, err := of(d)
	if err != nil {
		return nil, err
	}
	if r := k.Supports(d.Info(), s); r != nil {
		return nil, r
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if at := layoutOf(&s, k.panel(&s)); p.Size() != int64(at.total) {
		return nil, quant.Errorf(backend.ErrFormat, "packed weights", "size", fmt.Sprintf("%d bytes for %s of [%d,%d] %s", at.total, k.name, s.N, s.K, s.Scheme()), "%d", p.Size())
	}
	m, err := k.begin(dev, &s)
	if err != nil {
		return nil, err
	}
	if err := read(ctx, dev.pool, m.mem, p); err != nil {
		return nil, m.fail(err)
	}
	f, w, err := m.parts()
	if err != nil {
		return nil, m.fail(err)
	}
	return m.layer(f, w), nil
}

// read fills mem on all threads, or returns the first error.
func read(ctx context.Context, pool *workers.Pool, mem []byte, p backend.Packed) error {
	r := reading{ctx: ctx, mem: mem, from: p}
	pool.Run(workers.NewJob(), &r, (len(mem)+backend.PackedPiece-1)/backend.PackedPiece, pool.Threads())
	return r.err
}

// reading is the loop over pieces.
type reading struct {
	ctx  context.Context
	mem  []byte
	from backend.Packed

	mu  sync.Mutex
	err error
}

// Do implements workers.Task.
func (r *reading) Do(_, piece int) {
	if r.failed(r.ctx.Err()) {
		return
	}
	at := piece * backend.PackedPiece
	dst := r.mem[at:min(at+backend.PackedPiece, len(r.mem))]
	r.failed(packing.Read(dst, r.from, int64(at)))
}

// failed keeps the first error and reports whether there is one.
func (r *reading) failed(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
	return r.err != nil
}

// kept is a layer of one part: a group's weights are its members'.
type kept struct{ *layer }

var _ backend.Keeper = kept{}

// PackedSize implements backend.Keeper.
func (l kept) PackedSize() int64 { return int64(len(l.mem)) }

// WritePacked implements backend.Keeper.
func (l kept) WritePacked(ctx context.Context, w io.Writer) error {
	if err := l.EnterUse(); err != nil {
		return err
	}
	defer l.Leave()
	for piece := range slices.Chunk(l.mem, backend.PackedPiece) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return nil
}
