//go:build interop

package interop_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
)

// written is the folder with the files of write_files.py, made once.
var written string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "bitlane-interop-")
	if err != nil {
		panic(err)
	}
	cmd := python(context.Background(), "write_files.py", dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		os.Stderr.WriteString("write_files.py: " + err.Error() + "\nBITLANE_PYTHON names a Python with the packages of interop/requirements.txt: make tools, then make interop\n")
		os.Exit(1)
	}
	written = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// python runs a script of this folder with the interpreter BITLANE_PYTHON.
func python(ctx context.Context, script string, args ...string) *exec.Cmd {
	interpreter := os.Getenv("BITLANE_PYTHON")
	if interpreter == "" {
		interpreter = "python3"
	}
	return exec.CommandContext(ctx, interpreter, append([]string{script}, args...)...)
}

// readByReference parses files with the reference parser.
func readByReference(t *testing.T, paths ...string) map[string]readResult {
	cmd := python(t.Context(), "read_files.py", paths...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	result := map[string]readResult{}
	require.NoError(t, json.Unmarshal(out, &result))
	require.Len(t, result, len(paths))
	return result
}

type readResult struct {
	Error    string
	Tensors  map[string]readTensor
	Metadata map[string]string
}

type readTensor struct {
	DType  string
	Shape  []int64
	SHA256 string
}

// glob returns the written files that match a pattern, at least one.
func glob(t *testing.T, pattern string) []string {
	paths, err := filepath.Glob(filepath.Join(written, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, paths, pattern)
	return paths
}

// file is a safetensors file of expected values.
type file struct {
	t *testing.T
	*safetensors.File
}

func open(t *testing.T, path string) file {
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return file{t, f}
}

func (f file) bytes(name string) []byte {
	b, err := f.Read(nil, name)
	require.NoError(f.t, err)
	return b
}

func (f file) int8s(name string) []int8 {
	b := f.bytes(name)
	v := make([]int8, len(b))
	for i := range b {
		v[i] = int8(b[i])
	}
	return v
}

func (f file) floats(name string) ([]float32, dtype.DType) {
	info, ok := f.Lookup(name)
	require.True(f.t, ok, name)
	d, ok := info.Type.DType()
	require.True(f.t, ok, "%s is %s", name, info.Type)
	b := f.bytes(name)
	v := make([]float32, len(b)/d.Size())
	dtype.Decode(d, v, b)
	return v, d
}

func (f file) shape(name string) (rows, cols int) {
	info, ok := f.Lookup(name)
	require.True(f.t, ok, name)
	require.Len(f.t, info.Shape, 2)
	return int(info.Shape[0]), int(info.Shape[1])
}
