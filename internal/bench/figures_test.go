package bench

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/peak"
	"github.com/bitlane/bitlane/quant"
)

func repeat(v float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestLimitFigures(t *testing.T) {
	l := Limit{Name: "fma", Ops: 16}
	w := &work{rate: peak.Rate{PerCycle: []float64{2}, Known: true}, threads: 1}
	l.set(w, &workOutcome{seconds: repeat(1e-9/6, 20), perCycle: repeat(2, 20), disturbed: 4}, 3e9)
	require.Equal(t, StateOK, l.State)
	require.InDelta(t, 96, l.P50, 1e-9) // 6e9 instructions of 16 operations
	require.InDelta(t, 96, l.P90, 1e-9)
	require.InDelta(t, 3, l.ClockGHz, 1e-9)
	require.Equal(t, 2.0, l.Expected)
	require.True(t, l.FromTable)
	require.Equal(t, 24, l.Samples)

	// A core that shares its ports is no limit, however steady it is.
	l = Limit{Name: "fma", Ops: 16}
	l.set(w, &workOutcome{perCycle: repeat(1.6, 20), offPeak: 20}, 3e9)
	require.Equal(t, StateUnstable, l.State)
	require.Contains(t, l.Why, "ports x clock")
	require.Equal(t, 1.6, l.PerCycle)
	require.Zero(t, l.P50)

	// Reading memory is not held to a clock.
	l = Limit{Name: readLimit}
	l.set(&work{}, &workOutcome{seconds: []float64{1e-10, 1e-10, 0.5e-10}}, 3e9)
	require.Equal(t, StateOK, l.State)
	require.InDelta(t, 10, l.P50, 1e-9)
	require.Greater(t, l.P90, l.P50)
	require.Zero(t, l.Expected)

	l = Limit{Name: readLimit}
	l.set(&work{}, &workOutcome{disturbed: 9}, 0)
	require.Equal(t, StateUnstable, l.State)
	require.Contains(t, l.Why, "all 9 samples")
}

func TestCellFigures(t *testing.T) {
	shape, form := Shape{4096, 4096}, Form{Bits: 4, Group: 128, Recipe: quant.Recipe{Kind: quant.Int8Group}, X: dtype.BF16}
	works := []work{{name: "kernel"}, {name: readLimit}, {name: "vnni"}}
	c := newCell(shape, form, 1, 2)
	require.EqualValues(t, 4096*4096/2+4096*32*2, c.Bytes)
	// 250 µs of 8.65 MB: 34.6 GB/s; reading does 40.
	o := outcome{clock: 3e9, pairs: [][]float64{repeat(1, 20), repeat(4000/40e9, 20), repeat(4000/8e9, 20)}, works: []workOutcome{
		{seconds: append(repeat(250e-6, 18), 200e-6, 200e-6, 200e-6), disturbed: 5},
		{seconds: repeat(1/40e9, 20)},
		{seconds: repeat(1/8e9, 20)},
	}}
	c.fill(&o, works, 128)
	require.Equal(t, StateOK, c.State)
	require.Equal(t, 26, c.Samples)
	require.Equal(t, 5, c.Dropped)
	require.Equal(t, 250e-6, c.P50)
	require.InDelta(t, 200e-6, c.P10, 1e-9)
	require.InDelta(t, 34.6, c.GBps, 0.01)
	require.InDelta(t, 134.2, c.Gops, 0.1)
	require.InDelta(t, 40, c.Read.Speed, 1e-6)
	require.InDelta(t, 8650752*4000/40e9, c.Read.Of, 1e-6)
	require.InDelta(t, 1024, c.Peak.Speed, 1e-6)
	require.InDelta(t, 2*4096*4096*4000/8e9/128, c.Peak.Of, 1e-6)
	require.Equal(t, "read", c.Bound)
	require.Equal(t, c.Read, c.bound())

	// More rows in the same time: the unit is what bounds.
	c = newCell(shape, form, 64, 2)
	c.fill(&o, works, 128)
	require.Equal(t, "peak", c.Bound)
	require.Equal(t, c.Peak, c.bound())

	// No unit, no share of it.
	c = newCell(shape, form, 1, 2)
	c.fill(&outcome{pairs: o.pairs[:2], works: o.works[:2]}, works[:2], 0)
	require.Nil(t, c.Peak)
	require.Equal(t, "read", c.Bound)

	// Shares of fewer pairs than samples must be are no figures to rely on.
	few := outcome{clock: 3e9, pairs: [][]float64{repeat(1, 20), repeat(4000/40e9, 2), repeat(4000/8e9, 3)}, works: o.works}
	c = newCell(shape, form, 1, 2)
	c.fill(&few, works, 128)
	require.Equal(t, StateOK, c.State)
	require.Equal(t, StateUnstable, c.Read.State)
	require.Equal(t, "pairs of samples that count: 2", c.Read.Why)
	require.Equal(t, StateOK, c.Peak.State)

	// A unit that was not ports × clock gives a share that says so.
	o.works[2].offPeak = 30
	c.fill(&o, works, 128)
	require.Equal(t, StateUnstable, c.Peak.State)

	c = newCell(shape, form, 1, 2)
	c.fill(&outcome{pairs: make([][]float64, 2), works: []workOutcome{{disturbed: 30}, {disturbed: 30}}}, works[:2], 0)
	require.Equal(t, StateDisturbed, c.State)
	require.Zero(t, c.P50)
	require.Nil(t, c.bound())
}

func TestTogetherAndCrowdFigures(t *testing.T) {
	o := outcome{pairs: [][]float64{repeat(1, 12), {1.2, 1.1, 1.3, 1.2}}, works: []workOutcome{{seconds: repeat(2e-4, 12), disturbed: 3}, {seconds: repeat(2.4e-4, 4)}}}
	g := Together{State: StateOK}
	g.fill(o)
	require.InDelta(t, 1.2, g.Gain, 1e-9)
	require.Equal(t, 2e-4, g.SecondsOne)
	require.Equal(t, 2.4e-4, g.SecondsEach)
	require.Equal(t, StateOK, g.State)
	require.Equal(t, 15, g.Samples)

	c := Crowd{State: StateOK}
	c.fill(o)
	require.InDelta(t, 1.2, c.Ratio, 1e-9)
	require.InDelta(t, 5000, c.All, 1e-6)

	none := outcome{pairs: make([][]float64, 2), works: []workOutcome{{disturbed: 9}, {disturbed: 9}}}
	g, c = Together{State: StateOK}, Crowd{State: StateOK}
	g.fill(none)
	c.fill(none)
	require.Equal(t, StateDisturbed, g.State)
	require.Equal(t, StateDisturbed, c.State)
	require.Zero(t, g.Gain+c.Ratio)
}

func TestUnitOf(t *testing.T) {
	units := []peak.Unit{{Name: "vnni", Type: "int8", Missing: []string{"AVX512VNNI"}}, {Name: "maddubs", Type: "int8"}, {Name: "fma", Type: "float32"}}
	for _, c := range []struct {
		kernel string
		kind   quant.RecipeKind
		bits   int
		tier   string
		want   string
	}{
		{"cpu_w4g_a8_vnni", quant.Int8Group, 4, "avx512-vnni", "vnni"},
		{"cpu_w4g_a8_avxvnni", quant.Int8Token, 4, "avx-vnni", "avxvnni"},
		{"cpu_w4g_a8_avx2", quant.Int8Token, 4, "avx2", "maddubs"},
		{"cpu_w8g_a8_avx2", quant.Int8Token, 8, "avx2", "maddubs-wd"},
		{"cpu_w4g_a16_avx2", quant.Exact, 4, "avx2", "fma"},
		{"cpu_w4g_a16_fma", quant.Exact, 4, "avx512-vnni", "fma512"},
		{"cpu_w4g_a16_fma", quant.Exact, 4, "avx2", "fma"},
		{"cpu_w4g_a16_vnni", quant.Exact, 4, "avx512-vnni", "fma512"},
		{"cpu_wx_a16_bf16", quant.Exact, 16, "avx512-bf16", "bf16"},
		{"cpu_w4g_a16_bf16_split", quant.Exact, 4, "avx512-bf16", "bf16"},
		{"cpu_w4g_a8_amx", quant.Int8Group, 4, "avx512-amx", "amx"},
		{"cpu_wx_a16_amx", quant.Exact, 16, "avx512-amx", "amxbf16"},
		{"cpu_w4g_a8_i8mm", quant.Int8Group, 4, "i8mm", "i8mm"},
		{"cpu_w4g_a16_dotprod", quant.Exact, 4, "dotprod", "neon"},
		{"cpu_w4g_a8_neon", quant.Int8Group, 4, "neon", ""},
		{"cpu_wxg_a8_go", quant.Int8Group, 4, "go", "maddubs"},
		{"cpu_wxg_a16_go", quant.Exact, 4, "go", "fma"},
		{"odd", quant.Exact, 4, "go", ""},
	} {
		require.Equal(t, c.want, unitOf(c.kernel, quant.Recipe{Kind: c.kind}, c.bits, c.tier, units), "%+v", c)
	}
}

// Reading that was much slower than in another trial is no limit.
func TestReadingThatFellBack(t *testing.T) {
	var r reached
	r.raise(17)
	r.hold(nil)
	quick, slow, other := Share{Speed: 14, State: StateOK}, Share{Speed: 9, State: StateOK}, Share{Speed: 9, State: StateUnstable, Why: "few"}
	for _, s := range []*Share{&quick, &slow, &other} {
		r.hold(s)
	}
	require.Equal(t, Share{Speed: 14, State: StateOK}, quick)
	require.Equal(t, Share{Speed: 9, State: StateUnstable, Why: "9 GB/s were read, 17 in other trials"}, slow)
	require.Equal(t, "few", other.Why)
	r.hold(&Share{Speed: 20, State: StateOK})
	require.Equal(t, reached(20), r)
}

// TestDeviceFigures has samples whose pairs have other medians than they have
// themselves.
func TestDeviceFigures(t *testing.T) {
	c := DeviceCell{Bytes: 6e9, Ops: 8e12}
	c.fill([]float64{2, 1, 4}, []float64{1, 3, 10}, []float64{1, 4, 6})
	require.Equal(t, 3, c.Samples)
	require.Equal(t, []float64{2, 3, 4}, []float64{c.P50, c.GBps, c.Tflops})
	require.Equal(t, 3.0, c.Copy)
	require.InDelta(t, 2.0, c.OfCopy, 1e-12)                              // of 3, 2 and 0.15
	require.Equal(t, []float64{4, 1.5}, []float64{c.DenseP50, c.OfDense}) // of 0.5, 4 and 1.5

	c = DeviceCell{Bytes: 1, Ops: 1}
	c.fill([]float64{1, 1, 1}, []float64{1, 1, 1}, nil)
	require.Zero(t, c.OfDense)
	require.Zero(t, c.DenseP50)
}
