//go:build linux && xpu

package xpu

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/csrc/xpu/build"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/cabi"
)

// TestMain finds a real oneDNN, if there is one, and the shim.
func TestMain(m *testing.M) {
	if err := build.Restart(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Getenv("BITLANE_XPU_SHIM") == "" {
		dir, err := os.MkdirTemp("", "bitlane-xpu-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		path, err := build.Library(dir)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		os.Setenv("BITLANE_XPU_SHIM", path)
	}
	return m.Run()
}

// rig is an engine with a stream.
type rig struct {
	t       testing.TB
	s       *Shim
	f       *cabi.Frame
	library uintptr
	engine  uintptr
	stream  uintptr
}

// open makes an engine of the library at path; "" is the real one.
func open(t testing.TB, path string, kind int32) *rig {
	s, err := Open()
	require.NoError(t, err)
	r := &rig{t: t, s: s, f: cabi.NewFrame()}
	r.library, err = s.LibraryOpen(r.f, path)
	require.NoError(t, err)
	r.engine, err = s.EngineCreate(r.f, r.library, kind, 0)
	require.NoError(t, err)
	r.stream, err = s.StreamCreate(r.f, r.engine)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.StreamDestroy(r.f, r.stream))
		require.NoError(t, s.EngineDestroy(r.f, r.engine))
		require.Equal(t, Counts{}, s.LibraryAlive(r.f, r.library))
		require.NoError(t, s.LibraryClose(r.f, r.library))
	})
	return r
}

// real makes an engine of oneDNN's on the CPU, or skips.
func real(t testing.TB) *rig {
	if os.Getenv(build.Variable) == "" {
		t.Skipf("%s is not set: make tools installs oneDNN, make xpu sets it", build.Variable)
	}
	return open(t, "", CPU)
}

// alloc returns device memory that holds b; it is freed at the end.
func (r *rig) alloc(b []byte) uintptr {
	memory, p, err := r.s.MemoryAlloc(r.f, r.engine, int64(max(len(b), 1)))
	require.NoError(r.t, err)
	require.Zero(r.t, p%256)
	r.t.Cleanup(func() { r.s.MemoryFree(r.f, memory) })
	require.NoError(r.t, r.s.Upload(r.f, r.stream, p, b))
	return p
}

// room returns device memory of bytes that hold 0xa5.
func (r *rig) room(bytes int) uintptr {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = 0xa5
	}
	return r.alloc(b)
}

func (r *rig) read(p uintptr, bytes int) []byte {
	b := make([]byte, bytes)
	require.NoError(r.t, r.s.Download(r.f, r.stream, b, p))
	return b
}

// types are dtype's names of the shim's types.
var types = map[int64]dtype.DType{F32: dtype.F32, F16: dtype.F16, BF16: dtype.BF16}

// encode returns values in type t; they are rounded to it.
func encode(t int64, values []float32) []byte {
	b := make([]byte, len(values)*types[t].Size())
	dtype.Encode(types[t], b, values)
	return b
}

func decode(t int64, b []byte) []float32 {
	values := make([]float32, len(b)/types[t].Size())
	dtype.Decode(types[t], values, b)
	return values
}
