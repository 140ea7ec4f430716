package dl

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFindNamesWhatIsMissing(t *testing.T) {
	name, err := Find("libbitlane_none_a.so.1", "libbitlane_none_b.so")
	require.Empty(t, name)
	require.ErrorContains(t, err, "libbitlane_none_a.so.1")
	require.ErrorContains(t, err, "libbitlane_none_b.so")
}

func TestFindTakesTheFirstThatLoads(t *testing.T) {
	if runtime.GOOS != "linux" {
		_, err := Find("libc.so.6")
		require.ErrorContains(t, err, "linux only")
		return
	}
	// Any C library has the loader that loads it.
	name, err := Find("libbitlane_none.so", "libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1")
	require.NoError(t, err)
	require.Contains(t, name, "libc.")
}
