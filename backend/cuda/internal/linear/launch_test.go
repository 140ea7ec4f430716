package linear

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/kernels/cuda"
	"github.com/bitlane/bitlane/quant"
)

// plainLinear is a layer of zeros, as quick to make as can be.
func plainLinear(t testing.TB, n, k, bits int, g quant.Groups, zeros, bias bool) *quant.Linear {
	l := &quant.Linear{Name: "test"}
	require.NoError(t, l.Weight.Reset(quant.Form{N: n, K: k, Bits: bits, Scales: dtype.F16, Zeros: zeros, Groups: g}))
	if zeros {
		l.Weight.ZeroRow(0)[0] = 1
	}
	if bias {
		l.ResizeBias(n)
	}
	return l
}

// TestApplyAllocatesNothing on a driver that does nothing, whichever way Apply
// takes.
func TestApplyAllocatesNothing(t *testing.T) {
	if withRace {
		t.Skip("the race detector makes sync.Pool forget at random")
	}
	for _, c := range []struct {
		name    string
		k, rows int
		end     string
		skip    int
		want    []string
	}{
		{name: "stream", k: 128, rows: 5, want: []string{"stream"}},
		{name: "stream and finish", k: 4096, rows: 5, want: []string{"stream", "finish"}},
		{name: "stream of gathered x and finish", k: 4096, rows: 5, end: "_gather", want: []string{"stream", "finish"}},
		{name: "tile", k: 4096, rows: 70, want: []string{"tile"}},
		{name: "gather and tile", k: 4096, rows: 70, end: "_gather", want: []string{"gather", "tile"}},
		{name: "aligned, then tile", k: 4096, rows: 70, skip: 1, want: []string{"gather", "tile"}},
		{name: "expand and tile", k: 4096, rows: 1100, end: "_rounded", want: []string{"expand", "tile"}},
		{name: "aligned, then expand and tile", k: 4096, rows: 1100, end: "_rounded", skip: 1, want: []string{"gather", "expand", "tile"}},
		{name: "too few to expand", k: 4096, rows: 70, end: "_rounded", want: []string{"tile"}},
		{name: "invariant", k: 4096, rows: 60, end: "_invariant", want: []string{"stream", "finish"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newStandin()
			r := open(t, d, backend.OpenOptions{})
			layer, _ := r.prepare(plainLinear(t, 64, c.k, 4, uniform(t, c.k, 128), true, true), dtype.F16, dtype.F16, 1200, c.end)
			o := r.operands(layer, c.rows, c.skip, 0)
			var got []string
			d.launched = func(f string, _ *driver.Launch) error {
				got = append(got, family(f))
				return nil
			}
			require.NoError(t, layer.Apply(r.stream, o.y, o.x, o.workspace))
			require.Equal(t, c.want, got)
			d.launched = nil
			require.Zero(t, testing.AllocsPerRun(200, func() {
				if err := layer.Apply(r.stream, o.y, o.x, o.workspace); err != nil {
					t.Error(err)
				}
			}))
			o.close(t)
			require.NoError(t, layer.Close())
			r.close()
		})
	}
}

// watch checks every launch of an Apply. Its rows may come in parts, each with
// all of its launches before the next.
type watch struct {
	*testing.T
	d       *standin
	spec    backend.Spec
	plan    *plan
	o       operand
	kernels map[string]cuda.Kernel
	done    int             // rows before this part
	gathers cuda.GatherArgs // of this part's gather, if there was one
	rows    int             // that it gathered
	last    cuda.LayerArgs  // of this part's product, if sums are to be added
	slices  int             // of it

	expanded uint64 // where outputs of this part are as plain numbers
	outputs  [2]int // which they are: first, and from there
}

func newWatch(t *testing.T, d *standin, l *layer, o operand) *watch {
	w := &watch{T: t, d: d, spec: l.Spec(), plan: l.ways.plan, o: o, kernels: map[string]cuda.Kernel{}}
	for _, k := range cuda.Kernels() {
		if k.Module == cuda.ModuleName(w.plan.bits, w.plan.x) || w.plan.rounded && k.Module == cuda.ModuleName(16, w.plan.x) && k.Family == cuda.Tile {
			w.kernels[k.Name] = k
		}
	}
	return w
}

// layerArgs reads slots back: the inverse of LayerArgs.Slots.
func layerArgs(s []uint64) cuda.LayerArgs {
	i := func(at int) int { return int(int32(s[at])) }
	return cuda.LayerArgs{
		X: s[0], XStride: i(1), M: i(2), K: i(3), N: i(4), Np: i(5), Units: i(6), Weights: s[7], Scales: s[8], ScaleKind: i(9), Zeros: s[10], Zero: i(11),
		UnitGroup: s[12], Map: s[13], Bias: s[14], Y: s[15], YStride: i(16), YKind: i(17), Sums: s[18], Fine: s[19] == 1, SliceUnits: i(20), RunUnits: i(21),
	}
}

func (w *watch) memory(what string, at uint64, bytes int) {
	require.True(w, w.d.within(at, int64(bytes)), "%s: %d bytes at %#x", what, bytes, at)
}

// inside requires that bytes lie in a span.
func (w *watch) inside(what string, at uint64, bytes int, s backend.Span) {
	require.True(w, at >= uint64(s.Addr()) && at+uint64(bytes) <= uint64(s.Addr())+uint64(s.Bytes), "%s: %d bytes at %#x, there are %d at %#x", what, bytes, at, s.Bytes, s.Addr())
}

func (w *watch) launched(name string, l *driver.Launch) error {
	k, ok := w.kernels[name]
	require.True(w, ok, "%s is not of the layer's module", name)
	threads := int(l.Block[0] * l.Block[1] * l.Block[2])
	require.LessOrEqual(w, threads, k.Threads)
	require.LessOrEqual(w, max(l.Grid[1], l.Grid[2]), uint32(65535))
	require.NotZero(w, l.Grid[0]*l.Grid[1]*l.Grid[2])
	switch k.Family {
	case cuda.Gather:
		w.gather(l)
	case cuda.Finish:
		w.finish(k, l)
	case cuda.Expand:
		w.expand(l)
	default:
		w.product(k, l)
	}
	return nil
}

// row is the address of the first row of this part.
func (w *watch) row(of backend.Tensor) uint64 {
	return uint64(of.Addr()) + uint64(w.done*of.Stride*of.DType.Size())
}

func (w *watch) gather(l *driver.Launch) {
	width := w.plan.units * unitFeatures
	w.rows = int(l.Grid[0])
	require.LessOrEqual(w, w.done+w.rows, w.o.x.Rows)
	require.Equal(w, uint32(128), l.Block[0])
	require.GreaterOrEqual(w, int(l.Grid[1])*gatherFeatures, width)
	w.gathers = cuda.GatherArgs{X: l.Args[0], XStride: int(l.Args[1]), K: int(l.Args[2]), Units: int(l.Args[3]), Map: l.Args[4], Out: l.Args[5]}
	require.Equal(w, cuda.GatherArgs{X: w.row(w.o.x), XStride: w.o.x.Stride, K: w.spec.K, Units: w.plan.units, Map: w.gathers.Map, Out: w.gathers.Out}, w.gathers)
	require.Equal(w, w.plan.gather, w.gathers.Map != 0)
	require.Zero(w, w.gathers.Out%rowAlign)
	w.inside("gathered x", w.gathers.Out, 2*width*w.rows, w.o.workspace)
}

func (w *watch) expand(l *driver.Launch) {
	p, rows := w.plan, int(l.Grid[0])
	i := func(at int) int { return int(int32(l.Args[at])) }
	w.packed(&cuda.LayerArgs{Weights: l.Args[0], Scales: l.Args[1], Zeros: l.Args[3], UnitGroup: l.Args[5]})
	require.Equal(w, []int{kinds[p.scales], p.np, p.units, w.outputs[1], 0}, []int{i(2), i(6), i(7), 32 * i(8), i(11)})
	require.LessOrEqual(w, 32*(i(8)+rows), p.np)
	require.GreaterOrEqual(w, int(l.Grid[1])*cuda.ExpandUnits, p.units)
	require.Zero(w, w.expanded, "expanded weights that no product has met")
	w.expanded, w.outputs = l.Args[10], [2]int{w.outputs[1], w.outputs[1] + 32*rows}
	w.inside("expanded weights", w.expanded, rows*p.units*cuda.BrickBytes(16), w.o.workspace)
	if out := w.gathers.Out; out != 0 {
		require.GreaterOrEqual(w, out, w.expanded+uint64(rows*p.units*cuda.BrickBytes(16)), "expanded weights over gathered x")
	}
}

func (w *watch) finish(k cuda.Kernel, l *driver.Launch) {
	a := &w.last
	require.NotZero(w, w.slices, "there are no sums")
	want := cuda.FinishArgs{Sums: a.Sums, Slices: w.slices, M: a.M, N: a.N, Np: a.Np, Bias: a.Bias, Y: a.Y, YStride: a.YStride, YKind: a.YKind}
	require.Equal(w, want.Slots(nil), l.Args)
	require.GreaterOrEqual(w, int(l.Grid[0])*k.Outputs, w.spec.N)
	w.slices = 0
	w.done += a.M
}

func (w *watch) product(k cuda.Kernel, l *driver.Launch) {
	a, p := layerArgs(l.Args), w.plan
	require.Zero(w, w.slices, "sums that nothing adds up")
	outputs := [2]int{0, p.np}
	if w.expanded != 0 {
		outputs = w.outputs
	}
	require.Equal(w, []int{p.k, min(p.n, outputs[1]) - outputs[0], outputs[1] - outputs[0], p.units, w.o.y.Stride}, []int{w.spec.K, a.N, a.Np, a.Units, a.YStride})
	require.LessOrEqual(w, w.done+a.M, w.o.x.Rows)
	require.Equal(w, w.row(w.o.y)+uint64(outputs[0]*w.o.y.DType.Size()), a.Y)
	if w.gathers.Out != 0 {
		width := p.units * unitFeatures
		require.Equal(w, []any{w.gathers.Out, w.rows, width, width}, []any{a.X, a.M, a.XStride, a.K})
	} else {
		require.Equal(w, []any{w.row(w.o.x), w.o.x.Stride, p.k}, []any{a.X, a.XStride, a.K})
		require.True(w, k.Family == cuda.Stream || !p.gather, "x is not gathered")
	}
	w.geometry(k, &a, l)
	require.Equal(w, w.spec.Bias, a.Bias != 0)
	if a.Bias != 0 {
		w.memory("bias", a.Bias, 4*a.N)
	}
	if w.expanded == 0 {
		w.packed(&a)
	} else {
		require.Equal(w, []any{16, w.expanded, cuda.KindF32, uint64(0), 0}, []any{k.Bits, a.Weights, a.ScaleKind, a.Zeros, a.Zero})
		w.memory("scales of rounded weights", a.Scales, 4*a.Np)
		w.memory("groups of rounded weights", a.UnitGroup, mapEntry*p.units)
		if w.expanded = 0; outputs[1] < p.np {
			return
		}
		w.outputs = [2]int{}
	}
	w.gathers = cuda.GatherArgs{}
	if w.slices = int(l.Grid[1]); w.slices > 1 {
		w.inside("sums", a.Sums, 4*w.slices*a.M*a.Np, w.o.workspace)
		w.last = a
		return
	}
	w.slices = 0
	w.done += a.M
}

// geometry checks that the grid covers outputs, tokens and units.
func (w *watch) geometry(k cuda.Kernel, a *cuda.LayerArgs, l *driver.Launch) {
	require.GreaterOrEqual(w, int(l.Grid[2])*k.Tokens, a.M)
	require.GreaterOrEqual(w, int(l.Grid[1])*a.SliceUnits, a.Units)
	require.Less(w, int(l.Grid[1]-1)*a.SliceUnits, a.Units, "a slice without units")
	if k.Family == cuda.Stream {
		across, runs := int(l.Block[0]/32), int(l.Block[1])
		require.GreaterOrEqual(w, int(l.Grid[0])*across*k.Outputs, a.Np)
		require.GreaterOrEqual(w, a.RunUnits*runs, a.SliceUnits)
		require.Equal(w, k.SharedPerWarp*across*runs, int(l.Shared))
		require.Equal(w, k.Mapped, a.Map != 0)
		return
	}
	require.GreaterOrEqual(w, int(l.Grid[0])*k.Outputs, a.Np)
	require.Equal(w, k.Shared, int(l.Shared))
	require.Equal(w, []uint64{0, 0}, []uint64{a.X % rowAlign, uint64(2*a.XStride) % rowAlign}, "rows of x are not aligned")
}

// packed checks that what the kernel reads of the layer's weights is allocated.
func (w *watch) packed(a *cuda.LayerArgs) {
	p := w.plan
	w.memory("weights", a.Weights, p.np/brickOutputs*p.units*p.brickBytes)
	w.memory("scales", a.Scales, p.groups*p.np*p.scales.Size())
	require.Equal(w, p.zeroMoves, a.Zeros != 0)
	if a.Zeros != 0 {
		w.memory("zero points", a.Zeros, 2*p.groups*p.np)
	}
	w.memory("groups", a.UnitGroup, mapEntry*p.units)
	if a.Map != 0 {
		w.memory("map", a.Map, mapEntry*unitFeatures*p.units)
	}
}

// TestLaunches watches launches of layers of many sizes: everything is covered,
// nothing beyond what is allocated is named, and slices depend on no rows.
func TestLaunches(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	layers := 150
	if withRace {
		layers = 30
	}
	for range layers {
		n, k, bits := 1+rng.IntN(700), 1+rng.IntN(5000), 2+rng.IntN(7)
		sms := []int{1, 4, 20, 132}[rng.IntN(4)]
		size := 32 * (1 + rng.IntN(8))
		end := []string{"", "_gather", "_invariant", "_rounded"}[rng.IntN(4)]
		if k%32 != 0 && end == "" {
			size = k
		}
		t.Run(fmt.Sprintf("w%d %dx%d groups %d, %d SMs%s", bits, n, k, size, sms, end), func(t *testing.T) {
			d := newStandin()
			d.sms = sms
			r := open(t, d, backend.OpenOptions{Tuning: backend.Tuned{roundedRows: 65, expandedBytes: 1 << 20}})
			l := plainLinear(t, n, k, bits, uniform(t, k, min(size, k)), rng.IntN(2) == 0, rng.IntN(2) == 0)
			made, _ := r.prepare(l, dtype.BF16, []dtype.DType{dtype.F32, dtype.BF16}[rng.IntN(2)], 300, end)
			watchRows(t, r, d, made.(*layer), rng)
			require.NoError(t, made.Close())
			r.close()
			d.left(t, 0, map[string]int{})
		})
	}
}

func watchRows(t *testing.T, r *rig, d *standin, l *layer, rng *rand.Rand) {
	before := 0
	slicesOf := map[string][2]int{} // by family: units of a slice, slices
	for _, rows := range []int{1, 2, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 300} {
		need := l.Workspace(rows)
		require.GreaterOrEqual(t, need, before, "workspace for %d rows", rows)
		before = need
		o := r.operands(l, rows, rng.IntN(3), rng.IntN(9))
		w := newWatch(t, d, l, o)
		var names []string
		d.launched = func(f string, launch *driver.Launch) error {
			names = append(names, family(f))
			if family(f) == "stream" {
				now := [2]int{layerArgs(launch.Args).SliceUnits, int(launch.Grid[1])}
				if first, ok := slicesOf["stream"]; ok {
					require.Equal(t, first, now, "slices depend on rows")
				}
				slicesOf["stream"] = now
			}
			return w.launched(f, launch)
		}
		require.NoError(t, l.Apply(r.stream, o.y, o.x, o.workspace))
		require.Equal(t, []any{rows, 0, uint64(0)}, []any{w.done, w.slices, w.gathers.Out}, "rows done, sums left, gathered x left")
		require.True(t, slices.Contains(names, "stream") != slices.Contains(names, "tile"))
		d.launched = nil
		o.close(t)
	}
}
