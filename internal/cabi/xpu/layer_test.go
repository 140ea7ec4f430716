//go:build linux && xpu

package xpu

import (
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// layer is a prepared layer, bound to its rig's stream.
type layer struct {
	*rig
	t         testing.TB
	plan      Plan
	handle    uintptr
	binding   uintptr
	workspace uintptr
	bytes     int64
}

// layer prepares a plan and binds it; it ends with t.
func (r *rig) layer(t testing.TB, plan *Plan, codes []byte, scales []float32, zeros []byte, bias []float32) *layer {
	handle, err := r.s.LayerPrepare(r.f, r.engine, plan)
	require.NoError(t, err)
	l := &layer{rig: r, t: t, plan: *plan, handle: handle}
	var memories []uintptr
	alloc := func(b []byte) uintptr {
		memory, p, err := r.s.MemoryAlloc(r.f, r.engine, int64(max(len(b), 1)))
		require.NoError(t, err)
		require.NoError(t, r.s.Upload(r.f, r.stream, p, b))
		memories = append(memories, memory)
		return p
	}
	var z, b uintptr
	if zeros != nil {
		z = alloc(zeros)
	}
	if bias != nil {
		b = alloc(encode(plan.BiasType, bias))
	}
	var s uintptr
	if plan.ScaleType != 0 {
		s = alloc(encode(plan.ScaleType, scales))
	}
	l.binding, err = r.s.Bind(r.f, handle, r.stream, alloc(codes), s, z, b)
	require.NoError(t, err)
	l.bytes = r.s.LayerWorkspace(r.f, handle, plan.MaxRows)
	require.Positive(t, l.bytes)
	// NaN in every type: whatever reads a part that it did not write shows.
	l.workspace = alloc(filled(int(l.bytes), 0xff))
	t.Cleanup(func() {
		r.s.Unbind(r.f, l.binding)
		require.NoError(t, r.s.LayerDestroy(r.f, handle))
		for _, m := range memories {
			r.s.MemoryFree(r.f, m)
		}
	})
	return l
}

func filled(n int, b byte) []byte {
	s := make([]byte, n)
	for i := range s {
		s[i] = b
	}
	return s
}

// strided returns rows of cols values with others between them, and room for NaN
// behind the last, as a device has them.
func (l *layer) strided(t int64, x []float32, rows, stride int) []byte {
	cols := len(x) / rows
	spread := make([]float32, rows*stride)
	for i := range spread {
		spread[i] = float32(math.NaN())
	}
	for m := range rows {
		copy(spread[m*stride:], x[m*cols:(m+1)*cols])
	}
	return encode(t, spread)
}

func (l *layer) quantize(x []float32, rows, stride int) ([]int8, []float32) {
	cols := int(l.plan.XCols)
	src := l.alloc(l.strided(l.plan.XType, x, rows, stride))
	const guard = 64
	codes, scales := l.room(rows*cols+guard), l.room(rows*4+guard)
	require.NoError(l.t, l.s.Quantize(l.f, l.binding, src, int64(stride), codes, scales, int64(rows), l.workspace, l.bytes))
	got, s := l.read(codes, rows*cols+guard), l.read(scales, rows*4+guard)
	require.Equal(l.t, filled(guard, 0xa5), got[rows*cols:])
	require.Equal(l.t, filled(guard, 0xa5), s[rows*4:])
	return unsafe.Slice((*int8)(unsafe.Pointer(&got[0])), rows*cols), decode(F32, s[:rows*4])
}

// apply returns y [rows, y_cols], and checks that nothing else was written.
func (l *layer) apply(x []float32, rows, xStride, yStride int) []float32 {
	src := l.alloc(l.strided(l.plan.XType, x, rows, xStride))
	cols, size := int(l.plan.YCols), types[l.plan.YType].Size()
	dst := l.room(rows * yStride * size)
	require.NoError(l.t, l.s.Apply(l.f, l.binding, src, int64(xStride), dst, int64(yStride), int64(rows), l.workspace, l.bytes))
	all := l.read(dst, rows*yStride*size)
	var y []float32
	for m := range rows {
		row := all[m*yStride*size : (m+1)*yStride*size]
		y = append(y, decode(l.plan.YType, row[:cols*size])...)
		require.Equal(l.t, filled((yStride-cols)*size, 0xa5), row[cols*size:], "behind row %d", m)
	}
	return y
}
