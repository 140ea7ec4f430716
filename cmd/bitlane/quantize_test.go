package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/quantize"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
)

// What quantize writes is run and accepted, in every format and width.
func TestQuantizeThenRun(t *testing.T) {
	for _, c := range [][]string{
		{"--format", "gptq", "--bits", "2", "--group", "64"}, {"--format", "gptq", "--bits", "4"}, {"--format", "gptq", "--bits", "8", "--group", "-1", "--method", "rtn"},
		{"--format", "gptq_v2", "--bits", "4", "--group", "32", "--asym"}, {"--format", "gptq_v2", "--bits", "8", "--asym", "--method", "rtn"},
		{"--format", "compressed-tensors", "--bits", "2"}, {"--format", "compressed-tensors", "--bits", "3", "--asym", "--scales", "float16"},
		{"--format", "compressed-tensors", "--bits", "5", "--quantize", "lm_head"}, {"--format", "compressed-tensors", "--bits", "6", "--group", "-1"},
		{"--format", "compressed-tensors", "--bits", "7", "--set", "*.mlp.*=bits:8, asym, group:64"},
		{"--format", "compressed-tensors", "--bits", "4", "--shard-size", "40KB", "--keep", "*.up_proj"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		code, text, errs := program(t, append([]string{"quantize", bundled + "dense-bf16", out}, c...)...)
		require.Equal(t, exitOK, code, "%v\n%s%s", c, text, errs)
		require.Contains(t, text, "squared error", c)
		code, text, errs = program(t, "run", out, "--tokens", "1,3")
		require.Equal(t, exitOK, code, "%v\n%s%s", c, text, errs)
		require.Contains(t, text, "5 layers, 10 runs: all within the error bound")
		code, text, errs = program(t, "inspect", out, "--verify")
		require.Equal(t, exitOK, code, "%v\n%s%s", c, text, errs)
	}
}

func TestQuantizeGolden(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"quantize", bundled + "dense-bf16", out, "--bits", "8", "--method", "rtn", "--set", "*.down_proj=bits:4,group:64,method:rtn"}
	code, text, errs := program(t, append(args, "--json")...)
	require.Equal(t, exitOK, code, errs)
	require.Empty(t, errs)
	sameAsGolden(t, "quantize.json", strings.ReplaceAll(text, out, "OUT"))
	var r quantize.Report
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	require.Len(t, r.Layers, 3)

	code, text, errs = program(t, append(args, "--force")...)
	require.Equal(t, exitOK, code, errs)
	require.Empty(t, errs)
	sameAsGolden(t, "quantize.txt", strings.ReplaceAll(text, out, "OUT"))
	code, text, _ = program(t, "quantize", "--help")
	require.Equal(t, exitOK, code)
	sameAsGolden(t, "quantize-help.txt", text)
}

func sameAsGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "go test ./cmd/bitlane -update rewrites the golden files")
}

func TestQuantizeCommandLines(t *testing.T) {
	in, out := bundled+"dense-bf16", filepath.Join(t.TempDir(), "out")
	for want, args := range map[string][]string{
		"OUT is missing": {},
		`--format is "gptqv2", want gptq, gptq_v2, compressed-`: {out, "--format", "gptqv2"},
		"--bits is 5, want 2, 3, 4 or 8, as gptq has":           {out, "--bits", "5"},
		"--bits is 9, want 2 to 8":                              {out, "--bits", "9", "--format", "compressed-tensors"},
		"--group is 0":                                          {out, "--group", "0"},
		`--method is "mse", want rtn or rtn-accurate`:           {out, "--method", "mse"},
		"--scales: ":                            {out, "--scales", "int8"},
		`--shard-size is "5 apples"`:            {out, "--shard-size", "5 apples"},
		`--shard-size is "0"`:                   {out, "--shard-size", "0"},
		"--threads is -1":                       {out, "--threads", "-1"},
		"--threads is 100000, want 1 to ":       {out, "--threads", "100000"},
		`--set is "bits:8", want GLOB=bits:8`:   {out, "--set", "bits:8"},
		`--set "*=bit:8": "bit:8", want bits:N`: {out, "--set", "*=bit:8"},
		`--set "*=method:x": --method is "x"`:   {out, "--set", "*=method:x"},
		"--set *: bits is 7":                    {out, "--set", "*=bits:7"},
		`--set "*[=bits:8": glob: "*["`:         {out, "--set", "*[=bits:8"},
		`for flag -keep: glob: "["`:             {out, "--keep", "["},
		"x*: glob in Keep is without a match":   {out, "--keep", "x*"},
		"x*: override is without effect":        {out, "--set", "x*=bits:8"},
	} {
		code, _, errs := program(t, append([]string{"quantize", in}, args...)...)
		require.Equal(t, exitUsage, code, errs)
		require.Contains(t, errs, want)
	}
	for want, args := range map[string][]string{
		"K is 256, want a multiple of the group size 96":                                                     {in, out, "--group", "96"},
		"3-bit codes fill whole words (unsupported): keep model.layers.0.mlp.up_proj plain (Keep, --keep), ": {in, out, "--bits", "3", "--group", "-1"},
		"the input itself":                   {in, in},
		"inside ":                            {in, in + "/q"},
		"format is gptq, want a plain model": {bundled + "gptq-w4-g128", out},
		"no such directory":                  {in + "/none", out},
	} {
		code, text, errs := program(t, append([]string{"quantize"}, args...)...)
		require.Equal(t, exitFailed, code, errs)
		require.Contains(t, errs, want)
		require.Empty(t, text)
	}
	require.NoDirExists(t, out)
}

// A zero point of 0 is found when its layer is quantized; what it will come to is said
// before.
func TestQuantizeZeroPointOfVersion1(t *testing.T) {
	in, parent := t.TempDir(), t.TempDir()
	var model []safetensors.Data
	for i, name := range []string{"a.weight", "b.weight"} {
		b := make([]byte, 4*64*64)
		for j := range 64 * 64 {
			dtype.F32.Put(b, j, float32(j%7-3+6*i)) // of b none is negative
		}
		model = append(model, safetensors.Data{Name: name, Type: "F32", Shape: []int64{64, 64}, Bytes: b})
	}
	const risk = "--method rtn gives a group of few negative weights or none a zero point of 0, which gptq cannot store and gptq_v2 can"
	const warning = "warning: " + risk + "\n"
	require.NoError(t, safetensors.WriteFile(filepath.Join(in, "model.safetensors"), nil, model[0]))
	for format, told := range map[string]bool{"gptq": true, "gptq_v2": false} {
		code, out, errs := program(t, "quantize", in, filepath.Join(parent, "out"), "--group", "32", "--asym", "--method", "rtn", "--json", "--format", format)
		require.Equal(t, exitOK, code, errs)
		require.Empty(t, errs)
		var r quantize.Report
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.Equal(t, told, slices.Contains(r.Warnings, risk))
		require.NoError(t, os.RemoveAll(filepath.Join(parent, "out")))
	}
	require.NoError(t, safetensors.WriteFile(filepath.Join(in, "model.safetensors"), nil, model...))
	for _, set := range [][]string{{"--asym", "--method", "rtn"}, {"--set", "b=asym,method:rtn"}} {
		args := append([]string{"quantize", in, filepath.Join(parent, "out"), "--group", "32"}, set...)
		code, _, errs := program(t, args...)
		require.Equal(t, exitFailed, code)
		require.True(t, strings.HasPrefix(errs, warning), errs)
		require.Contains(t, errs, "b: zero point of row 0, group 0 is 0, want 1 to 15: readers of version 1 disagree about 0; gptq_v2 stores it (unsupported): write gptq_v2 (Format, --format), or search scales (Parity, --method rtn-accurate), which keeps away from 0\n")
		left, err := os.ReadDir(parent)
		require.NoError(t, err)
		require.Empty(t, left)

		code, _, errs = program(t, append(args, "--format", "gptq_v2")...)
		require.Equal(t, exitOK, code, errs)
		require.NotContains(t, errs, "zero point of 0")
		require.NoError(t, os.RemoveAll(filepath.Join(parent, "out")))
	}
}

func TestQuantizeInterrupted(t *testing.T) {
	parent := t.TempDir()
	out := filepath.Join(parent, "out")
	code, _, errs := interrupted(t, 6, "quantize", bundled+"dense-bf16", out)
	require.Equal(t, exitInterrupted, code, errs)
	require.Contains(t, errs, "bitlane quantize: interrupted after 1 layer; "+out+" is not written\n")
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{"5GB": 5e9, "1.5GB": 15e8, "2GiB": 2 << 30, "500 MB": 5e8, "4096": 4096, "7kB": 7000, "1KiB": 1024, "3B": 3} {
		got, err := parseBytes(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "GB", "-1", "NaN", "1e30", "0.5", "5TB"} {
		_, err := parseBytes(text)
		require.Error(t, err, text)
	}
}

// What other runs left beside OUT is told before the work, once, and also where the
// work fails.
func TestQuantizeTellsOfLeftovers(t *testing.T) {
	parent := t.TempDir()
	out := filepath.Join(parent, "out")
	left := filepath.Join(parent, ".out.0123456789abcdef.tmp.old")
	require.NoError(t, os.Mkdir(left, 0o777))
	note := left + " is what was at " + out + " before a run that was killed, or what one that still runs is replacing: it is not touched"
	code, text, errs := interrupted(t, 3, "quantize", bundled+"dense-bf16", out)
	require.Equal(t, exitInterrupted, code, errs)
	require.Contains(t, errs, "warning: "+note+"\n")
	require.Less(t, strings.Index(errs, note), strings.Index(errs, "1/"), "before the first step")
	require.NotContains(t, text, note)

	code, _, errs = program(t, "quantize", bundled+"dense-bf16", out)
	require.Equal(t, exitOK, code, errs)
	require.Equal(t, "warning: "+note+"\n", errs)

	code, text, errs = program(t, "quantize", bundled+"dense-bf16", out, "--force", "--json")
	require.Equal(t, exitOK, code, errs)
	require.Empty(t, errs)
	var r quantize.Report
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	require.Equal(t, []string{note}, r.Warnings)

	in := t.TempDir()
	b := make([]byte, 4*64*64)
	for i := range 64 * 64 {
		dtype.F32.Put(b, i, 1) // of which --method rtn makes zero points of 0
	}
	require.NoError(t, safetensors.WriteFile(filepath.Join(in, "model.safetensors"), nil, safetensors.Data{Name: "a.weight", Type: "F32", Shape: []int64{64, 64}, Bytes: b}))
	code, text, errs = program(t, "quantize", in, out, "--group", "32", "--asym", "--method", "rtn", "--force", "--json")
	require.Equal(t, exitFailed, code, errs)
	require.Empty(t, text)
	require.True(t, strings.HasPrefix(errs, "warning: "+note+"\n"), errs)
}
