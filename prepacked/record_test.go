package prepacked

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// TestRecordsAreNotMoved: a digest of another tensor is none.
func TestRecordsAreNotMoved(t *testing.T) {
	c, err := Open(t.TempDir())
	require.NoError(t, err)
	a, b := c.path("tensors", "aabb"), c.path("tensors", "aacc")
	require.NoError(t, c.writeRecord(a, "text"))
	text, err := readRecord(a)
	require.NoError(t, err)
	require.Equal(t, "text", text)
	require.NoError(t, os.Rename(a, b))
	_, err = readRecord(b)
	require.ErrorIs(t, err, quant.ErrFormat)
	_, err = readRecord(a)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = readRecord(filepath.Dir(b))
	require.ErrorIs(t, err, quant.ErrFormat)
}

// TestFactsOfAnother program, which has a field less or one more, are not read.
func TestFactsOfAnother(t *testing.T) {
	c, err := Open(t.TempDir())
	require.NoError(t, err)
	path := c.factsPath("abcd")
	s := backend.Spec{N: 8, K: 64, FullN: 8, FullK: 64, Bits: 4, ScaleMin: 0.1, ScaleMax: 1e30}
	text, err := (&facts{Spec: s}).text()
	require.NoError(t, err)
	require.NoError(t, c.writeRecord(path, text))
	known, err := readFacts(path)
	require.NoError(t, err)
	require.True(t, known.Spec.Equal(&s))
	for _, other := range []string{
		strings.Replace(text, `,"scale_max":1e+30`, "", 1),
		strings.Replace(text, `"bits":4`, `"bits":4,"signed":true`, 1),
		strings.Replace(text, `"bits"`, `"Bits"`, 1),
		text + " ",
		"",
	} {
		require.NotEqual(t, text, other)
		require.NoError(t, c.writeRecord(path, other))
		_, err = readFacts(path)
		require.ErrorIs(t, err, quant.ErrFormat, other)
	}
}
