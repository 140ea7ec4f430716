package dl

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReason(t *testing.T) {
	require.Equal(t, "libx.so: cannot be loaded", reason("libx.so", ""))
	require.Equal(t, "libx.so: no such file", reason("libx.so", "libx.so: no such file"))
	require.Equal(t, "libx.so: liby.so: no such file", reason("libx.so", "liby.so: no such file"))
}

// The loader keeps its texts per thread: read on another thread than the one
// that failed, a text is empty or about another library.
func TestFindOfManyGoroutines(t *testing.T) {
	const goroutines, rounds = 64, 50
	wrong := make([]string, goroutines)
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			name := fmt.Sprintf("libbitlane_none_%02d.so", i)
			_, loader := Find(name)
			for range rounds {
				// The fallback would hide that the text got lost.
				if _, err := Find(name); err.Error() != loader.Error() || err.Error() == reason(name, "") {
					wrong[i] = fmt.Sprintf("%s: %q, then %q", name, loader, err)
				}
			}
		})
	}
	wg.Wait()
	for i, w := range wrong {
		require.Empty(t, w)
		_, err := Find(fmt.Sprintf("libbitlane_none_%02d.so", i))
		require.ErrorContains(t, err, fmt.Sprintf("libbitlane_none_%02d.so: ", i))
	}
}
