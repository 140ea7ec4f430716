package prepacked

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
)

// inMemory is weights to keep, written in pieces of any length.
type inMemory []byte

func (m inMemory) PackedSize() int64 { return int64(len(m)) }

func (m inMemory) WritePacked(_ context.Context, w io.Writer) error {
	for b, n := []byte(m), 1; len(b) > 0; n = n*5/2 + 1 {
		n = min(n, len(b))
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// failing writes some bytes and then nothing more, with an error or none.
type failing struct {
	inMemory
	after int
	err   error
}

func (f failing) WritePacked(ctx context.Context, w io.Writer) error {
	return errors.Join(f.inMemory[:f.after].WritePacked(ctx, w), f.err)
}

// TestHalfWritten: what was not written to its end leaves no file.
func TestHalfWritten(t *testing.T) {
	c, err := Open(t.TempDir())
	require.NoError(t, err)
	path := filepath.Join(c.Dir(), "layers", "ab", "file")
	full := errors.New("no space left on device")
	require.ErrorIs(t, c.save(t.Context(), path, "key", failing{make(inMemory, 5000), 2000, full}), full)
	require.ErrorIs(t, c.save(t.Context(), path, "key", failing{make(inMemory, 5000), 2000, nil}), quant.ErrFormat)
	require.ErrorIs(t, c.save(t.Context(), path, string(make([]byte, 5000)), inMemory(nil)), quant.ErrFormat)
	left, err := filepath.Glob(filepath.Join(c.Dir(), "layers", "*", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, c.save(t.Context(), path, "key", inMemory(nil)))
	f, err := open(path, "key")
	require.NoError(t, err)
	require.Zero(t, f.Size())
	require.NoError(t, f.Close())
	_, err = open(path, "yek")
	require.ErrorIs(t, err, quant.ErrFormat)
}
