package quantize

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
)

// A directory where a file system is mounted cannot be renamed: that is said before the
// work and not after it.
func TestMountedPlace(t *testing.T) {
	_, err := Model(t.Context(), llama(t).write(), "/proc", Options{Settings: Settings{Group: 32}, disk: unwritable{}})
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.ErrorContains(t, err, "/proc: where a file system is mounted, want a directory in one")
}
