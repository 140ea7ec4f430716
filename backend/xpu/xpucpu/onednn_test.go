package xpucpu_test

import (
	"bytes"
	"context"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

var types = []dtype.DType{dtype.F16, dtype.BF16, dtype.F32}

// TestEveryForm holds every kernel to the bound in each form that it promises.
func TestEveryForm(t *testing.T) {
	r := open(t)
	defer r.close()
	for _, kernel := range []struct {
		name   string
		bits   int
		recipe quant.RecipeKind
	}{
		{"xpu_w4g_a8_onednn", 4, quant.Int8TokenXPU}, {"xpu_w4g_a8_onednn", 4, quant.Int8Token}, {"xpu_w4g_a16_onednn", 4, quant.Exact},
		{"xpu_w8_a8_onednn", 8, quant.Int8TokenXPU}, {"xpu_w8_a8_onednn", 8, quant.Int8Token}, {"xpu_w8_a16_onednn", 8, quant.Exact},
	} {
		for i := range 3 * 4 * 2 * 2 {
			f := form{bits: kernel.bits, recipe: kernel.recipe, group: []int{32, 64, 128, -1}[i/3%4], zeros: i/12%2 == 1, bias: i/24 == 1,
				n: 5, k: 256, m: 3, x: types[i%3], y: types[i%3]}
			l, x := f.layer(t)
			made, k := r.prepare(l, f)
			require.Equal(t, kernel.name, k.Name())
			o := r.operands(made, x, f.m)
			require.NoError(t, made.Apply(r.stream, o.y, o.x, o.ws))
			got := r.read(o)
			s := made.Spec()
			ref, err := reference.Run(l, s.Recipe, f.x, x, f.m)
			require.NoError(t, err)
			num := k.Numerics(s)
			bound := reference.Bound{Depth: num.Depth, FlushBelow: num.FlushBelow, CodeSlack: num.CodeSlack}
			for j, y := range got {
				require.True(t, ref.Accept(j/f.n, j%f.n, y, f.y, bound), "%+v: y[%d,%d] is %v, want %v", f, j/f.n, j%f.n, y, ref.Y[j])
			}
			o.close(t)
			require.NoError(t, made.Close())
		}
	}
}

// TestCodesAreTheRecipes compares many more codes than the suite does.
func TestCodesAreTheRecipes(t *testing.T) {
	r := open(t)
	defer r.close()
	for _, kind := range []quant.RecipeKind{quant.Int8TokenXPU, quant.Int8Token} {
		recipe := quant.Recipe{Kind: kind}
		for _, bits := range []int{4, 8} {
			for _, x := range types {
				f := form{bits: bits, group: 128, n: 1, k: 4096, m: 37, x: x, y: x, recipe: kind}
				l, in := f.layer(t)
				everyMagnitude(x, in, f.k)
				made, k := r.prepare(l, f)
				o := r.operands(made, in, f.m)
				codes, scales, zeros := make([]int8, f.m*f.k), make([]float32, f.m), make([]int32, f.m)
				require.NoError(t, made.(backend.Coder).Codes(r.stream, o.x, codes, scales, zeros))
				act := quant.OneGroup(f.k)
				want, scale := make([]int8, f.k), make([]float32, 1)
				for m := range f.m {
					row := in[m*f.k:][:f.k]
					if x == dtype.BF16 && largest(row) < k.Numerics(made.Spec()).FlushBelow {
						clear(row)
					}
					recipe.QuantizeRow(x, &act, want, scale, row)
					require.Equal(t, math.Float32bits(scale[0]), math.Float32bits(scales[m]), "%v of %v, row %d", kind, x, m)
					require.Equal(t, want, codes[m*f.k:][:f.k], "%v of %v, row %d", kind, x, m)
				}
				o.close(t)
				require.NoError(t, made.Close())
			}
		}
	}
}

// everyMagnitude scales rows of k numbers of t to magnitudes that t has.
func everyMagnitude(t dtype.DType, x []float32, k int) {
	rng := rand.New(rand.NewPCG(7, uint64(t)))
	low := float64(math.Float32bits(float32(t.SmallestNormal())) >> 23)
	span := float64(math.Float32bits(float32(t.MaxFinite()))>>23) - low - 4
	for row := range slices.Chunk(x, k) {
		by := float32(math.Ldexp(1, int(low+span*rng.Float64())-127))
		for i := range row {
			row[i] = t.Round(row[i] * by)
		}
	}
}

func largest(row []float32) (most float64) {
	for _, v := range row {
		most = max(most, math.Abs(float64(v)))
	}
	return most
}

// TestApplyAllocatesNothing in Go, once a stream has met the layer.
func TestApplyAllocatesNothing(t *testing.T) {
	r := open(t)
	defer r.close()
	for _, recipe := range []quant.RecipeKind{quant.Int8TokenXPU, quant.Int8Token, quant.Exact} {
		f := form{bits: 4, group: 32, bias: true, n: 8, k: 64, m: 5, x: dtype.BF16, y: dtype.BF16, recipe: recipe}
		l, x := f.layer(t)
		made, _ := r.prepare(l, f)
		o := r.operands(made, x, f.m)
		apply := func() {
			err := made.Apply(r.stream, o.y, o.x, o.ws)
			if err == nil {
				err = r.stream.Sync(context.Background()) // a queue that grows is slow
			}
			if err != nil {
				t.Error(err)
			}
		}
		apply()
		require.Zero(t, testing.AllocsPerRun(200, apply), "%v", recipe)
		o.close(t)
		require.NoError(t, made.Close())
	}
}

// threads is how many the process has.
func threads(t testing.TB) int {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, after, _ := bytes.Cut(status, []byte("\nThreads:"))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	n, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	require.NoError(t, err)
	return n
}

// TestManyGoroutines apply one layer, each on a stream and on a thread of its
// own: right answers, and no team of threads for each of them.
func TestManyGoroutines(t *testing.T) {
	const goroutines = 8
	r := open(t)
	defer r.close()
	f := form{bits: 4, group: 32, n: 8, k: 64, m: 4, x: dtype.F16, y: dtype.F32, recipe: quant.Int8TokenXPU}
	l, x := f.layer(t)
	made, _ := r.prepare(l, f)
	o := r.operands(made, x, f.m)
	require.NoError(t, made.Apply(r.stream, o.y, o.x, o.ws))
	want := r.read(o)
	round := func(applies int) {
		var wg sync.WaitGroup
		for range goroutines {
			mine, st := r.operands(made, x, f.m), r.newStream()
			wg.Go(func() {
				runtime.LockOSThread()
				for range applies {
					if err := made.Apply(st, mine.y, mine.x, mine.ws); err != nil {
						t.Error(err)
					}
				}
				if err := st.Close(); err != nil {
					t.Error(err)
				}
			})
			defer func() {
				require.Equal(t, want, r.read(mine))
				mine.close(t)
			}()
		}
		wg.Wait()
	}
	round(2)
	before := threads(t)
	for range 4 {
		round(25)
	}
	require.LessOrEqual(t, threads(t), before+goroutines, "threads that came with more rounds")
	o.close(t)
	require.NoError(t, made.Close())
}
