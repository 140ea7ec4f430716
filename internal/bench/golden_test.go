package bench

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "go test ./internal/bench -update rewrites the golden files")
}

// invented is a report with one of everything, with figures that nobody
// measured.
func invented() *Report {
	r := &Report{
		Device: backend.DeviceInfo{Backend: "cpu", Family: "cpu", ID: "0", Name: "Invented <processor>", Arch: "amd64", Tier: "avx512-vnni", Memory: "2 MiB pages", Units: 2},
		Core:   CoreInfo{Vendor: "AMD", Family: 25, Model: 17, Design: "Zen 4"},
		CPUs:   []int{0, 2}, Bound: true, Cache: 32 << 20, Probe: "fma from L1", Budget: 0.4,
		Warnings: []string{"a warning"}, Complete: true,
	}
	for _, threads := range []int{1, 2} {
		f := float64(threads)
		r.Limits = append(r.Limits,
			Limit{Name: readLimit, What: "huge pages, 64-byte loads", Unit: "GB/s", Threads: threads, P50: 35.4 * f, P90: 36 * f, ClockGHz: 3.69, State: StateOK, Samples: 50, Disturbed: 2},
			Limit{Name: readSmallLimit, What: "small pages, 64-byte loads", Unit: "GB/s", Threads: threads, P50: 28 * f, P90: 29 * f, ClockGHz: 3.69, State: StateOK, Samples: 50},
			Limit{Name: "vnni", What: "vpdpbusd zmm", Unit: "GOP/s", Threads: threads, P50: 472 * f, P90: 473 * f, PerCycle: 0.999, Expected: 1, FromTable: true, ClockGHz: 3.69, State: StateOK, Samples: 50, Ops: 128},
			Limit{Name: "fma", What: "vfmadd231ps ymm", Unit: "GFLOP/s", Threads: threads, P50: 118 * f, P90: 118 * f, PerCycle: 2, Expected: 2, ClockGHz: 3.69, State: StateOK, Samples: 50, Ops: 16},
			Limit{Name: "avxvnni", What: "vpdpbusd ymm, VEX", Unit: "GOP/s", Threads: threads, State: StateMissing, Why: "the processor lacks AVXVNNI", Ops: 64},
			Limit{Name: "bf16", What: "vdpbf16ps zmm", Unit: "GFLOP/s", Threads: threads, PerCycle: 0.8, Expected: 1, FromTable: true, ClockGHz: 3.69, State: StateUnstable, Why: "50 of 50 samples between quiet probes were not ports x clock within 3 %", Samples: 50, OffPeak: 50, Ops: 64})
		for _, m := range []int{1, 8, 64, 512} {
			for _, scheme := range []string{"int8-group", "exact"} {
				seconds := max(250e-6/f, float64(m)*75e-6/f)
				kernel, limit, peak := "cpu_w4g_a8_vnni", "vnni", 472*f
				if scheme == "exact" {
					seconds *= 1.3
					kernel, limit, peak = "cpu_w4g_a16_bf16", "bf16", 236*f
				}
				ops, size := 2*4096*4096*float64(m), int64(8650752)
				c := Cell{
					Shape: "4096x4096", K: 4096, N: 4096, M: m, Bits: 4, Group: 128, Activations: scheme, DType: "bfloat16", Scheme: "w4 g128 sym, " + scheme,
					Kernel: kernel, Threads: threads, Copies: 16, Cold: true, Bytes: size, Ops: ops, P50: seconds, P10: seconds * 0.98,
					GBps: float64(size) / seconds / 1e9, Gops: ops / seconds / 1e9, ClockGHz: 3.69, Samples: 40, Dropped: 1, State: StateOK,
				}
				c.Read = &Share{Limit: readLimit, Speed: 35.4 * f, Of: c.GBps / (35.4 * f), Pairs: 39, State: StateOK}
				c.Peak = &Share{Limit: limit, Speed: peak, Of: c.Gops / peak, Pairs: 39, State: StateOK}
				if limit == "bf16" {
					c.Peak.State, c.Peak.Why = StateUnstable, "30 of 39 samples between quiet probes were not ports x clock within 3 %"
				}
				c.Bound = "read"
				if c.Peak.Of > c.Read.Of {
					c.Bound = "peak"
				}
				r.Cells = append(r.Cells, c)
			}
		}
	}
	r.Cells = append(r.Cells,
		Cell{Shape: "4096x1024", K: 4096, N: 1024, M: 1, Bits: 4, Group: 128, Activations: "exact", DType: "bfloat16", Scheme: "w4 g128 sym, exact", Kernel: "cpu_w4g_a16_bf16", Threads: 2, Copies: 16, Cold: true, Samples: 40, Dropped: 40, State: StateDisturbed, Why: fewText},
		Cell{Shape: "4096x1024", K: 4096, N: 1024, Bits: 8, Group: 128, Activations: "exact", DType: "bfloat16", Kernel: "cpu_w4g_a16_bf16", Threads: 2, State: StateFailed, Why: "refused"})
	r.Together = []Together{
		{Set: "llama-8b q/k/v", Shapes: []string{"4096x4096", "4096x1024", "4096x1024"}, M: 1, Scheme: "w4 g128 sym, int8-group", DType: "bfloat16", Kernel: "cpu_w4g_a8_vnni", Threads: 2, SecondsOne: 190e-6, SecondsEach: 202e-6, Gain: 1.063, Pairs: 40, Samples: 40, State: StateOK},
		{Set: "llama-8b gate/up", DType: "bfloat16", Kernel: "cpu_w4g_a8_vnni", Threads: 2, State: StateFailed, Why: "out of memory"},
	}
	r.Crowds = []Crowd{
		{Shape: "4096x4096", M: 16, Scheme: "w4 g128 sym, int8-group", DType: "bfloat16", Kernel: "cpu_w4g_a8_vnni", Threads: 2, Callers: 8, One: 830, All: 812, Ratio: 0.978, Pairs: 16, Samples: 16, State: StateOK},
		{Shape: "4096x1024", DType: "bfloat16", Kernel: "cpu_w4g_a8_vnni", Threads: 2, Callers: 8, State: StateFailed, Why: "out of memory"},
	}
	return r
}

func TestGoldenJSON(t *testing.T) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	r := invented()
	r.Limits, r.Cells = r.Limits[:6], append(r.Cells[:2:2], r.Cells[len(r.Cells)-2:]...)
	require.NoError(t, enc.Encode(r))
	golden(t, "report.json", b.Bytes())
	require.False(t, r.OK())
	r.Cells, r.Together, r.Crowds = r.Cells[:2], r.Together[:1], r.Crowds[:1]
	require.True(t, r.OK())
	r.Complete = false
	require.False(t, r.OK())
}

func TestGoldenText(t *testing.T) {
	var b bytes.Buffer
	r := invented()
	p := &Printer{W: &b}
	w := p.Watcher()
	w.Begin(r)
	for _, threads := range threadsOf(r) {
		var limits []Limit
		for _, l := range r.Limits {
			if l.Threads == threads {
				limits = append(limits, l)
			}
		}
		w.Limits(limits)
		for i := range r.Cells {
			if r.Cells[i].Threads == threads {
				w.Cell(&r.Cells[i])
			}
		}
	}
	for i := range r.Together {
		w.Together(&r.Together[i])
	}
	for i := range r.Crowds {
		w.Crowd(&r.Crowds[i])
	}
	p.End(r)
	golden(t, "report.txt", b.Bytes())

	// The last line says why a report is not OK; of one that is there is none.
	b.Reset()
	r.Cells, r.Together, r.Crowds, r.Warnings = r.Cells[:1], nil, nil, nil
	(&Printer{W: &b}).End(r)
	require.Empty(t, b.String())
	(&DeviceReport{Cells: []DeviceCell{{State: StateOK}, {State: StateFailed}}}).End(&b)
	require.Equal(t, "\nnot all that was asked for is there: 1 of 2 rows not measured\n", b.String())
}

func TestGoldenSVG(t *testing.T) {
	for name, r := range map[string]*Report{"roofline.svg": invented(), "roofs.svg": {Limits: invented().Limits[:4]}, "nothing.svg": {}} {
		svg := SVG(r)
		for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
			if _, err := d.Token(); err != nil {
				require.True(t, errors.Is(err, io.EOF), "%s: %v", name, err)
				break
			}
		}
		require.NotContains(t, string(svg), "NaN")
		require.NotContains(t, string(svg), "Inf")
		golden(t, name, svg)
	}
}
