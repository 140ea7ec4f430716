package asm

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// The generator has these offsets as constants (_gen/rows_row.go, _gen/rows_tiles.go
// and _gen/rows_product.go).
func TestRowOffsets(t *testing.T) {
	var r Row
	for i, at := range []uintptr{
		unsafe.Offsetof(r.X), unsafe.Offsetof(r.Codes), unsafe.Offsetof(r.Runs), unsafe.Offsetof(r.Count),
		unsafe.Offsetof(r.Side), unsafe.Offsetof(r.Scales), unsafe.Offsetof(r.Type), unsafe.Offsetof(r.Factor),
	} {
		require.Equal(t, uintptr(8*i), at)
	}
	for i, at := range []uintptr{
		unsafe.Offsetof(r.Factor), unsafe.Offsetof(r.Zero), unsafe.Offsetof(r.Times), unsafe.Offsetof(r.Keep), unsafe.Offsetof(r.Add),
	} {
		require.Equal(t, uintptr(56+4*i), at)
	}
	require.Equal(t, uintptr(80), unsafe.Offsetof(r.Order))
	var tile TileRow
	for i, at := range []uintptr{
		unsafe.Offsetof(tile.X), unsafe.Offsetof(tile.Tiles), unsafe.Offsetof(tile.To), unsafe.Offsetof(tile.To) + 8, unsafe.Offsetof(tile.To) + 16,
		unsafe.Offsetof(tile.Order), unsafe.Offsetof(tile.Top), unsafe.Offsetof(tile.Least),
	} {
		require.Equal(t, uintptr(8*i), at)
	}
	var run Run
	require.Equal(t, uintptr(4), unsafe.Offsetof(run.Group))
	require.Equal(t, uintptr(8), unsafe.Sizeof(run))
	var p Product
	for i, at := range []uintptr{
		unsafe.Offsetof(p.C), unsafe.Offsetof(p.CStep), unsafe.Offsetof(p.A), unsafe.Offsetof(p.AStep),
		unsafe.Offsetof(p.B), unsafe.Offsetof(p.K), unsafe.Offsetof(p.Rows), unsafe.Offsetof(p.CNext), unsafe.Offsetof(p.BNext),
	} {
		require.Equal(t, uintptr(8*i), at)
	}
}
