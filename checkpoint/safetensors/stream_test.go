package safetensors

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
)

func streamed(t *testing.T, meta map[string]string, tensors ...Data) (*Writer, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	var entries []Entry
	for i := range tensors {
		entries = append(entries, tensors[i].Entry())
	}
	w, err := NewWriter(f, meta, entries)
	require.NoError(t, err)
	return w, path
}

// Whatever the order and the pieces, the file is the one that Write writes.
func TestStreamedFileIsTheWholeOne(t *testing.T) {
	meta := map[string]string{"format": "pt"}
	tensors := []Data{
		{"b", F16, []int64{3}, []byte("bbBBbb")}, {"none", F32, []int64{0, 4}, nil},
		{"a", I32, []int64{2}, []byte("aaaaAAAA")}, {"c", I64, nil, []byte("cccccccc")},
	}
	w, path := streamed(t, meta, tensors...)
	for _, off := range []int{0, 1, 4} {
		end := map[int]int{0: 1, 1: 4, 4: 6}[off]
		require.NoError(t, w.WriteAt(tensors[0].Bytes[off:end], "b", int64(off)))
	}
	require.ErrorContains(t, w.Finish(), "a: data is 0 bytes, want 8 bytes")
	require.NoError(t, w.WriteAt(tensors[3].Bytes, "c", 0))
	require.NoError(t, w.WriteAt(tensors[2].Bytes, "a", 0))
	require.NoError(t, w.Finish())
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, written(t, meta, tensors...), string(got))
}

func TestStreamRefusals(t *testing.T) {
	w, _ := streamed(t, nil, Data{"a", I32, []int64{2}, nil})
	require.ErrorIs(t, w.WriteAt(nil, "b", 0), TensorNotFound)
	require.ErrorContains(t, w.WriteAt([]byte("x"), "a", 1), "a: offset is 1, want 0")
	require.ErrorContains(t, w.WriteAt(make([]byte, 9), "a", 0), "9 bytes at 0, want inside its 8 bytes")
	require.NoError(t, w.WriteAt(make([]byte, 8), "a", 0))
	require.ErrorIs(t, w.WriteAt(make([]byte, 8), "a", 0), quant.ErrShape, "twice")

	full := errors.New("no space left on device")
	_, err := NewWriter(fullDisk{full}, nil, nil)
	require.ErrorIs(t, err, full)
	vast := []int64{1 << 53, 1 << 7}
	for want, e := range map[string][]Entry{
		"taken":                {{"a", I32, nil}, {"a", F32, nil}},
		"a type of the format": {{"a", "I5", nil}},
		"a multiple of 8":      {{"a", F4, []int64{3}}},
		"below 2^63":           {{"a", I8, vast}, {"b", I8, vast}, {"c", I8, vast}, {"d", I8, vast}, {"e", I8, vast}, {"f", I8, vast}, {"g", I8, vast}, {"h", I8, vast}},
		"not UTF-8":            {{"\xff", I64, nil}},
	} {
		_, err := NewWriter(fullDisk{}, nil, e)
		require.ErrorContains(t, err, want)
	}
}

type fullDisk struct{ err error }

func (f fullDisk) WriteAt(p []byte, off int64) (int, error) { return 0, f.err }
