package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/bench"
	"github.com/bitlane/bitlane/quant"
)

// benchOptions parses a command line of bench.
func benchOptions(t *testing.T, args ...string) (bench.Options, error) {
	t.Helper()
	f := &benchFlags{flags: newFlags(&env{}, "bench")}
	f.register()
	_, err := f.parse(args)
	require.NoError(t, err)
	return f.options()
}

func TestBenchOptions(t *testing.T) {
	o, err := benchOptions(t)
	require.NoError(t, err)
	require.Len(t, o.Shapes, 8, "4096x4096, and what llama-8b and qwen-7b have beside it")
	require.Equal(t, []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}, o.Rows)
	require.Equal(t, []int{1}, o.SetRows)
	require.Equal(t, []int{1, 16}, o.CallerRows)
	require.Equal(t, 1, o.Threads[0])
	require.Len(t, o.Forms, 2)

	o, err = benchOptions(t, "--bits", "4,8,16", "--group", "32,channel", "--activations", "exact,int8-group", "--dtype", "f16,f32", "--m", "3", "--zeros", "--callers", "8")
	require.NoError(t, err)
	require.Len(t, o.Forms, 2*2*2*2+2, "plain weights have neither groups nor recipes")
	require.Contains(t, o.Forms, bench.Form{Bits: 8, Group: -1, Zeros: true, Recipe: quant.Recipe{Kind: quant.Int8Group}, X: dtype.F16})
	require.Contains(t, o.Forms, bench.Form{Bits: 16, Group: -1, X: dtype.F32})
	require.Equal(t, []int{3}, o.SetRows)
	require.Equal(t, []int{3}, o.CallerRows)
	require.Equal(t, 8, o.Callers)
}

func TestBenchUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--shapes gpt":                    "llama-8b",
		"--shapes 4096":                   "KxN",
		"--shapes 0x4096":                 "--shapes: \"0x4096\": K is 0, want 1 to 1073741824",
		"--shapes 4096x-1":                "--shapes: \"4096x-1\": N is -1, want 1 to 1073741824",
		"--shapes 2000000000x1":           "K is 2000000000, want 1 to 1073741824",
		"--shapes 1x99999999999999999999": "N is 99999999999999999999, want 1 to 1073741824",
		"--shapes 64x64,1073741824x1073741824 --bits 8,4":         "--shapes: 1073741824x1073741824 with 8 bits and 512 rows needs at least 2.31e+06 TB, and cpu:0 has ",
		"--shapes 1073741824x1073741824 --device cuda-emulated:0": "--shapes: 1073741824x1073741824 with 4 bits and 4096 rows needs at least ",
		"--m 0":                        "--m",
		"--m 65537":                    "--m",
		"--bits 1":                     "--bits is \"1\", want numbers from 2 to 8, or 16 for plain weights",
		"--bits 9":                     "--bits is \"9\", want numbers from 2 to 8, or 16 for plain weights",
		"--bits x":                     "--bits is \"x\", want numbers from 2 to 8, or 16 for plain weights",
		"--group 0":                    "--group",
		"--activations int4-flatquant": "transform",
		"--activations exact,int8-token --bits 16": "--activations int8-token is of no use with --bits 16: plain weights are always exact",
		"--activations int8-token --limits":        "--activations is of no use with --limits alone, which measures no layers",
		"--limits --shapes 64x64":                  "--shapes is of no use with --limits alone",
		"--activations int9":                       "--activations",
		"--dtype int8":                             "--dtype",
		"--threads 0":                              "--threads",
		"--tune tile-rows=1":                       "--tune is for --device",
		"--tune tile-rows":                         "want NAME=VALUE",
		"--threads 100000":                         fmt.Sprintf("--threads is \"100000\", want numbers from 1 to %d", len(bench.Cores())),
		"--cpus 0,0":                               "twice",
		"--cpus 60000":                             "may not use CPU 60000",
		"--kernels cpu_w4g_a8_cuda":                "--kernels",
		"--callers 1":                              "--callers",
		"--time 0s":                                "--time",
		"--groups --shapes 64x64":                  "model",
		"--svg /no/such/directory/at/all":          "--svg",
		"stray":                                    "stray",
	} {
		code, out, errs := program(t, append([]string{"bench"}, strings.Fields(args)...)...)
		require.Equal(t, exitUsage, code, "%s\n%s%s", args, out, errs)
		require.Contains(t, errs, want, args)
	}
}

// What memory cannot hold is refused by the layer that needs the most of it.
func TestBenchFits(t *testing.T) {
	f := &benchFlags{flags: newFlags(&env{}, "bench")}
	f.register()
	dev := hostmem.New(backend.DeviceInfo{Backend: "host", ID: "0"}, backend.OpenOptions{MemoryLimit: 1 << 20})
	o := &bench.Options{Rows: []int{1, 8}, Shapes: []bench.Shape{{K: 64, N: 64}, {K: 1024, N: 1000}}, Forms: []bench.Form{{Bits: 4, X: dtype.BF16}}}
	require.NoError(t, f.fits(dev, o, 1))
	const what = "1024x1000 with 4 bits and 8 rows needs at least 1.06 MB, and host:0 has 1.05 MB free"
	require.EqualError(t, f.fits(dev, o, 2), "of the shapes that are measured without --shapes, "+what+": give smaller ones, or fewer rows with --m")
	f.shapes = deviceShapes // as they are filled in for a device
	require.ErrorContains(t, f.fits(dev, o, 2), "without --shapes")
	_, err := f.parse([]string{"--shapes", "64x64,1024x1000"})
	require.NoError(t, err)
	require.EqualError(t, f.fits(dev, o, 2), "--shapes: "+what)
}

// bench prints what its package measures, in both forms; figures are checked
// there, on times that are invented.
func TestBenchPrints(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "roofline.svg")
	args := []string{"bench", "--shapes", "64x32", "--m", "1,2", "--threads", "1", "--time", "1ms", "--kernels", "cpu_wxg_a16_go", "--activations", "exact"}
	code, out, errs := program(t, append(args, "--json", "--svg", picture)...)
	require.Contains(t, []int{exitOK, exitFailed}, code, "failed where other work disturbs the cores")
	require.Empty(t, errs)
	var r bench.Report
	dec := json.NewDecoder(bytes.NewReader([]byte(out)))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&r))
	require.True(t, r.Complete)
	require.Len(t, r.Cells, 2)
	require.Equal(t, r.OK(), code == exitOK)
	require.Equal(t, []int{1, 2}, []int{r.Cells[0].M, r.Cells[1].M})
	svg, err := os.ReadFile(picture)
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(svg, []byte("<svg ")))

	code, out, errs = program(t, args...)
	require.Contains(t, []int{exitOK, exitFailed}, code)
	require.Empty(t, errs)
	for _, want := range []string{"limit", "read-small-pages", "K x N", "64x32", "cpu_wxg_a16_go"} {
		require.Contains(t, out, want)
	}
	require.Less(t, strings.Index(out, "read-small-pages"), strings.Index(out, "K x N"), "limits come first")
	require.Equal(t, code == exitFailed, strings.Contains(out, "\nnot all that was asked for is there: "))

	code, out, errs = program(t, "bench", "--shapes", "64x32", "--m", "1", "--threads", "1", "--time", "1ms", "--kernels", "cpu_wxg_a16_go", "--bits", "16")
	require.Equal(t, exitFailed, code)
	require.Empty(t, errs)
	require.True(t, strings.HasSuffix(out, "\nnot all that was asked for is there: 1 of 1 rows not measured\n"), out)
}

func TestBenchInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errs bytes.Buffer
	code := dispatch(ctx, &env{stdout: &out, stderr: &errs}, []string{"bench", "--shapes", "64x32", "--threads", "1"})
	require.Equal(t, exitInterrupted, code, errs.String())
}

func TestBenchOfADevice(t *testing.T) {
	args := []string{"bench", "--device", "cuda-emulated:0", "--shapes", "64x40", "--m", "1,3", "--bits", "4,8", "--dtype", "float16", "--time", "1ms"}
	code, out, errs := program(t, args...)
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, out, "cuda_w4g_a16_mma")
	require.Contains(t, out, "graph")
	require.Contains(t, out, "copies moved")
	require.Contains(t, out, "of dense")

	code, out, errs = program(t, append(args, "--json")...)
	require.Equal(t, exitOK, code, errs)
	var report bench.DeviceReport
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.True(t, report.OK())
	require.Len(t, report.Cells, 4)
	require.Positive(t, report.CopyGBps)
	for _, c := range report.Cells {
		require.Positive(t, c.P50)
		require.Equal(t, "dense product in Go, eight sums", c.Dense)
		require.Positive(t, c.DenseP50)
		require.Positive(t, c.OfDense)
		require.True(t, c.Graph)
		require.Zero(t, c.Applies%c.Copies, "a sample is whole turns of the copies")
	}

	code, out, _ = program(t, "bench", "--device", "cuda-emulated:0", "--shapes", "64x40", "--dtype", "float32", "--m", "1", "--time", "1ms")
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, "x type is float32")
	require.True(t, strings.HasSuffix(out, "\nnot all that was asked for is there: 1 of 1 rows not measured\n"), out)
	for _, wrong := range [][]string{{"--device", "cuda-emulated:0", "--threads", "1"}, {"--device", "cuda-emulated:0", "--limits"}} {
		code, _, errs = program(t, append([]string{"bench"}, wrong...)...)
		require.Equal(t, exitUsage, code)
		require.Contains(t, errs, "is for the processor")
	}
	code, _, errs = program(t, "bench", "--device", "cuda:7")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, absence(t, "cuda"))
}
