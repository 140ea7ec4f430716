package quantize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// failing is the system's disk until left operations are done; then every one fails
// with err, but for those that clean up or put back.
type failing struct {
	system
	left *int
	err  error
	half bool // a write that fails has written half of it
}

func (f failing) take() error {
	if *f.left--; *f.left < 0 {
		return f.err
	}
	return nil
}

func (f failing) Mkdir(path string) error {
	if err := f.take(); err != nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return f.system.Mkdir(path)
}

func (f failing) Rename(from, to string) error {
	if err := f.take(); err != nil && *f.left == -1 { // and back it goes
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return f.system.Rename(from, to)
}

func (f failing) Create(path string) (file, error) {
	if err := f.take(); err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	real, err := f.system.Create(path)
	return failingFile{real, f, path}, err
}

type failingFile struct {
	file
	failing
	path string
}

func (f failingFile) Write(p []byte) (int, error) {
	if err := f.take(); err != nil {
		n := 0
		if f.half {
			n, _ = f.file.Write(p[:len(p)/2])
		}
		return n, &fs.PathError{Op: "write", Path: f.path, Err: err}
	}
	return f.file.Write(p)
}

func (f failingFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.take(); err != nil {
		n := 0
		if f.half {
			n, _ = f.file.WriteAt(p[:len(p)/2], off)
		}
		return n, &fs.PathError{Op: "write", Path: f.path, Err: err}
	}
	return f.file.WriteAt(p, off)
}

func (f failingFile) Sync() error {
	if err := f.take(); err != nil {
		return &fs.PathError{Op: "sync", Path: f.path, Err: err}
	}
	return f.file.Sync()
}

func (f failingFile) Close() error {
	err := f.file.Close()
	if bad := f.take(); bad != nil {
		return &fs.PathError{Op: "close", Path: f.path, Err: bad}
	}
	return err
}

// contents reads all files below dir.
func contents(t *testing.T, dir string) map[string]string {
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	}))
	return all
}

// A disk that is full from any operation on leaves nothing behind and takes nothing
// away: neither of a new directory nor of one that was to be replaced.
func TestFullDisk(t *testing.T) {
	in := llama(t).write()
	parent := filepath.Dir(in)
	out := filepath.Join(parent, "out")
	for _, replace := range []bool{false, true} {
		o := Options{Settings: Settings{Group: 32}, ShardSize: 20000, Replace: true}
		if replace {
			_, err := Model(t.Context(), in, out, o)
			require.NoError(t, err)
		}
		before := contents(t, parent)
		for n := 0; ; n++ {
			left := n
			o.Format = CompressedTensors
			o.disk = failing{left: &left, err: syscall.ENOSPC, half: n%2 == 0}
			_, err := Model(t.Context(), in, out, o)
			if err == nil {
				require.Greater(t, n, 50, "every operation failed once")
				break
			}
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.ErrorContains(t, err, parent, "the file is named")
			require.Equal(t, before, contents(t, parent), "after operation %d: %v", n, err)
		}
		require.NotEqual(t, before, contents(t, parent))
		require.NoError(t, os.RemoveAll(out))
	}
}

// What cannot be cleaned up is said.
func TestWhatIsLeftBehindIsNamed(t *testing.T) {
	in := llama(t).write()
	left := 8
	_, err := Model(t.Context(), in, filepath.Join(filepath.Dir(in), "out"), Options{Settings: Settings{Group: 32}, disk: stuck{failing{left: &left, err: syscall.EIO}}})
	require.ErrorIs(t, err, syscall.EIO)
	require.ErrorContains(t, err, ".tmp is left behind: ")
}

type stuck struct{ failing }

func (s stuck) RemoveAll(path string) error { return s.err }

// An interrupt between or inside of layers leaves nothing.
func TestInterrupted(t *testing.T) {
	in := llama(t).write()
	parent := filepath.Dir(in)
	before := contents(t, parent)
	for stop := 1; stop < 16; stop++ {
		ctx, cancel := context.WithCancel(t.Context())
		o := Options{Settings: Settings{Group: 32}, Progress: func(s Step) {
			if s.Number == stop {
				cancel()
			}
		}}
		_, err := Model(ctx, in, filepath.Join(parent, "out"), o)
		require.ErrorIs(t, err, context.Canceled, stop)
		require.Equal(t, before, contents(t, parent))
		cancel()
	}
}

// Who makes out while this one works is not written over, and is said to have.
func TestMadeMeanwhile(t *testing.T) {
	in := llama(t).write()
	out := filepath.Join(filepath.Dir(in), "out")
	for _, file := range []string{filepath.Join(out, "file"), filepath.Join(out, "again")} { // first of a new one
		o := Options{Settings: Settings{Group: 32}}
		if file != filepath.Join(out, "file") {
			require.NoError(t, os.RemoveAll(out))
			_, err := Model(t.Context(), in, out, o)
			require.NoError(t, err)
			o.Replace, o.disk = true, raced{file: file}
		} else {
			o.Progress = func(Step) {
				require.NoError(t, os.MkdirAll(out, 0o777))
				require.NoError(t, os.WriteFile(file, nil, 0o666))
			}
		}
		_, err := Model(t.Context(), in, out, o)
		require.ErrorIs(t, err, fs.ErrExist)
		require.ErrorContains(t, err, "another process made "+out+" meanwhile: ")
		require.FileExists(t, file)
	}
}

// raced makes a file in what is renamed away, as soon as it is.
type raced struct {
	system
	file string
}

func (r raced) Rename(from, to string) error {
	err := r.system.Rename(from, to)
	if err == nil && from == filepath.Dir(r.file) {
		err = errors.Join(os.Mkdir(from, 0o777), os.WriteFile(r.file, nil, 0o666))
	}
	return err
}

// unwritable denies what a directory without permission denies.
type unwritable struct{ system }

func (unwritable) Mkdir(path string) error {
	return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.EACCES}
}

// Places that cannot be written, or must not be.
func TestPlaces(t *testing.T) {
	in := llama(t).write()
	parent := filepath.Dir(in)
	at := func(name string) string { return filepath.Join(parent, name) }
	require.NoError(t, os.WriteFile(at("file"), nil, 0o666))
	require.NoError(t, os.MkdirAll(at("full/x"), 0o777))
	require.NoError(t, os.Symlink(in, at("link")))
	require.NoError(t, os.Symlink("nowhere", at("gone")))
	require.NoError(t, os.MkdirAll(at("plain"), 0o777))
	require.NoError(t, safetensors.WriteFile(at("plain/model.safetensors"), nil))
	require.NoError(t, os.MkdirAll(at("torn"), 0o777))
	require.NoError(t, safetensors.WriteFile(at("torn/model.safetensors"), nil))
	require.NoError(t, os.WriteFile(at("torn/config.json"), []byte(`{"torch_dtype":`), 0o666))
	require.NoError(t, os.MkdirAll(at("elsewhere"), 0o777))
	require.NoError(t, os.Symlink(at("elsewhere"), at("link-to-empty")))
	require.NoError(t, os.Symlink(at("plain"), at("link-to-plain")))
	require.NoError(t, os.WriteFile(at("plain/config.json"), []byte("{}"), 0o666))
	before := contents(t, parent)
	for _, c := range []struct {
		out   string
		force bool
		want  string
	}{
		{"in", false, "the input itself"},
		{"link", true, "the input itself"},
		{"in/out", true, "inside " + in},
		{"in/sub/out", true, "inside " + in},
		{"link/out", true, "inside "},
		{"file", true, "a file, want a name that is free"},
		{"gone", true, "a link to nowhere"},
		{"link-to-empty", false, "a link to a directory, want a directory, or a name that is free"},
		{"link-to-plain", true, "a link to a directory, want a directory, or a name that is free"},
		{"full", false, "a directory that is not empty, want a name that is free, an empty directory, or the leave to replace a quantized model (Options.Replace, --force)"},
		{"full", true, "another directory: "},
		{"plain", true, "a plain one"},
		{"torn", true, "one that cannot be told: "},
		{".", true, "a directory that does not hold the input"},
		{"none/out", false, "none, in which it is to be made, does not exist"},
		{"file/out", false, "not a directory"},
	} {
		_, err := Model(t.Context(), in, at(c.out), Options{Settings: Settings{Group: 32}, Replace: c.force})
		require.Error(t, err, c.out)
		require.ErrorContains(t, err, c.want, c.out)
		require.Equal(t, before, contents(t, parent), c.out)
	}
	_, err := Model(t.Context(), in, at("out"), Options{Settings: Settings{Group: 32}, disk: unwritable{}})
	require.ErrorIs(t, err, fs.ErrPermission)

	require.NoError(t, os.Mkdir(at("empty"), 0o777))
	_, err = Model(t.Context(), in, at("empty"), Options{Settings: Settings{Group: 32}})
	require.NoError(t, err)
	_, err = Model(t.Context(), in, at("empty"), Options{Settings: Settings{Group: 64}})
	require.ErrorContains(t, err, "--force")
	r, err := Model(t.Context(), in, at("empty"), Options{Settings: Settings{Group: 64}, Replace: true})
	require.NoError(t, err)
	require.Equal(t, 64, r.Layers[0].Group)
	for _, own := range []string{"NOTES.md", ".git/config", "sub/z"} {
		path := filepath.Join(at("empty"), own)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, nil, 0o666))
		before := contents(t, parent)
		_, err = Model(t.Context(), in, at("empty"), Options{Settings: Settings{Group: 64}, Replace: true})
		require.ErrorIs(t, err, quant.ErrUnsupported)
		require.ErrorContains(t, err, "a directory with 1 file of its own, the first is "+strings.Split(own, "/")[0])
		require.Equal(t, before, contents(t, parent))
		require.NoError(t, os.RemoveAll(filepath.Join(at("empty"), strings.Split(own, "/")[0])))
	}
	_, err = Model(t.Context(), at("empty"), at("twice"), Options{})
	require.ErrorContains(t, err, "format is gptq, want a plain model")
	require.NotContains(t, fmt.Sprint(entries(t, parent)), ".tmp")
	require.False(t, errors.Is(err, fs.ErrNotExist))
}
