//go:build linux && xpu

package xpu

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/csrc/xpu/fake"
	"github.com/bitlane/bitlane/internal/cabi"
)

// plan is a small layer that the stand-in computes, too.
func plan(activations int64) Plan {
	p := Plan{Activations: activations, XType: F32, XCols: 64, WeightType: S8, WeightStride: 64, K: 64, N: 8, YCols: 8, Group: 32, ScaleType: F32, BiasType: F32,
		ZeroKind: ZeroGrouped, ZeroType: S8, YType: F32, MaxRows: 4, Deterministic: 1}
	if activations == Exact {
		p.ComputeType, p.Slice = F32, 32
	}
	return p
}

func standIn(t testing.TB, flags ...string) string {
	path, err := fake.Build(t.TempDir(), flags...)
	require.NoError(t, err)
	return path
}

// ready makes a layer with device memory for one call.
func (r *rig) ready(t testing.TB, p Plan, rows int) (l *layer, apply func() error) {
	w := randomWeights(rand.New(rand.NewPCG(7, 8)), &p)
	l = r.layer(t, &p, w.pack(&p), w.flatScales(), w.packZeros(&p), w.bias)
	x, y := r.alloc(encode(p.XType, make([]float32, rows*int(p.XCols)))), r.room(rows*int(p.YCols)*4)
	return l, func() error {
		return r.s.Apply(r.f, l.binding, x, p.XCols, y, p.YCols, int64(rows), l.workspace, l.bytes)
	}
}

// A GPU engine's memory is not the host's: what works on the stand-in uses no
// device pointer as the host's.
func TestOnStandIn(t *testing.T) {
	r := open(t, standIn(t), GPU)
	require.Zero(t, r.s.EngineInfo(r.f, r.engine).HostMemory)
	rng := rand.New(rand.NewPCG(9, 10))
	for _, activations := range []int64{Exact, Int8Token, Int8TokenCT} {
		p := plan(activations)
		w := randomWeights(rng, &p)
		l := r.layer(t, &p, w.pack(&p), w.flatScales(), w.packZeros(&p), w.bias)
		for rows := 1; rows <= int(p.MaxRows); rows++ {
			for _, gap := range []int{0, 3} {
				x := make([]float32, rows*int(p.XCols))
				for i := range x {
					x[i] = float32(rng.NormFloat64())
				}
				l.holds(t, w, x, rows, l.apply(x, rows, int(p.XCols)+gap, int(p.YCols)+gap), float64(p.K))
			}
		}
	}
}

func TestCallsAllocateNothing(t *testing.T) {
	r := open(t, standIn(t), GPU)
	for _, activations := range []int64{Exact, Int8Token, Int8TokenCT} {
		_, apply := r.ready(t, plan(activations), 3)
		require.NoError(t, apply())
		require.Zero(t, testing.AllocsPerRun(50, func() {
			if apply() != nil || r.s.StreamWait(r.f, r.stream) != nil {
				panic("apply failed")
			}
		}))
	}
	b := make([]byte, 64)
	p := r.room(64)
	require.Zero(t, testing.AllocsPerRun(50, func() {
		if r.s.Upload(r.f, r.stream, p, b) != nil || r.s.Download(r.f, r.stream, b, p) != nil {
			panic("a copy failed")
		}
	}))
}

// Streams of one engine, each with its goroutine and binding, do not meet.
func TestManyStreams(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *rig{
		"stand-in": func(t *testing.T) *rig { return open(t, standIn(t), GPU) },
		"oneDNN":   func(t *testing.T) *rig { return real(t) },
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t)
			p := plan(Int8Token)
			w := randomWeights(rand.New(rand.NewPCG(1, 9)), &p)
			first := r.layer(t, &p, w.pack(&p), w.flatScales(), w.packZeros(&p), w.bias)
			var all sync.WaitGroup
			for i := range 8 {
				stream, err := r.s.StreamCreate(r.f, r.engine)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, r.s.StreamDestroy(r.f, stream)) })
				own := &rig{t: t, s: r.s, f: cabi.NewFrame(), library: r.library, engine: r.engine, stream: stream}
				l := own.layer(t, &p, w.pack(&p), w.flatScales(), w.packZeros(&p), w.bias)
				rng := rand.New(rand.NewPCG(uint64(i), 1))
				x := rowsOf(rng, F32, 2, int(p.XCols))
				want := first.apply(x, 2, int(p.XCols), int(p.YCols))
				src, dst := own.alloc(encode(F32, x)), own.room(2*int(p.YCols)*4)
				all.Go(func() {
					for range 20 {
						b := filled(2*int(p.YCols)*4, 0xff)
						err := errors.Join(own.s.Upload(own.f, stream, dst, b),
							own.s.Apply(own.f, l.binding, src, p.XCols, dst, p.YCols, 2, l.workspace, l.bytes),
							own.s.Download(own.f, stream, b, dst))
						if got := decode(F32, b); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
							t.Errorf("stream %d: %v, %v, not %v", i, err, got, want)
							return
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// Every failure is an *Error of its class.
func TestErrors(t *testing.T) {
	s, err := Open()
	require.NoError(t, err)
	f := cabi.NewFrame()
	class := func(err error) Class {
		var e *Error
		require.ErrorAs(t, err, &e)
		require.NotEmpty(t, e.Error())
		return e.Class
	}
	_, err = s.LibraryOpen(f, "/none/libdnnl.so.3")
	require.Equal(t, NoLibrary, class(err))
	require.EqualError(t, err, "/none/libdnnl.so.3: cannot open shared object file: No such file or directory")
	require.Contains(t, s.NeededSymbols(f), "dnnl_primitive_attr_set_deterministic")
	require.Equal(t, "xpu: error of class 8", (&Error{Class: Failed}).Error())

	lib := standIn(t)
	r := open(t, lib, GPU)
	facts, commit := s.LibraryInfo(f, r.library)
	require.Equal(t, LibraryFacts{Major: 3, Minor: 13, Patch: 2, CPURuntime: RuntimeSYCL, GPURuntime: RuntimeSYCL, WrapsNative: 1}, facts)
	require.Equal(t, "stand-in", commit)
	_, err = s.EngineCreate(f, r.library, GPU, 1)
	require.Equal(t, NoEngine, class(err))
	_, err = s.EngineCreate(f, r.library, 3, 0)
	require.Equal(t, Invalid, class(err))
	_, err = s.EngineWrap(f, r.library, GPU, 0, 0, 0)
	require.Equal(t, Invalid, class(err))
	require.Equal(t, Busy, class(s.LibraryClose(f, r.library)))
	require.Equal(t, Busy, class(s.EngineDestroy(f, r.engine)))
	_, err = s.StreamWrap(f, r.engine, 0)
	require.Equal(t, Invalid, class(err))
	queue, err := s.StreamQueue(f, r.stream)
	require.NoError(t, err)
	wrapped, err := s.StreamWrap(f, r.engine, queue)
	require.NoError(t, err)
	require.NoError(t, s.StreamDestroy(f, wrapped))
	_, _, err = s.MemoryAlloc(f, r.engine, 0)
	require.Equal(t, Invalid, class(err))
	require.Equal(t, Invalid, class(s.PointerCheck(f, r.engine, 0, 1)))
	require.NoError(t, s.PointerCheck(f, r.engine, r.room(8), 8))

	l, apply := r.ready(t, plan(Exact), 3)
	require.NoError(t, apply())
	require.Equal(t, Busy, class(s.LayerDestroy(f, l.handle)))
	require.Equal(t, Busy, class(s.StreamDestroy(f, r.stream)))
	x, y := r.room(4096), r.room(4096)
	for name, call := range map[string]func() error{
		"rows":      func() error { return s.Apply(f, l.binding, x, 64, y, 8, 5, l.workspace, l.bytes) },
		"negative":  func() error { return s.Apply(f, l.binding, x, 64, y, 8, -1, l.workspace, l.bytes) },
		"workspace": func() error { return s.Apply(f, l.binding, x, 64, y, 8, 4, l.workspace, l.bytes-1) },
		"x":         func() error { return s.Apply(f, l.binding, 0, 64, y, 8, 1, l.workspace, l.bytes) },
		"x's rows":  func() error { return s.Apply(f, l.binding, x, 63, y, 8, 1, l.workspace, l.bytes) },
		"y's rows":  func() error { return s.Apply(f, l.binding, x, 64, y, 7, 1, l.workspace, l.bytes) },
		"codes":     func() error { return s.Quantize(f, l.binding, x, 64, y, y, 1, l.workspace, l.bytes) },
		"of codes":  func() error { return s.ApplyCodes(f, l.binding, x, x, y, 8, 1, l.workspace, l.bytes) },
	} {
		require.Equal(t, Invalid, class(call()), name)
	}
	require.NoError(t, s.Apply(f, l.binding, 0, 0, 0, 0, 0, 0, 0))
	require.Zero(t, s.LayerWorkspace(f, l.handle, 5))
	last := int64(0)
	for rows := int64(1); rows <= 4; rows++ {
		require.GreaterOrEqual(t, s.LayerWorkspace(f, l.handle, rows), last)
		last = s.LayerWorkspace(f, l.handle, rows)
	}
	b, name, ok := s.LayerBucket(f, l.handle, 2)
	require.True(t, ok)
	require.Equal(t, "jit:stand-in:any", name)
	require.Equal(t, BucketFacts{Rows: 4, Workspace: last, Scratchpad: b.Scratchpad}, b)
	_, _, ok = s.LayerBucket(f, l.handle, 3)
	require.False(t, ok)
}

// A plan that is wrong in one field is refused, and the text names the field.
func TestPlansThatAreRefused(t *testing.T) {
	r := open(t, standIn(t), GPU)
	for want, change := range map[string]func(*Plan){
		"activations":      func(p *Plan) { p.Activations = 3 },
		"x_type":           func(p *Plan) { p.XType = S8 },
		"compute_type":     func(p *Plan) { p.ComputeType = 0 },
		"weight_type 6":    func(p *Plan) { p.WeightType = U8 },
		"weight_type f32":  func(p *Plan) { p.WeightType = F32 },
		"with activations": func(p *Plan) { p.WeightType, p.ScaleType, p.Activations, p.ComputeType = F32, 0, Int8Token, 0 },
		"weight_order":     func(p *Plan) { p.WeightOrder = 2 },
		"weight_stride 63": func(p *Plan) { p.WeightStride = 63 },
		"weight_stride 65": func(p *Plan) { p.WeightType, p.WeightStride = U4, 65 },
		"k 0":              func(p *Plan) { p.K = 0 },
		"k 2147483648":     func(p *Plan) { p.K = 1 << 31 },
		"n 0":              func(p *Plan) { p.N = 0 },
		"max_rows":         func(p *Plan) { p.MaxRows = 0 },
		"x_cols":           func(p *Plan) { p.XCols = 65 },
		"y_cols":           func(p *Plan) { p.YCols = 0 },
		"group":            func(p *Plan) { p.Group = 48 },
		"scale_type":       func(p *Plan) { p.ScaleType = S8 },
		"zero_kind":        func(p *Plan) { p.ZeroKind = 3 },
		"zero_type 1":      func(p *Plan) { p.ZeroType = F16 },
		"zero_value":       func(p *Plan) { p.ZeroKind, p.ZeroValue = ZeroScalar, 128 },
		"without zeros":    func(p *Plan) { p.ZeroKind = ZeroNone },
		"n 7 is odd":       func(p *Plan) { p.N, p.YCols, p.ZeroType = 7, 7, U4 },
		"bias_type":        func(p *Plan) { p.BiasType = F16 },
		"y_type":           func(p *Plan) { p.YType = 0 },
		"deterministic":    func(p *Plan) { p.Deterministic = 2 },
		"refuse_reference": func(p *Plan) { p.RefuseReference = -1 },
		"codes":            func(p *Plan) { p.Codes = 1 },
		"row_scales":       func(p *Plan) { p.RowScales = RowScalesSource },
		"slice 65":         func(p *Plan) { p.Slice = 65 },
		"slice 24":         func(p *Plan) { p.Slice = 24 },
		"slice 1 is odd":   func(p *Plan) { p.WeightType, p.Slice = U4, 1 },
	} {
		p := plan(Exact)
		change(&p)
		_, err := r.s.LayerPrepare(r.f, r.engine, &p)
		var e *Error
		require.ErrorAs(t, err, &e, want)
		require.Equal(t, Invalid, e.Class, want)
		require.True(t, strings.HasPrefix(e.Text, "plan: "), e.Text)
		require.Contains(t, e.Text, want)
	}
	require.EqualValues(t, 24*8, unsafe.Sizeof(Plan{}))
}

// A queue of a CPU engine of SYCL does not grow with calls that nobody waits for. The
// stand-in's works when somebody waits for it, and only then.
func TestQueuesAreShort(t *testing.T) {
	r := open(t, standIn(t), CPU)
	p := plan(Exact)
	w := randomWeights(rand.New(rand.NewPCG(9, 10)), &p)
	l := r.layer(t, &p, w.pack(&p), w.flatScales(), w.packZeros(&p), w.bias)
	x, y := r.alloc(encode(F32, make([]float32, p.XCols))), r.room(int(p.YCols)*4)
	first := *(**byte)(unsafe.Pointer(&y))
	defer func() { require.NoError(t, r.s.StreamWait(r.f, r.stream)) }() // what is left in the queue writes to memory that is freed next
	for range 100 {
		require.NoError(t, r.s.Apply(r.f, l.binding, x, p.XCols, y, p.YCols, 1, l.workspace, l.bytes))
		if *first != 0xa5 {
			return
		}
	}
	require.Fail(t, "100 calls are in the queue")
}
