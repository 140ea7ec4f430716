package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWaiting(t *testing.T) {
	w := newWaiting()
	defer w.close()
	require.NotEmpty(t, w.files, "/proc/self/task has no threads")
	before := w.seconds()
	require.GreaterOrEqual(t, before, 0.0)
	require.GreaterOrEqual(t, w.seconds(), before)
	w.close()
	require.GreaterOrEqual(t, w.seconds(), before, "what was known of a thread that is gone stays")
}
