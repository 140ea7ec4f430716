package onednn

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLook says of a file what would kill the process, or keep it waiting, when the loader meets it.
func TestLook(t *testing.T) {
	executable, err := os.Executable()
	require.NoError(t, err)
	require.Empty(t, look(executable))
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		return path
	}
	whole, err := os.ReadFile(executable)
	require.NoError(t, err)
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for path, want := range map[string]string{
		filepath.Join(dir, "none.so"): "does not exist",
		"~/libdnnl.so.3":              "the shell's",
		"$HOME/libdnnl.so.3":          "the shell's",
		dir:                           "is a folder; the file in it is called libdnnl.so.3",
		pipe:                          "is no file (p---------)",
		file("text", bytes.Repeat([]byte("text"), 100)): "is not a shared library: ",
		file("empty", nil):                  "is cut short",
		file("short", whole[:len(whole)/8]): "is cut short",
	} {
		require.Contains(t, look(path), want, path)
	}
	require.ErrorContains(t, unusable("xpu", "/x", look(dir)), `no driver: "/x" (BITLANE_ONEDNN) is a folder`)
}
