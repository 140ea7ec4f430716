package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTune(t *testing.T) {
	var tune tuning
	require.NoError(t, tune.Set("b=2, a = -1,"))
	require.NoError(t, tune.Set("b=3"))
	require.Equal(t, "a=-1,b=3", tune.String())
	for _, wrong := range []string{"a", "a=", "=1", "a=1.5", "a=99999999999999999999"} {
		require.ErrorContains(t, tune.Set(wrong), "NAME=VALUE", wrong)
	}
	bench := []string{"bench", "--device", "cuda-emulated:0", "--shapes", "64x32", "--m", "1", "--time", "1ms"}
	for value, want := range map[string]string{"tile-rows=1": "one of stream-rows", "stream-rows=2000": "is 2000, want 0..1024"} {
		for _, command := range [][]string{bench, {"conformance", "--device", "cuda-emulated"}, {"run", "../../testdata/gptq-w4-g128", "--device", "cuda-emulated:0"}} {
			code, _, errs := program(t, append(command, "--tune", value)...)
			require.Equal(t, exitUsage, code)
			require.Contains(t, errs, want)
		}
	}
	code, out, errs := program(t, append(bench, "--tune", "stream-rows=0", "--kernels", "cuda_w4g_a16_mma")...)
	require.Equal(t, exitOK, code, "%s%s", out, errs)
	require.Contains(t, out, "tuned stream-rows=0")
	code, _, errs = program(t, "explain", "../../testdata/gptq-w4-g128", "none", "--tune", "stream-rows=0")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "not defined")

	code, out, _ = program(t, "devices")
	require.Equal(t, exitOK, code)
	require.Contains(t, out, "--tune stream-rows=32")
}
