//go:build linux && xpu

package cabi

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlaces(t *testing.T) {
	t.Setenv("BITLANE_XPU_SHIM", "")
	executable, err := os.Executable()
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(filepath.Dir(executable), "libbitlane_xpu.so"), "libbitlane_xpu.so"}, places("xpu"))
	t.Setenv("BITLANE_XPU_SHIM", "/a/shim.so")
	require.Equal(t, []string{"/a/shim.so"}, places("xpu"))
	_, _, err = Load("xpu")
	require.EqualError(t, err, "the shim libbitlane_xpu.so cannot be loaded; make csrc writes bin/libbitlane_xpu.so: set BITLANE_XPU_SHIM to it or copy it beside the program (looked where BITLANE_XPU_SHIM says: /a/shim.so: cannot open shared object file: No such file or directory)")
}

// Functions of the C library stand for a shim's.
func TestCall(t *testing.T) {
	t.Setenv("BITLANE_XPU_SHIM", "libc.so.6")
	address, path, err := Load("xpu")
	require.NoError(t, err)
	require.Equal(t, "libc.so.6", path)
	_, err = NewTable([]Func{{Name: "abs"}, {Name: "bitlane_none"}}, address)
	require.EqualError(t, err, "the shim lacks bitlane_none")
	_, err = NewTable([]Func{{Name: "bitlane_one"}, {Name: "abs"}, {Name: "bitlane_none"}}, address)
	require.EqualError(t, err, "the shim lacks bitlane_one and 1 more of 3 functions")
	table, err := NewTable([]Func{{Name: "labs", Result: I64, Args: []Kind{I64}}}, address)
	require.NoError(t, err)
	f := NewFrame()
	minus := -7
	require.EqualValues(t, 7, table.Call(f, 0, uintptr(minus)))
	require.Zero(t, testing.AllocsPerRun(100, func() { table.Call(f, 0, uintptr(minus)) }))
	require.Panics(t, func() { table.Call(f, 0) })
	require.Panics(t, func() { table.Call(f, 0, 1, 2) })
}

func BenchmarkCall(b *testing.B) {
	b.Setenv("BITLANE_XPU_SHIM", "libc.so.6")
	address, _, err := Load("xpu")
	require.NoError(b, err)
	table, err := NewTable([]Func{{Name: "labs", Result: I64, Args: []Kind{I64}}}, address)
	require.NoError(b, err)
	f := NewFrame()
	b.ReportAllocs()
	for b.Loop() {
		table.Call(f, 0, 7)
	}
}
