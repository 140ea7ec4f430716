package linear

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

// roundedLayer has scales between least and most, both of which occur.
func roundedLayer(t testing.TB, bits int, least, most float64) *quant.Linear {
	const n, k = 40, 160
	l := &quant.Linear{Name: "rounded"}
	require.NoError(t, l.Weight.Reset(quant.Form{N: n, K: k, Bits: bits, Scales: dtype.F32, Zeros: true, Groups: uniform(t, k, 32)}))
	rng := rand.New(rand.NewPCG(uint64(bits), 1))
	codes := make([]uint8, k)
	for row := range n {
		for i := range codes {
			codes[i] = uint8(rng.IntN(1 << bits))
		}
		l.Weight.PackRow(row, codes)
		for g := range l.Weight.Groups().Count() {
			l.Weight.SetScale(row, g, float32(math.Exp(math.Log(least)+rng.Float64()*math.Log(most/least))))
			l.Weight.ZeroRow(row)[g] = int16(rng.IntN(1 << bits))
		}
	}
	l.Weight.SetScale(0, 0, float32(least))
	l.Weight.SetScale(0, 1, float32(most))
	return l
}

// TestRounding has scales that only the layer's one exponent brings into range,
// and wants weights rounded: without their part of the bound some y is off.
func TestRounding(t *testing.T) {
	for _, c := range []struct {
		x           dtype.DType
		least, most float64
	}{
		{dtype.F16, 1e-3, 2e-2}, {dtype.F16, 1e5, 3e6}, {dtype.F16, 1e-20, 1e-18},
		{dtype.BF16, 1e-3, 2e-2}, {dtype.BF16, 1e20, 1e22}, {dtype.BF16, 1e-32, 1e-12},
	} {
		for _, bits := range []int{2, 3, 4, 5, 8} {
			l := roundedLayer(t, bits, c.least, c.most)
			r := open(t, interpreter, backend.OpenOptions{Tuning: backend.Tuned{streamRows: 2, roundedRows: 3, expandedBytes: 1 << 15}})
			layer, k := r.prepare(l, c.x, dtype.F32, 5, "_rounded")
			o := r.operands(layer, 5, 0, 0)
			rng := rand.New(rand.NewPCG(3, uint64(bits)))
			x := make([]float32, 5*160)
			for i := range x {
				x[i] = c.x.Round(float32(rng.NormFloat64()))
			}
			r.put(o.x, x)
			require.NoError(t, layer.Apply(r.stream, o.y, o.x, o.workspace))
			y := r.get(r.stream, o.y)
			o.close(t)
			require.NoError(t, layer.Close())
			r.close()
			ref, err := reference.Run(l, layer.Spec().Recipe, c.x, x, 5)
			require.NoError(t, err)
			n := k.Numerics(layer.Spec())
			bound := reference.Bound{Depth: n.Depth, WeightRound: n.WeightRound, FlushBelow: n.FlushBelow}
			exact := bound
			exact.WeightRound = 0
			off := 0
			for i, v := range y {
				require.True(t, ref.Accept(i/40, i%40, v, dtype.F32, bound), "w%d, x %v, scales %g to %g: y[%d,%d] is %v, want %v ± %v",
					bits, c.x, c.least, c.most, i/40, i%40, v, ref.Y[i], ref.Bound(i/40, i%40, bound))
				if !ref.Accept(i/40, i%40, v, dtype.F32, exact) {
					off++
				}
			}
			if n.FlushBelow > c.least {
				continue // what y may lose to a subnormal x hides it
			}
			require.Greater(t, off, len(y)/2, "w%d, x %v, scales %g to %g: weights are not rounded", bits, c.x, c.least, c.most)
		}
	}
}

// TestRoundedScales refuses scales of which a weight would be subnormal, or
// which no exponent brings into range.
func TestRoundedScales(t *testing.T) {
	find := func(name string) backend.Kernel {
		for _, k := range Kernels() {
			if k.Name() == name {
				return k
			}
		}
		require.Fail(t, "no kernel", name)
		return nil
	}
	for _, c := range []struct {
		x           dtype.DType
		least, most float64
		want        string // of the refusal; "": accepted
	}{
		{dtype.F16, 0x1p-14, 0x1p11, ""}, // |u - z| up to 15: e = 0
		{dtype.F16, 0x1p-14, 0x1.8p10, ""},
		{dtype.F16, 0x1.fp-15, 0x1p11, "no weight becomes a subnormal float16"},
		{dtype.F16, 1e-30, 1e-3, "no weight becomes a subnormal float16"},
		{dtype.BF16, 1e-30, 1e-3, ""},
		{dtype.BF16, 0x1p-126, 1, "no weight becomes a subnormal bfloat16"},
		{dtype.BF16, 1e38, 1e38, "weights that float32 can hold"},
		{dtype.F16, 0x1p-140, 0x1p-140, "weights that float32 can hold"},
	} {
		s, err := backend.NewSpec(roundedLayer(t, 4, c.least, c.most), backend.Request{X: c.x, MaxRows: 2000})
		require.NoError(t, err)
		info := backend.DeviceInfo{Family: "cuda"}
		require.Nil(t, find("cuda_w4g_a16_mma").Supports(info, s))
		r := find("cuda_w4g_a16_mma_rounded").Supports(info, s)
		if c.want == "" {
			require.Nil(t, r, "%v, %g to %g", c.x, c.least, c.most)
			continue
		}
		require.NotNil(t, r, "%v, %g to %g", c.x, c.least, c.most)
		require.ErrorContains(t, r, c.want)
		require.Contains(t, r.Error(), "scales")
	}
}

// TestPoints moves every point to both of its ends, where all others let rows
// come to it, and looks at which kernels run.
func TestPoints(t *testing.T) {
	c := small()
	c.m, c.n, c.k = 70, 130, 1056
	l, x := c.layer(t, true)
	launches := map[string]int{}
	for _, p := range Points() {
		require.True(t, p.Least <= p.Value && p.Value <= p.Most && p.What != "" && strings.ToLower(p.Name) == p.Name, p)
		for _, v := range []int{p.Least, p.Most} {
			tuning := backend.Tuned{streamRows: 0, roundedRows: 1, expandedBytes: 1 << 17}
			tuning[p.Name] = v
			want := []string{"expand", "tile"}
			if p.Name == streamRows && v == p.Most {
				want = []string{"stream"}
			}
			if p.Name == roundedRows && v == p.Most {
				want = []string{"tile"}
			}
			t.Run(tuning.String(), func(t *testing.T) {
				d := newStandin()
				d.sms = 1
				r := open(t, d, backend.OpenOptions{Tuning: tuning})
				require.Equal(t, tuning, r.dev.Info().Tuning)
				layer, _ := r.prepare(l, c.x, c.y, c.m, "_rounded")
				o := r.operands(layer, c.m, 0, 0)
				var got []string
				d.launched = func(f string, launch *driver.Launch) error {
					got = append(got, family(f))
					launches[family(f)]++
					return nil
				}
				require.NoError(t, layer.Apply(r.stream, o.y, o.x, o.workspace))
				require.Equal(t, want, slices.Compact(got[:min(len(got), len(want))]))

				r = open(t, interpreter, backend.OpenOptions{Tuning: tuning})
				layer, _ = r.prepare(l, c.x, c.y, c.m, "_rounded")
				o = r.operands(layer, c.m, 0, 0)
				r.put(o.x, x)
				require.NoError(t, layer.Apply(r.stream, o.y, o.x, o.workspace))
				exactly(t, c, l, x, r.get(r.stream, o.y))
				o.close(t)
				require.NoError(t, layer.Close())
				r.close()
			})
		}
	}
	require.Greater(t, launches["expand"], 8, "weights are expanded in several parts")
}
