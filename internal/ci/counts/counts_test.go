package counts_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/internal/ci/counts"
)

func TestAppendAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "counts")
	want := []counts.Counts{{Part: "race", Passed: 7, Skipped: 1, Seconds: 1.5}, {Part: "unnamed", Passed: 2, Failed: 3, Seconds: 2}}
	require.NoError(t, counts.Append(path, want[0]))
	require.NoError(t, counts.Append(path, counts.Counts{Passed: 2, Failed: 3, Seconds: 2}))
	require.NoError(t, counts.Append("", want[0]))
	got, err := counts.Read(path)
	require.NoError(t, err)
	require.Equal(t, want, got)
	sum := counts.Sum(got)
	require.Equal(t, "9 passed, 3 failed, 1 skipped", sum.String())
	require.Equal(t, "2 passed, 3 failed", got[1].String())
}

func TestReadRefusesOtherLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "counts")
	require.NoError(t, os.WriteFile(path, []byte("race x\n"), 0o644))
	_, err := counts.Read(path)
	require.ErrorContains(t, err, `"race x"`)
}
