package redtest

import (
	"math"
	"runtime"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
)

// after makes a hook that changes dst when Apply has worked.
func after(change func(l *layer, dst, x backend.Tensor)) func(*layer, backend.Stream, backend.Tensor, backend.Tensor, backend.Span) error {
	return func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
		if err := l.Layer.Apply(s, dst, x, ws); err != nil {
			return err
		}
		if x.Rows > 0 {
			change(l, dst, x)
		}
		return nil
	}
}

// row returns the elements of row i and everything after them in the buffer.
func row(t backend.Tensor, i int) []byte {
	host := t.Buffer.Host()
	return host[min(len(host), t.Offset+i*t.Stride*t.DType.Size()):]
}

// flip changes the last bit of element [0, 0].
func flip(t backend.Tensor) { row(t, 0)[0] ^= 1 }

// results are mutants whose Apply writes something else to dst.
func results() []mutant {
	return []mutant{
		{name: "results are rounded to float16 before bfloat16",
			fails: []string{"act-order", "bias", "codes", "exact-cells", "grid", "large-x", "nonfinite", "plain", "shard-n", "source-layer", "strides"},
			request: func(q *backend.Request) {
				if q.Y == dtype.BF16 {
					q.Y = dtype.F32
				}
			},
			apply: roundTwice,
			group: func(first *layer, g backend.Layer) backend.Layer {
				spec := g.Spec()
				spec.Y = first.spec.Y
				return &layer{Layer: g, m: first.m, dev: first.dev, spec: spec}
			},
			closeLayer: func(l *layer) error {
				l.mu.Lock()
				defer l.mu.Unlock()
				err := l.Layer.Close()
				if err == nil && l.buffer != nil {
					err = l.buffer.Close()
				}
				return err
			}},
		{name: "row 64 is lost",
			fails: []string{"edges-m"},
			apply: after(func(_ *layer, dst, _ backend.Tensor) {
				if dst.Rows > 64 {
					clear(row(dst, 64)[:dst.Cols*dst.DType.Size()])
				}
			})},
		{name: "column 64 of 65 is lost",
			fails: []string{"edges-n"},
			apply: after(func(_ *layer, dst, _ backend.Tensor) {
				for i := range dst.Rows {
					if dst.Cols == 65 {
						dst.DType.Put(row(dst, i), 64, 0)
					}
				}
			})},
		{name: "NaN in a row spreads to row 0",
			fails: []string{"nonfinite"},
			apply: after(func(_ *layer, dst, _ backend.Tensor) {
				for i := range dst.Rows {
					if v := dst.DType.At(row(dst, i), 0); v != v {
						dst.DType.Put(row(dst, 0), 0, v)
					}
				}
			})},
		{name: "NaN becomes zero",
			fails: []string{"large-x", "nonfinite"},
			apply: after(func(_ *layer, dst, _ backend.Tensor) {
				for i := range dst.Rows {
					for j := range dst.Cols {
						if v := dst.DType.At(row(dst, i), j); v != v {
							dst.DType.Put(row(dst, i), j, 0)
						}
					}
				}
			})},
		{name: "one row alone is summed in another order",
			fails: []string{"batch"},
			apply: after(func(_ *layer, dst, _ backend.Tensor) {
				for j := range dst.Cols { // an exact sum has no last bit to lose
					if b := row(dst, 0)[4*j%len(row(dst, 0)):]; dst.Rows == 1 && dst.DType == dtype.F32 {
						b[0] &^= 1
					}
				}
			})},
		{name: "the order of sums depends on the number of threads",
			fails: []string{"repeat"},
			apply: after(func(l *layer, dst, _ backend.Tensor) {
				if l.dev.Info().Units == 3 {
					flip(dst)
				}
			})},
		{name: "the last bit depends on what was called before",
			fails: []string{"batch", "close-under-load", "concurrent", "repeat", "rows-beyond", "workspace-contents"},
			apply: after(func(l *layer, dst, _ backend.Tensor) {
				if l.inFlight.Add(1)%2 == 0 && dst.DType == dtype.F32 && math.Float32bits(dtype.F32.At(row(dst, 0), 0))&1 == 1 {
					flip(dst)
				}
			})},
	}
}

// roundTwice computes in float32, in memory of its own, and rounds that to
// float16 and then to bfloat16.
func roundTwice(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
	if l.spec.Y != dtype.BF16 {
		return l.Layer.Apply(s, dst, x, ws)
	}
	if err := backend.CheckApply(l.dev, &l.spec, s, dst, x, ws, l.Workspace(x.Rows)); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if x.Rows == 0 {
		return nil
	}
	if l.buffer == nil {
		l.scratch = make([]byte, 4*l.spec.N*l.spec.MaxRows)
		var err error
		if l.buffer, err = l.dev.WrapBuffer(pointer(l.scratch), len(l.scratch)); err != nil {
			return err
		}
	}
	wide := backend.Dense(backend.Whole(l.buffer), dtype.F32, x.Rows, l.spec.N)
	if err := l.Layer.Apply(s, wide, x, ws); err != nil {
		return err
	}
	for i := range dst.Rows {
		for j := range dst.Cols {
			dst.DType.Put(row(dst, i), j, dtype.F16.Round(dtype.F32.At(l.scratch, i*l.spec.N+j)))
		}
	}
	return nil
}

// memory are mutants that touch memory that they must leave alone.
func memory() []mutant {
	return []mutant{
		{name: "one element beyond row M is written",
			fails: []string{"guards"},
			apply: after(func(_ *layer, dst, _ backend.Tensor) {
				if end := row(dst, dst.Rows-1)[dst.Cols*dst.DType.Size():]; len(end) > 0 {
					end[0] ^= 0xFF
				}
			})},
		{name: "the gap between strided rows is written",
			fails: []string{"guards"},
			apply: after(func(_ *layer, dst, _ backend.Tensor) {
				if dst.Stride > dst.Cols && dst.Rows > 1 {
					dst.DType.Put(row(dst, 0), dst.Cols, 0)
				}
			})},
		{name: "one byte beyond the workspace is written",
			fails: []string{"guards"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				err := l.Layer.Apply(s, dst, x, ws)
				if end := ws.Offset + l.Workspace(x.Rows); err == nil && ws.Buffer != nil && end < ws.Buffer.Len() {
					ws.Buffer.Host()[end] ^= 0xFF
				}
				return err
			}},
		{name: "strided x is overwritten",
			fails: []string{"inputs"},
			apply: after(func(_ *layer, _, x backend.Tensor) {
				if x.Stride > x.Cols {
					x.DType.Put(row(x, 0), 0, 1)
				}
			})},
		{name: "the gap of strided x enters the sum",
			fails: []string{"rows-beyond", "strides"},
			apply: after(func(_ *layer, dst, x backend.Tensor) {
				if x.Stride > x.Cols && x.Rows > 1 {
					gap := x.DType.At(row(x, 0), x.Cols)
					dst.DType.Put(row(dst, 0), 0, dst.DType.At(row(dst, 0), 0)+gap)
				}
			})},
		{name: "rows are read four at a time, and what is beyond the last one enters its sum",
			fails: []string{
				"batch", "codes", "edges-group", "edges-k", "edges-m", "edges-n", "exact-cells", "floor", "grid", "group",
				"nonfinite", "plain", "rows-beyond", "shard-k", "shard-n", "source-layer", "strides",
			},
			apply: after(func(_ *layer, dst, x backend.Tensor) {
				if beyond := row(x, x.Rows); x.Rows%4 == 3 && len(beyond) >= x.DType.Size() {
					at := (dst.Rows - 1) * dst.Stride
					dst.DType.Put(row(dst, 0), at, dst.DType.At(row(dst, 0), at)+0*x.DType.At(beyond, 0))
				}
			})},
		{name: "the row stride of x is taken for its columns",
			fails: []string{"arguments-shape", "rows-beyond", "strides"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				if x.Stride > x.Cols {
					x.Stride = x.Cols
				}
				return l.Layer.Apply(s, dst, x, ws)
			}},
		{name: "a flag in the workspace is believed",
			fails: []string{"workspace-contents"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				done := ws.Buffer != nil && ws.Bytes > 0 && !ws.Buffer.Closed() && ws.Buffer.Device() == backend.Device(l.dev) && ws.Buffer.Host()[max(ws.Offset, 0)] == 1
				err := l.Layer.Apply(s, dst, x, ws)
				if err == nil && done {
					dst.DType.Put(row(dst, 0), 0, 0)
				}
				return err
			}},
		{name: "Workspace falls from 3 rows to 4",
			fails: []string{"workspace-size"},
			workspace: func(rows, size int) int {
				if rows == 3 {
					return size + 1<<12
				}
				return size
			}},
		{name: "Footprint leaves out a byte of the weights",
			fails:     []string{"footprint"},
			footprint: func(f *backend.Footprint) { f.Weights-- }},
		{name: "Footprint leaves out the workspace",
			fails:     []string{"footprint"},
			footprint: func(f *backend.Footprint) { f.Workspace = 0 }},
		{name: "the layer is packed at the first Apply",
			fails: []string{"source-layer"},
			apply: packLate},
		{name: "every Apply allocates",
			fails: []string{"allocations"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				b := make([]byte, 64)
				l.garbage.Store(&b)
				return l.Layer.Apply(s, dst, x, ws)
			}},
		{name: "every Apply allocates on the device",
			fails: []string{"allocations"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				if err := l.Layer.Apply(s, dst, x, ws); err != nil {
					return err
				}
				b, err := l.dev.Alloc(64)
				if err != nil {
					return err
				}
				return b.Close()
			}},
		{name: "Applies at the same time are ErrBusy",
			fails: []string{"close-under-load", "concurrent"},
			apply: func(l *layer, s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
				if l.inFlight.Add(1) > 1 {
					l.inFlight.Add(-1)
					return backend.ErrBusy
				}
				defer l.inFlight.Add(-1)
				for range 20 {
					runtime.Gosched()
				}
				return l.Layer.Apply(s, dst, x, ws)
			}},
	}
}
