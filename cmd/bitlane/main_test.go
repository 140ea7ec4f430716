package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const bundled = "../../testdata/"

// program runs one command line and returns its exit status and output.
func program(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = dispatch(context.Background(), &env{stdout: &out, stderr: &err}, args)
	return code, out.String(), err.String()
}

// checkpoints lists the bundled checkpoints that are right, or right but mislabelled; where everything
// is slower, some of them.
func checkpoints(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(bundled + "*/*.safetensors")
	require.NoError(t, err)
	seen := map[string]bool{}
	var dirs []string
	for _, f := range found {
		if d := filepath.Dir(f); !seen[d] {
			seen[d] = true
			dirs = append(dirs, d)
		}
	}
	require.GreaterOrEqual(t, len(dirs), 10)
	if !testing.Short() {
		return dirs
	}
	var some []string
	for i := 0; i < len(dirs); i += 5 {
		some = append(some, dirs[i])
	}
	return some
}

func TestRunAcceptsEveryBundledCheckpoint(t *testing.T) {
	for _, dir := range checkpoints(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			code, out, errs := program(t, "run", dir, "--tokens", "1,3", "--json")
			require.Equal(t, exitOK, code, errs+out)
			var r runReport
			require.NoError(t, json.Unmarshal([]byte(out), &r))
			require.NotEmpty(t, r.Layers)
			require.Equal(t, 2*len(r.Layers), r.Summary.Accepted)
			require.Positive(t, r.Summary.Worst)
			require.Less(t, r.Summary.Worst, 1.0)
		})
	}
}

func TestRunAcceptsEveryRecipe(t *testing.T) {
	for _, recipe := range []string{"exact", "int8-token", "int8-token-asym", "int8-token-xpu", "int8-token-ascend", "int4-token-ascend", "int8-group", "int8-group/32"} {
		for _, typ := range []string{"float32", "float16", "bfloat16"} {
			code, out, errs := program(t, "run", bundled+"gptq-w8-actorder", "--tokens", "2", "--activations", recipe, "--dtype", typ)
			require.Equal(t, exitOK, code, "%s %s\n%s%s", recipe, typ, errs, out)
			require.Contains(t, out, "all within the error bound")
			require.Contains(t, out, recipe)
		}
	}
}

// TestRunFromACache: the second run takes every layer from the directory and computes the same.
func TestRunFromACache(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "cache")
	for _, dir := range checkpoints(t) {
		var runs [2]runReport
		for i := range runs {
			code, out, errs := program(t, "run", dir, "--tokens", "3", "--tp", "0/2", "--tp-axis", "n", "--cache", cache, "--json")
			require.Equal(t, exitOK, code, errs+out)
			require.NoError(t, json.Unmarshal([]byte(out), &runs[i]))
		}
		require.Zero(t, runs[0].Summary.Restored, dir)
		require.Equal(t, len(runs[1].Layers), runs[1].Summary.Restored, dir)
		require.Equal(t, runs[0].Summary.Worst, runs[1].Summary.Worst, dir)
		require.Equal(t, runs[0].Findings, runs[1].Findings, dir)
	}
	var out string
	for range 2 {
		var code int
		code, out, _ = program(t, "run", bundled+"gptq-w4-g128", "--tokens", "1", "--tp", "0/2", "--tp-axis", "n", "--cache", cache)
		require.Equal(t, exitOK, code)
	}
	require.Regexp(t, "layers from "+regexp.QuoteMeta(cache)+" in [0-9.]+ .?s, 0 packed in 0 us", out)
	code, _, errs := program(t, "run", bundled+"gptq-w4-g128", "--cache", filepath.Join(bundled+"gptq-w4-g128", "config.json"))
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "--cache: ")
	for i := range 2 {
		code, out, errs := program(t, "run", bundled+"modelslim-w4a4-flatquant", "--cache", cache, "--fused", "--tokens", "1", "--layer", "*gate_up_proj", "--tp", "1/5", "--json")
		require.Equal(t, exitOK, code, errs)
		var r runReport
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.NotEmpty(t, r.Layers)
		require.Equal(t, i*len(r.Layers), r.Summary.Restored)
	}
}

func TestRunOneRank(t *testing.T) {
	for _, axis := range []string{"auto", "n", "k"} {
		for _, tp := range []string{"0/3", "2/3"} {
			code, out, errs := program(t, "run", bundled+"gptq-w8-actorder", "--tokens", "2", "--tp", tp, "--tp-axis", axis)
			require.Equal(t, exitOK, code, errs+out)
		}
	}
}

// The output of a run is stable but for times and the machine: of the
// processor's kernels it has those in plain Go, whose workspace is as large as the
// machine has processors.
func TestGolden(t *testing.T) {
	t.Setenv("BITLANE_CPU", "go")
	machine := regexp.MustCompile(`"(seconds|weight_gbps|over_bound|worst_over_bound)": [-+.e0-9]+`)
	workspace := regexp.MustCompile(`("kernel": "cpu_.*\s*"note": ".*workspace) [0-9]+ bytes`)
	for name, args := range map[string][]string{
		"run":     {"run", bundled + "ctensors-w4a8", "--tokens", "1,2", "--json"},
		"inspect": {"inspect", bundled + "gptq-mislabelled-v1", "--verify", "--json"},
		"explain": {"explain", bundled + "gptq-w4-g128", "model.layers.0.mlp.down_proj", "--json"},
	} {
		t.Run(name, func(t *testing.T) {
			_, out, errs := program(t, args...)
			require.Empty(t, errs)
			var v map[string]any
			require.NoError(t, json.Unmarshal([]byte(out), &v))
			delete(v, "device")
			if list, ok := v["backends"].([]any); ok {
				for _, r := range list {
					delete(r.(map[string]any), "device")
					delete(r.(map[string]any), "reason") // differs with build tags
					r.(map[string]any)["verdicts"] = slices.DeleteFunc(r.(map[string]any)["verdicts"].([]any), func(v any) bool {
						name := v.(map[string]any)["kernel"].(string)
						return strings.HasPrefix(name, "cpu_") && !strings.HasSuffix(name, "_go")
					})
				}
			}
			got, err := json.MarshalIndent(v, "", "  ")
			require.NoError(t, err)
			got = append(machine.ReplaceAll(got, []byte(`"$1": 0`)), '\n')
			got = workspace.ReplaceAll(got, []byte("$1 some bytes"))
			golden := filepath.Join("testdata", name+".json")
			if *update {
				require.NoError(t, os.WriteFile(golden, got, 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got), "go test ./cmd/bitlane -update rewrites the golden files")
		})
	}
}

func TestInspectFindsTheMislabelledFile(t *testing.T) {
	for _, dir := range []string{"gptq-mislabelled-v1", "gptq-mislabelled-v2"} {
		code, out, errs := program(t, "inspect", bundled+dir, "--verify")
		require.Equal(t, exitFailed, code, errs)
		require.Contains(t, out, "looks wrong: ")
		require.Contains(t, out, "qzeros")
	}
	code, out, errs := program(t, "inspect", bundled+"gptq-w4-g128", "--verify")
	require.Regexp(t, `read and decoded [0-9.]+ [kM]B in .*, .*B/s on one thread`, out)
	require.Equal(t, exitOK, code, errs+out)
	require.Contains(t, out, "nothing looks wrong")
}

// absence returns why a backend has no device here: build tags, cgo and the
// machine's libraries decide.
func absence(t *testing.T, name string) string {
	t.Helper()
	_, out, _ := program(t, "devices", "--json")
	var v struct{ Backends []backendReport }
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	for _, b := range v.Backends {
		if b.Backend == name {
			require.NotEmpty(t, b.Reason)
			return b.Reason
		}
	}
	t.Fatalf("no backend %q", name)
	return ""
}

func TestExplainNamesEveryBackend(t *testing.T) {
	code, out, errs := program(t, "explain", bundled+"gptq-w4-g128", "model.layers.0.mlp.down_proj", "--tp", "1/2")
	require.Equal(t, exitOK, code, errs)
	for _, want := range []string{"chosen", "refused", "cuda", "rocm", "npu", "xpu", absence(t, "cuda"), "part of"} {
		require.Contains(t, out, want)
	}
	code, out, _ = program(t, "explain", bundled+"gptq-w4-g128", "lm_head", "--device", "cpu", "--kernel", "cpu_wx_a16_go")
	require.Equal(t, exitOK, code)
	all, _, errs := program(t, "explain", bundled+"gptq-w4-g128", "lm_head", "--device", "")
	require.Equal(t, exitOK, all, errs)
	require.Regexp(t, `cpu_wx_a16_go +chosen`, out)
	code, _, _ = program(t, "explain", bundled+"gptq-w4-g128", "model.layers.0.mlp.down_proj", "--device", "cuda")
	require.Equal(t, exitFailed, code, "no kernel of that backend fits")
}

func TestDevices(t *testing.T) {
	code, out, errs := program(t, "devices", "--json")
	require.Equal(t, exitOK, code, errs)
	var v struct{ Backends []backendReport }
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	byName := map[string]backendReport{}
	for _, b := range v.Backends {
		byName[b.Backend] = b
	}
	require.NotEmpty(t, byName["cpu"].Devices)
	require.NotEmpty(t, byName["cpu"].Kernels)
	for _, name := range []string{"cuda", "rocm", "npu", "xpu"} {
		require.Empty(t, byName[name].Devices)
		require.NotEmpty(t, byName[name].Reason)
	}
	memory := byName["cpu"].Devices[0].Memory
	require.Regexp(t, `^(\d+ MiB pages( \(reserved\))?|normal pages \(.+\))$`, memory)
	code, out, _ = program(t, "devices")
	require.Equal(t, exitOK, code)
	require.Contains(t, out, "cpu:0")
	require.Contains(t, out, ", "+memory)
}

func TestRandomInputIsAPrefixOfMoreRows(t *testing.T) {
	a, b := randomInput(7, "layer", 2, 100, dtype.BF16), randomInput(7, "layer", 5, 100, dtype.BF16)
	require.Equal(t, a, b[:200])
	require.NotEqual(t, a, randomInput(8, "layer", 2, 100, dtype.BF16))
}

func TestWrongCommandLines(t *testing.T) {
	dir := bundled + "gptq-w4-g128"
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "bitlane run DIR"},
		{[]string{"fly"}, exitUsage, `no command "fly"`},
		{[]string{"run"}, exitUsage, "DIR is missing"},
		{[]string{"run", ""}, exitUsage, "DIR is empty"},
		{[]string{"run", dir, "more"}, exitUsage, `unexpected argument "more"`},
		{[]string{"help", "fly"}, exitUsage, `no command "fly"`},
		{[]string{"run", dir, "--tokens", "0"}, exitUsage, "--tokens"},
		{[]string{"run", dir, "--tokens", "x"}, exitUsage, "--tokens"},
		{[]string{"run", dir, "--dtype", "int8"}, exitUsage, "int8"},
		{[]string{"run", dir, "--activations", "int9"}, exitUsage, "int8-group"},
		{[]string{"run", dir, "--layer", "nothing"}, exitUsage, "matches none"},
		{[]string{"run", dir, "--layer", "[", "--json"}, exitUsage, `flag -layer: glob: "[", want a ] for each [`},
		{[]string{"run", dir, "--input", dir + "/config.json"}, exitUsage, "--layer to name one layer"},
		{[]string{"run", dir, "--tp", "2/2"}, exitUsage, "RANK/SIZE"},
		{[]string{"run", dir, "--tp", "0/2", "--tp-axis", "m"}, exitUsage, "auto, n or k"},
		{[]string{"run", dir, "--tp-axis", "n"}, exitUsage, "--tp RANK/SIZE"},
		{[]string{"run", dir, "--bits", "9"}, exitUsage, "--bits is 9, want 2 to 8"},
		{[]string{"inspect", bundled + "dense-bf16", "--bits", "1", "--method", "rtn"}, exitUsage, "--bits is 1, want 2 to 8"},
		{[]string{"explain", bundled + "dense-bf16", "lm_head", "--bits", "9", "--method", "rtn-accurate"}, exitUsage, "--bits is 9, want 2 to 8"},
		{[]string{"run", dir, "--group", "0"}, exitUsage, "--group"},
		{[]string{"run", dir, "--threads", "-1"}, exitUsage, "--threads is -1, want 1 to "},
		{[]string{"run", dir, "--threads", "100000"}, exitUsage, fmt.Sprintf("--threads is 100000, want 1 to %d, the processors that the process may use, or 0 for all", runtime.NumCPU())},
		{[]string{"run", dir, "--keep", "nothing*"}, exitUsage, "matches nothing"},
		{[]string{"run", dir, "--keep", "a,b["}, exitUsage, `flag -keep: glob: "b[", want a ] for each [`},
		{[]string{"explain", bundled + "modelslim-w4a4-flatquant", "model.layers.0.self_attn.qkv_proj"}, exitUsage, "not stored as one layer; explain its parts, the first is model.layers.0.self_attn.q_proj"},
		{[]string{"inspect", dir, "--skip", "nothing*"}, exitUsage, "matches nothing"},
		{[]string{"run", dir, "--output", "y", "--layer", "lm_head"}, exitUsage, "--tokens one number"},
		{[]string{"run", dir, "--output", "/nowhere/y", "--layer", "lm_head", "--tokens", "1"}, exitUsage, "directory that exists"},
		{[]string{"run", dir, "--output", t.TempDir(), "--layer", "lm_head", "--tokens", "1"}, exitUsage, "want a file, not a directory"},
		{[]string{"run", dir, "--output", os.DevNull, "--layer", "lm_head", "--tokens", "1"}, exitUsage, "not a device"},
		{[]string{"run", dir, "--output", dir + "/y.safetensors", "--layer", "lm_head", "--tokens", "1"}, exitUsage, "outside of the model's directory"},
		{[]string{"run", dir, "--output", bundled + "ctensors-w8a8/model.safetensors", "--layer", "lm_head", "--tokens", "1"}, exitUsage, "is no earlier output"},
		{[]string{"run", dir, "--output", "main_test.go", "--layer", "lm_head", "--tokens", "1"}, exitUsage, "is no earlier output"},
		{[]string{"run", dir, "--input", "x", "--layer", "lm_head", "--tokens", "1"}, exitUsage, "--tokens does not go"},
		{[]string{"run", dir, "--input", dir + "/none", "--layer", "lm_head"}, exitUsage, "--input: "},
		{[]string{"bench", "--svg", t.TempDir()}, exitUsage, "want a file, not a directory"},
		{[]string{"explain", dir, "lm_head", "--rows", "0"}, exitUsage, "--rows"},
		{[]string{"run", dir, "--method", "magic"}, exitUsage, "rtn"},
		{[]string{"run", dir, "--kernel", "cpu_wxg_a16_magic"}, exitUsage, "kernels, which bitlane devices --json lists; the nearest are cpu_wxg_a16_go, "},
		{[]string{"run", dir, "--kernel", "nope"}, exitUsage, " kernels, which bitlane devices --json lists, such as cpu_w"},
		{[]string{"run", dir, "--kernel", "cpu_wx_a16_goo"}, exitUsage, "want cpu_wx_a16_go or cpu_wxg_a16_go (bitlane devices --json lists all "},
		{[]string{"run", dir, "--disable", "cpu_w4g_a16_magic"}, exitUsage, "cpu_w4g_a16_magic"},
		{[]string{"run", dir, "--device", "cud"}, exitFailed, "the nearest is cuda, want auto or one of cpu (cpu:0), cuda (" + absence(t, "cuda") + ")"},
		{[]string{"run", dir, "--kernel", "cuda_w4g_a16_mma"}, exitUsage, "a kernel of cuda, cuda-emulated, want one of cpu's "},
		{[]string{"explain", dir, "lm_head", "--kernel", "cpu_wx_a16_goo"}, exitUsage, "want cpu_wx_a16_go"},
		{[]string{"bench", "--kernels", "cuda_w4g_a16_mma"}, exitUsage, "a kernel of cuda, cuda-emulated, want one of cpu's "},
		{[]string{"bench", "--device", "cuda-emulated:0", "--kernels", "cpu_wx_a16_go"}, exitUsage, "a kernel of cpu, want one of cuda-emulated's "},
		{[]string{"bench", "--device", "cud"}, exitFailed, "the nearest is cuda"},
		{[]string{"conformance", "--kernel", "cuda_w4g_a16_mma"}, exitUsage, "a kernel of cuda, cuda-emulated, want one of cpu's "},
		{[]string{"conformance", "--kernel", "cpu_wx_a16_goo"}, exitUsage, "want cpu_wx_a16_go"},
		{[]string{"conformance", "--timeout", "-1s"}, exitUsage, "--timeout is -1s"},
		{[]string{"conformance", "--device", "cud"}, exitFailed, "the nearest is cuda"},
		{[]string{"run", dir, "--device", "cuda"}, exitFailed, absence(t, "cuda")},
		{[]string{"run", dir + "/none"}, exitFailed, "none"},
		{[]string{"explain", dir, "nothing"}, exitUsage, "no layer"},
		{[]string{"explain", dir, "lm_head", "--device", "cud"}, exitFailed, "the nearest is cuda"},
		{[]string{"explain", dir, "lm_head", "--device", "cpu:7"}, exitFailed, "there is cpu:0"},
		{[]string{"inspect", dir, "--magic"}, exitUsage, "magic"},
	} {
		code, _, errs := program(t, c.args...)
		require.Equal(t, c.code, code, "%v\n%s", c.args, errs)
		require.Contains(t, errs, c.want, "%v", c.args)
		require.False(t, strings.Contains(errs, "goroutine"), errs)
	}
}

// A file that cannot be written is no fault of the layer whose y it was for.
func TestOutputThatCannotBeWritten(t *testing.T) {
	code, out, errs := program(t, "run", bundled+"gptq-w4-g128", "--layer", "lm_head", "--tokens", "1", "--output", filepath.Join(t.TempDir(), strings.Repeat("y", 300)))
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "bitlane run: --output: ")
	require.NotContains(t, errs, "lm_head: ")
	require.NotContains(t, out, "not run")
}

// What could not be shown must not end as if it had been.
func TestAFullStandardOutputIsAFailure(t *testing.T) {
	for _, args := range [][]string{{"run", bundled + "gptq-w4-g128", "--tokens", "1"}, {"version"}, {"devices"}, {"help"}, {"run", "--help"}} {
		var errs bytes.Buffer
		full := writer(func([]byte) (int, error) { return 0, errors.New("no space left") })
		code := dispatch(context.Background(), &env{stdout: full, stderr: &errs}, args)
		require.Equal(t, exitFailed, code, args)
		require.Contains(t, errs.String(), "no space left", args)
	}
}

func TestColumnsLineUp(t *testing.T) {
	code, out, errs := program(t, "run", bundled+"gptq-w4-g128", "--tokens", "1")
	require.Equal(t, exitOK, code, errs)
	at := strings.Index(strings.Split(out, "\n")[2], "kernel")
	require.Contains(t, out, "w4 channel sym, exact", "one group of all features is no group of 128")
	rows := 0
	for _, line := range strings.Split(out, "\n") {
		if strings.Contains(line, "cpu_") {
			rows++
			require.Equal(t, at, strings.Index(line, "cpu_"), line)
		}
	}
	require.Equal(t, 5, rows)
	require.Contains(t, out, "x and y in float16")
}

func TestFlagsWithoutEffectAreSaid(t *testing.T) {
	const want = "--bits, --group: of no effect: nothing in this gptq checkpoint is quantized on load"
	for _, args := range [][]string{{"run", "--tokens", "1"}, {"inspect"}, {"run", "--tokens", "1", "--json"}} {
		code, out, errs := program(t, append(args, bundled+"gptq-w4-g128", "--bits", "8", "--group", "32")...)
		require.Equal(t, exitOK, code, errs)
		require.Contains(t, out+errs, want)
	}
	const plain = "--activations: of no effect: plain layers are always exact, and there are no others here"
	for _, args := range [][]string{
		{"run", "--layer", "lm_head", "--tokens", "1"}, {"explain", "lm_head", "--device", "cpu"}, {"explain", "lm_head", "--device", "cpu", "--json"},
	} {
		args = append([]string{args[0], bundled + "gptq-w4-g128"}, args[1:]...)
		code, out, errs := program(t, append(args, "--activations", "int8-token")...)
		require.Equal(t, exitOK, code, errs)
		require.Equal(t, 1, strings.Count(out+errs, plain))
		_, out, errs = program(t, append(args, "--activations", "exact")...)
		require.NotContains(t, out+errs, "of no effect", "as it is")
	}
	code, out, errs := program(t, "run", bundled+"gptq-w4-g128", "--tokens", "1", "--activations", "int8-token")
	require.Equal(t, exitOK, code, errs)
	require.NotContains(t, out+errs, "of no effect", "of lm_head alone")
	_, _, errs = program(t, "explain", bundled+"gptq-w4-g128", "lm_head", "--device", "cpu", "--bits", "8", "--group", "32")
	require.Contains(t, errs, want)
	code, out, errs = program(t, "run", bundled+"dense-bf16", "--bits", "8", "--group", "32", "--tokens", "1")
	require.Equal(t, exitOK, code, errs)
	require.NotContains(t, out+errs, "of no effect")
}

// A processor that is there but cannot be used is no mere absence.
func TestDevicesWithAWrongVariable(t *testing.T) {
	t.Setenv("BITLANE_CPU", "avx3")
	code, out, _ := program(t, "devices")
	require.Equal(t, exitFailed, code)
	require.Contains(t, out, `BITLANE_CPU: "avx3"`)
}

// Names are checked before anything is printed that could be taken for a result.
func TestNothingIsPrintedBeforeTheCommandLineIsRight(t *testing.T) {
	dir := bundled + "gptq-w4-g128"
	for _, args := range [][]string{{"--tp", "x"}, {"--activations", "x"}, {"--dtype", "x"}, {"--kernel", "x"}} {
		_, out, errs := program(t, append([]string{"run", dir}, args...)...)
		require.Empty(t, out, args)
		require.Contains(t, errs, "usage: bitlane run DIR [flags]")
	}
	t.Setenv("BITLANE_DISABLE", "x")
	code, out, errs := program(t, "run", dir)
	require.Equal(t, exitUsage, code)
	require.Empty(t, out)
	require.Contains(t, errs, "BITLANE_DISABLE")
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errs bytes.Buffer
	code := dispatch(ctx, &env{stdout: &out, stderr: &errs, json: &out, draw: &errs}, []string{"run", bundled + "gptq-w4-g128"})
	require.Equal(t, exitInterrupted, code, errs.String())
	require.Contains(t, errs.String(), "bitlane run: interrupted\n")
	for _, args := range [][]string{{"run"}, {"inspect", "--verify"}} {
		code, _, errs := interrupted(t, 3, append(args, bundled+"gptq-w4-g128")...)
		require.Equal(t, exitInterrupted, code, errs)
		require.Contains(t, errs, "bitlane "+args[0]+": interrupted after 2 of 5 layers\n")
	}
}

// interrupted is program, interrupted when its progress says that it begins
// with the nth of its things.
func interrupted(t *testing.T, nth int, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var out, errs bytes.Buffer
	watch := writer(func(p []byte) (int, error) {
		if bytes.HasPrefix(p, fmt.Appendf(nil, "%d/", nth)) {
			cancel()
		}
		return errs.Write(p)
	})
	code = dispatch(ctx, &env{stdout: &out, stderr: watch, terminal: true}, args)
	return code, out.String(), errs.String()
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestVersion(t *testing.T) {
	code, out, _ := program(t, "version", "--json")
	require.Equal(t, exitOK, code)
	var v map[string]string
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	require.Contains(t, v["go"], "go1.")
	code, out, _ = program(t, "version")
	require.Equal(t, exitOK, code)
	require.Contains(t, out, v["go"])
}

func TestHelp(t *testing.T) {
	for _, c := range commands {
		code, out, _ := program(t, c.name, "--help")
		require.Equal(t, exitOK, code)
		require.Contains(t, out, "json")
	}
	code, out, _ := program(t, "help")
	require.Equal(t, exitOK, code)
	require.Contains(t, out, "conformance")
	code, out, _ = program(t, "help", "run")
	require.Equal(t, exitOK, code)
	require.Contains(t, out, "usage: bitlane run DIR [flags]")
}

// Every damaged checkpoint ends a run with its error and no output that could
// be taken for a result.
func TestRunOnDamagedFiles(t *testing.T) {
	cases, err := filepath.Glob(bundled + "damaged/*/want.txt")
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, want := range cases {
		dir := filepath.Dir(want)
		code, out, errs := program(t, "run", dir, "--tokens", "1")
		require.Equal(t, exitFailed, code, dir)
		text, err := os.ReadFile(want)
		require.NoError(t, err)
		for _, part := range strings.Split(strings.TrimSpace(string(text)), "\n") {
			require.Contains(t, errs+out, part, dir)
		}
	}
}
