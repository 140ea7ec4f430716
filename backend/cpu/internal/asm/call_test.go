package asm

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// The generator has these offsets as constants (_gen/call.go).
func TestOffsets(t *testing.T) {
	var c Call
	for i, at := range []uintptr{
		unsafe.Offsetof(c.W), unsafe.Offsetof(c.WStep), unsafe.Offsetof(c.X), unsafe.Offsetof(c.XStep),
		unsafe.Offsetof(c.Blocks), unsafe.Offsetof(c.Count), unsafe.Offsetof(c.Side), unsafe.Offsetof(c.Scales),
		unsafe.Offsetof(c.SStep), unsafe.Offsetof(c.Y), unsafe.Offsetof(c.YStep), unsafe.Offsetof(c.Form), unsafe.Offsetof(c.Zero), unsafe.Offsetof(c.Ahead), unsafe.Offsetof(c.Next),
		unsafe.Offsetof(c.Rows), unsafe.Offsetof(c.Spare), unsafe.Offsetof(c.Soon), unsafe.Offsetof(c.SoonStep), unsafe.Offsetof(c.Share),
		unsafe.Offsetof(c.Tiles), unsafe.Offsetof(c.TileBytes), unsafe.Offsetof(c.First), unsafe.Offsetof(c.Segments), unsafe.Offsetof(c.Places), unsafe.Offsetof(c.PlaceCount),
		unsafe.Offsetof(c.Pace),
	} {
		require.Equal(t, uintptr(8*i), at)
	}
	var b Block
	require.Equal(t, uintptr(4), unsafe.Offsetof(b.Segments))
	require.Equal(t, uintptr(5), unsafe.Offsetof(b.Ends))
	require.Equal(t, uintptr(6), unsafe.Offsetof(b.Features))
	require.Equal(t, uintptr(8), unsafe.Sizeof(b))
}

// TestPass moves calls on by some rows, with and without what integer kernels read besides.
func TestPass(t *testing.T) {
	x, side := make([]byte, 100), make([]byte, 100)
	c := Call{X: unsafe.Pointer(&x[1]), XStep: 10, SStep: 20}
	c.Pass(3)
	require.Equal(t, Call{X: unsafe.Pointer(&x[31]), XStep: 10, SStep: 20}, c)
	c = Call{X: unsafe.Pointer(&x[1]), Side: unsafe.Pointer(&side[2]), Scales: unsafe.Pointer(&side[4]), XStep: 10, SStep: 20}
	c.Pass(4)
	require.Equal(t, Call{X: unsafe.Pointer(&x[41]), Side: unsafe.Pointer(&side[82]), Scales: unsafe.Pointer(&side[84]), XStep: 10, SStep: 20}, c)
}
