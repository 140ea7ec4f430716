package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
)

// A tensor's name may hold anything; the terminal must not obey it, and JSON
// must give it as it is.
func TestNamesDoNotCommandTheTerminal(t *testing.T) {
	dir := t.TempDir()
	err := safetensors.WriteFile(filepath.Join(dir, "model.safetensors"), nil,
		safetensors.Data{Name: "m.\x1b[31mré\u009b2J\x7f.weight", Type: "F16", Shape: []int64{4, 128}, Bytes: make([]byte, 1024)})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o600))
	for _, args := range [][]string{{"inspect", dir}, {"run", dir, "--tokens", "1"}, {"explain", dir, "x\x1b[2J"}} {
		_, out, stderr := program(t, args...)
		require.NotContains(t, out+stderr, "\x1b", args)
		require.NotContains(t, out+stderr, "\u009b", args)
	}
	_, out, _ := program(t, "inspect", dir)
	require.Contains(t, out, "m.?[31mré?2J?")
	_, out, _ = program(t, "inspect", dir, "--json")
	require.Contains(t, out, `"m.\u001b[31mré`+"\u009b2J\x7f")
}
