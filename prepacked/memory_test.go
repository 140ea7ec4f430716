package prepacked

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint"
)

// tensors is a Source of tensors that counts what is read of them.
type tensors struct {
	Source
	read int
}

func (s *tensors) ReadTensorAt(dst []byte, _ string, _ int64) error {
	s.read += len(dst)
	return nil
}

// TestDigestsAreRemembered, but not of a file that was changed a moment ago, or has no stamp.
func TestDigestsAreRemembered(t *testing.T) {
	c, err := Open(t.TempDir())
	require.NoError(t, err)
	now := time.Now()
	c.now = func() time.Time { return now }
	src := &tensors{}
	digest := func(o *checkpoint.OriginTensor) (read int) {
		src.read = 0
		text, err := c.digest(t.Context(), src, o)
		require.NoError(t, err)
		require.Len(t, text, 64)
		return src.read
	}
	o := &checkpoint.OriginTensor{Stamp: "a file", Changed: now.Add(-time.Second)}
	o.Name, o.Bytes = "a tensor", 3<<20+5
	require.EqualValues(t, o.Bytes, digest(o))
	require.EqualValues(t, o.Bytes, digest(o), "changed a second ago")
	now = now.Add(5 * time.Second)
	require.EqualValues(t, o.Bytes, digest(o))
	require.Zero(t, digest(o))
	o.Stamp = "another state of it"
	require.EqualValues(t, o.Bytes, digest(o))
	require.Zero(t, digest(o))
	o.Name = "another tensor"
	require.EqualValues(t, o.Bytes, digest(o))
	o.Stamp = ""
	require.EqualValues(t, o.Bytes, digest(o))
	require.EqualValues(t, o.Bytes, digest(o), "no stamp")

	all, err := filepath.Glob(filepath.Join(c.Dir(), "tensors", "*", "*"))
	require.NoError(t, err)
	require.Len(t, all, 3)
	for _, path := range all {
		require.NoError(t, os.WriteFile(path, []byte("12345678\nxyz"), 0o600))
	}
	o.Stamp = "another state of it"
	require.EqualValues(t, o.Bytes, digest(o), "a damaged record")
}

// FuzzFile opens anything and reads what was opened: an error, or the bytes that its checksums
// are of.
func FuzzFile(f *testing.F) {
	weights := bytes.Repeat([]byte("weights"), 1000)
	page := func(size int64, text string) []byte {
		w := &summing{}
		w.sums = []uint32{0x12345678}
		b, err := header(size, w.table(), text)
		require.NoError(f, err)
		return append(append(b, weights...), w.table()...)
	}
	f.Add([]byte{})
	f.Add(page(int64(len(weights)), "key"))
	f.Add(page(1<<62, "key"))
	f.Add(page(-1, "key"))
	f.Add(page(int64(len(weights)), "other"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, b, 0o600))
		p, err := open(path, "key")
		if err != nil {
			return
		}
		defer p.Close()
		out := make([]byte, p.Size()+1)
		_, _ = p.ReadAt(out, 0)
	})
}

// TestFileReads at any place, whole pieces and not.
func TestFileReads(t *testing.T) {
	c, err := Open(t.TempDir())
	require.NoError(t, err)
	weights := make([]byte, 3*piece+77)
	for i := range weights {
		weights[i] = byte(i * 7 >> 3)
	}
	path := filepath.Join(c.Dir(), "layers", "file")
	require.NoError(t, c.save(t.Context(), path, "key", inMemory(weights)))
	f, err := open(path, "key")
	require.NoError(t, err)
	defer f.Close()
	require.EqualValues(t, len(weights), f.Size())
	for _, at := range []int{0, 1, piece - 1, piece, piece + 1, 2*piece + 5, 3 * piece, len(weights) - 1, len(weights)} {
		for _, n := range []int{0, 1, 76, 77, 78, piece - 1, piece, piece + 1, 3 * piece} {
			out := make([]byte, n)
			got, err := f.ReadAt(out, int64(at))
			want := weights[at:min(at+n, len(weights))]
			require.Equal(t, len(want), got, "%d at %d", n, at)
			require.True(t, bytes.Equal(want, out[:got]), "%d at %d", n, at)
			require.Equal(t, got < n, err != nil, "%d at %d: %v", n, at, err)
		}
	}
	_, err = f.ReadAt(nil, -1)
	require.Error(t, err)
	_, err = f.ReadAt(nil, int64(len(weights)+1))
	require.Error(t, err)
}
