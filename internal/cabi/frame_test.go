//go:build linux && xpu

package cabi

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestFrame(t *testing.T) {
	f := NewFrame()
	*(*uintptr)(unsafe.Pointer(&f.outs[1])) = 7
	require.EqualValues(t, 7, f.Result(1))
	require.NotZero(t, f.Out(1))
	require.Zero(t, f.Result(1))
	copy(f.text[:], "text\x00behind")
	require.Equal(t, "text", f.String())
	f.Text()
	require.Empty(t, f.String())
	for i := range f.text {
		f.text[i] = 'x'
	}
	require.Len(t, f.String(), int(f.TextBytes()))
	b := make([]byte, 1)
	require.Equal(t, uintptr(unsafe.Pointer(&b[0])), f.Keep(0, unsafe.Pointer(&b[0])))
	f.Drop()
	require.Nil(t, f.keep[0])
}
