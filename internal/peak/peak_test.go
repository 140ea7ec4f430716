package peak

import (
	"slices"
	"testing"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/internal/guardpage"
)

func TestUnits(t *testing.T) {
	names := map[string]bool{}
	for _, u := range Units() {
		require.False(t, names[u.Name], u.Name)
		wide := slices.Contains([]string{"amx", "amxbf16", "vnni", "fma512", "bf16"}, u.Name)
		require.Equal(t, wide, u.Wide, "%s: the clock that is its own", u.Name)
		names[u.Name] = true
		require.Positive(t, u.Ops, u.Name)
		require.Zero(t, u.Loop(0), u.Name)
		if len(u.Missing) > 0 {
			require.Zero(t, u.Loop(1000), "%s does nothing where %v is missing", u.Name, u.Missing)
			continue
		}
		for _, n := range []int{1, 24, 25, 1000} {
			did := u.Loop(n)
			require.GreaterOrEqual(t, did, n, u.Name)
			require.Less(t, did, n+u.each, u.Name)
		}
	}
}

func TestProbe(t *testing.T) {
	for _, wide := range []bool{false, true} {
		p := NewProbe(wide)
		require.Equal(t, probeTurn, p.Loop(1))
		require.Equal(t, 10*probeTurn, p.Loop(10*probeTurn))
		require.Equal(t, 32, p.Cycles(1))
		require.Equal(t, 32, p.Cycles(32))
		require.Equal(t, 64, p.Cycles(33))
		for _, b := range p.memory {
			require.Zero(t, b)
		}
	}
	require.False(t, NewProbe(false).run.wide)
	require.Equal(t, cpuid.CPU.Supports(cpuid.AVX512F, cpuid.FMA3), NewProbe(true).run.wide, "wide where the processor has it")
	read, probe := Loops()
	require.NotEmpty(t, read)
	require.NotEmpty(t, probe)
}

// Every loop stays inside its memory.
func TestMemory(t *testing.T) {
	for _, n := range []int{0, 1, 511, 512, 513, 4096, 5000} {
		require.Equal(t, n/512*512, Read(guardpage.End(t, n)))
		require.Equal(t, n/512*512, Read(guardpage.Begin(t, n)))
	}
	for _, l := range readers {
		if cpuid.CPU.Supports(l.needs...) {
			for _, n := range []int{512, 1024, 4096} {
				l.run(&guardpage.End(t, n)[0], uintptr(n))
				l.run(&guardpage.Begin(t, n)[0], uintptr(n))
			}
		}
	}
	for _, l := range probes {
		if cpuid.CPU.Supports(l.needs...) {
			l.busy(&guardpage.End(t, probeBytes)[0], 100)
			l.busy(&guardpage.Begin(t, probeBytes)[0], 100)
		}
	}
}

func TestRates(t *testing.T) {
	milan := Core{cpuid.AMD, 25, 1, false}
	require.Equal(t, "Zen 3", milan.Design())
	require.Equal(t, Rate{[]float64{2}, true}, milan.Rate("fma"))
	require.Equal(t, "Zen 4", Core{cpuid.AMD, 25, 17, false}.Design())
	require.Equal(t, "", Core{cpuid.AMD, 99, 0, false}.Design())
	require.Equal(t, unknown, Core{cpuid.AMD, 99, 0, false}.Rate("fma"))
	masked := Core{cpuid.Intel, 6, 167, true}
	require.Equal(t, "Sapphire Rapids or later", masked.Design(), "a hypervisor's number for the model")
	require.Equal(t, "", Core{cpuid.Intel, 6, 167, false}.Design())
	require.Equal(t, unknownTiles, Core{cpuid.Intel, 19, 1, true}.Rate("amx"))
	require.Equal(t, unknown, milan.Rate("vnni"), "a unit that the table does not know")

	known := map[string]bool{"i8mm": true, "dotprod": true, "neon": true}
	for _, c := range []string{"amx", "amxbf16", "vnni", "vnni256", "avxvnni", "maddubs", "maddubs-wd", "fma", "fma512", "bf16"} {
		known[c] = true
	}
	for i, d := range designs {
		for unit, rates := range d.rates {
			require.True(t, known[unit], "%s: %s", d.name, unit)
			require.NotEmpty(t, rates)
		}
		for _, m := range d.models {
			require.LessOrEqual(t, m[0], m[1])
			require.Equal(t, &designs[i], Core{d.vendor, d.family, m[0], false}.design(), "two designs have %v", m)
			require.Equal(t, &designs[i], Core{d.vendor, d.family, m[1], false}.design(), "two designs have %v", m)
		}
	}
}

func TestClosest(t *testing.T) {
	for _, c := range []struct {
		rates    []float64
		measured float64
		want     float64
		within   bool
	}{
		{[]float64{2}, 1.95, 2, true},
		{[]float64{2}, 1.93, 2, false},
		{[]float64{2}, 2.05, 2, true},
		{[]float64{2}, 2.07, 2, false}, // more than there can be: the clock was wrong
		{[]float64{1, 2}, 1.1, 1, false},
		{[]float64{1, 2}, 1.02, 1, true},
		{[]float64{1, 2}, 1.99, 2, true},
		{unknown.PerCycle, 0.51, 0.5, true},
		{unknown.PerCycle, 1.45, 2, false},
		{[]float64{2}, 0, 2, false},
		{nil, 1, 0, false},
	} {
		rate, within := Rate{PerCycle: c.rates}.Closest(c.measured, 0.03)
		require.Equal(t, c.want, rate, "%+v", c)
		require.Equal(t, c.within, within, "%+v", c)
	}
}
