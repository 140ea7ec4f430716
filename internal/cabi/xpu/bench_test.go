//go:build linux && xpu

package xpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// sizes are plans with names, for figures: one row, groups of 32.
func sizes(k, n int64) map[string]Plan {
	base := Plan{XType: BF16, XCols: k, WeightStride: k, K: k, N: n, YCols: n, Group: 32, ScaleType: BF16, YType: BF16, MaxRows: 8, Deterministic: 1}
	w4, w8 := base, base
	w4.WeightType, w4.ZeroKind, w4.ZeroType, w4.ZeroValue = U4, ZeroScalar, S8, 8
	w8.WeightType = S8
	all := map[string]Plan{}
	for name, p := range map[string]Plan{"w4": w4, "w8": w8} {
		p.Activations = Int8Token
		all[name+"a8"] = p
		p.Activations, p.ComputeType, p.Slice = Exact, F32, 0
		all[name+"a16"] = p
		p.Slice = k / 2
		all[name+"a16 in 2 slices"] = p
	}
	return all
}

// Which implementation each cell of TestApply lands in: run with -v.
func TestDispatch(t *testing.T) {
	r := real(t)
	facts, commit := r.s.LibraryInfo(r.f, r.library)
	t.Logf("oneDNN %d.%d.%d, %s, runtimes %d and %d", facts.Major, facts.Minor, facts.Patch, commit, facts.CPURuntime, facts.GPURuntime)
	var lines []string
	for name, p := range cells() {
		handle, err := r.s.LayerPrepare(r.f, r.engine, &p)
		require.NoError(t, err)
		line := fmt.Sprintf("%s, order %d, group %d of %d, scales %v, row scales %d, slice %d:", name, p.WeightOrder, p.Group, p.K, types[p.ScaleType], p.RowScales, p.Slice)
		last := ""
		for i := int64(0); ; i++ {
			b, implementation, ok := r.s.LayerBucket(r.f, handle, i)
			if !ok {
				break
			}
			if implementation != last {
				line += fmt.Sprintf(" %s from %d rows;", implementation, b.Rows)
				last = implementation
			}
		}
		lines = append(lines, line)
		require.NoError(t, r.s.LayerDestroy(r.f, handle))
	}
	slices.Sort(lines)
	for _, line := range lines {
		t.Log(line)
	}
}

// A layer of buckets 1, 2, 4, 8 made anew, mostly out of oneDNN's cache, and of a shape that
// is new every time.
func BenchmarkPrepare(b *testing.B) {
	r := real(b)
	for name, p := range sizes(64, 16) {
		prepare := func(b *testing.B, p *Plan) {
			handle, err := r.s.LayerPrepare(r.f, r.engine, p)
			require.NoError(b, err)
			require.NoError(b, r.s.LayerDestroy(r.f, handle))
		}
		b.Run(name+"/again", func(b *testing.B) {
			for b.Loop() {
				prepare(b, &p)
			}
		})
		b.Run(name+"/new", func(b *testing.B) {
			for b.Loop() {
				p.N, p.YCols = p.N+2, p.YCols+2
				prepare(b, &p)
			}
		})
	}
}

func benchmarkApply(b *testing.B, r *rig, p Plan) {
	w := randomWeights(rand.New(rand.NewPCG(1, 1)), &p)
	l := r.layer(b, &p, w.pack(&p), w.flatScales(), w.packZeros(&p), w.bias)
	x, y := r.alloc(encode(p.XType, make([]float32, p.XCols))), r.room(int(p.YCols)*4)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.s.Apply(r.f, l.binding, x, p.XCols, y, p.YCols, 1, l.workspace, l.bytes); err != nil {
			b.Fatal(err)
		}
		if err := r.s.StreamWait(r.f, r.stream); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApply(b *testing.B) {
	r := real(b)
	for name, p := range sizes(64, 16) {
		b.Run(name, func(b *testing.B) { benchmarkApply(b, r, p) })
	}
}

// What a call costs beside oneDNN: nothing is computed for no rows, and a wait without work.
func BenchmarkCalls(b *testing.B) {
	r := real(b)
	p := sizes(64, 16)["w4a16"]
	w := randomWeights(rand.New(rand.NewPCG(1, 1)), &p)
	l := r.layer(b, &p, w.pack(&p), w.flatScales(), w.packZeros(&p), w.bias)
	b.Run("apply of no rows", func(b *testing.B) {
		for b.Loop() {
			_ = r.s.Apply(r.f, l.binding, 0, 0, 0, 0, 0, 0, 0)
		}
	})
	b.Run("wait", func(b *testing.B) {
		for b.Loop() {
			_ = r.s.StreamWait(r.f, r.stream)
		}
	})
}
