package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTune(t *testing.T) {
	var tune tuning
	require.NoError(t, tune.Set("b=2, a=-1"))
	require.NoError(t, tune.Set("b=3"))
	require.Equal(t, "a=-1,b=3", tune.String())
	for _, wrong := range []string{"", "a", "a=", "=1", "a=1.5", "a=1,,b=2", "a=99999999999999999999"} {
		require.ErrorContains(t, tune.Set(wrong), "NAME=VALUE", wrong)
	}
	bench := []string{"bench", "--device", "cuda-emulated:0", "--shapes", "64x32", "--m", "1", "--time", "1ms"}
	for value, want := range map[string]string{"tile-rows=1": "one of stream-rows 0..1024", "stream-rows=2000": "is 2000, want 0..1024"} {
		code, _, errs := program(t, append(bench, "--tune", value)...)
		require.Equal(t, exitFailed, code)
		require.Contains(t, errs, want)
	}
	code, out, errs := program(t, append(bench, "--tune", "stream-rows=0", "--kernels", "cuda_w4g_a16_mma")...)
	require.Equal(t, exitOK, code, "%s%s", out, errs)
}
