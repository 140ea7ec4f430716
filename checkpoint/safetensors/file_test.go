package safetensors

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
)

func sample() []Data {
	return []Data{
		{"a", F32, []int64{2}, []byte("aaaaAAAA")},
		{"b", I8, []int64{3}, []byte("bcd")},
		{"empty", F16, []int64{0, 7}, nil},
	}
}

func TestOpenAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	require.NoError(t, WriteFile(path, map[string]string{"format": "pt"}, sample()...))
	f, err := Open(path)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "empty"}, f.Names())
	require.Equal(t, map[string]string{"format": "pt"}, f.Metadata())

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, d := range sample() {
				got, err := f.Read(nil, d.Name)
				if err != nil || !bytes.Equal(d.Bytes, got) {
					t.Errorf("%s: %q, %v", d.Name, got, err)
				}
			}
		})
	}
	wg.Wait()

	buf := make([]byte, 1, 100)
	got, err := f.Read(buf, "a")
	require.NoError(t, err)
	require.Equal(t, "aaaaAAAA", string(got))
	require.Same(t, &buf[0], &got[0], "dst was long enough and is not used")

	part := make([]byte, 3)
	require.NoError(t, f.ReadAt(part, "a", 3))
	require.Equal(t, "aAA", string(part))
	require.NoError(t, f.ReadAt(nil, "a", 8))
	for _, off := range []int64{-1, 6, 9, 1 << 62} {
		require.ErrorIs(t, f.ReadAt(part, "a", off), quant.ErrShape)
	}

	_, err = f.Read(nil, "c")
	requireRule(t, err, TensorNotFound)
	requireRule(t, f.ReadAt(part, "c", 0), TensorNotFound)
	_, ok := f.Lookup("c")
	require.False(t, ok)

	require.NoError(t, f.Close())
	_, err = f.Read(nil, "a")
	require.ErrorIs(t, err, fs.ErrClosed)
	require.Contains(t, err.Error(), "m.safetensors: a")
}

// A read of a file that was cut while it was open is an error, not a crash.
func TestFileShrinks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	require.NoError(t, WriteFile(path, nil, sample()...))
	f, err := Open(path)
	require.NoError(t, err)
	defer f.Close()
	b, _ := f.Lookup("b")
	require.NoError(t, os.Truncate(path, b.Offset+1))
	_, err = f.Read(nil, "a")
	require.NoError(t, err)
	_, err = f.Read(nil, "b")
	field := requireRule(t, err, MetadataIncompleteBuffer)
	require.Equal(t, path+": b", field.Name)
	requireRule(t, f.ReadAt(make([]byte, 1), "b", 2), MetadataIncompleteBuffer)
}

func TestNewOfAShorterReader(t *testing.T) {
	whole := raw(`{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, []byte{1})
	_, err := New(bytes.NewReader(whole[:4]), int64(len(whole)), "f")
	requireRule(t, err, HeaderTooSmall)
	_, err = New(bytes.NewReader(whole[:20]), int64(len(whole)), "f")
	requireRule(t, err, InvalidHeaderLength)
	_, err = New(failing{}, int64(len(whole)), "f")
	require.ErrorIs(t, err, errFailing)
	require.NotErrorIs(t, err, quant.ErrFormat)
}

var errFailing = errors.New("disk on fire")

type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, errFailing }
func (failing) Write([]byte) (int, error)         { return 0, errFailing }

func TestOpenOnlyRegularFiles(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(dir)
	require.ErrorIs(t, err, quant.ErrFormat)
	require.Contains(t, err.Error(), "regular file")
	_, err = Open(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	bad := filepath.Join(dir, "bad")
	require.NoError(t, os.WriteFile(bad, []byte("x"), 0o600))
	_, err = Open(bad)
	require.Equal(t, bad, requireRule(t, err, HeaderTooSmall).Name)
}

func TestShown(t *testing.T) {
	require.Equal(t, "model.layers.0", shown("model.layers.0"))
	require.Equal(t, `""`, shown(""))
	require.Equal(t, `"a b"`, shown("a b"))
	require.Equal(t, `"\x1b[31m"`, shown("\x1b[31m"))
	require.Equal(t, strings.Repeat("x", 160)+"...", shown(strings.Repeat("x", 1000)))
}
