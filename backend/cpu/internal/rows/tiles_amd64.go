package rows

import (
	"math"
	"slices"
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
)

// fastTiles is Tiles.
//
//asmcheck:needs AVX2,FMA3,F16C,AVX512F,AVX512BW,AVX512DQ,AVX512VL
func (p *Plan) fastTiles(dst *Parted, x, scratch []byte, order *Halves, least float32) uint32 {
	f := &p.form
	row, _ := p.fastPlaced(x, scratch, f.X.Size())
	return tilesAVX512(dst, unsafe.Pointer(&row[:f.Width*f.X.Size()][0]), f.X, PartsOf(f.X), f.Width/asm.TilePairs, order, least)
}

// tilesAVX512 is Tiles for a row of so many tiles of values of a type.
//
//asmcheck:needs AVX512F,AVX512BW,AVX512DQ,AVX512VL
func tilesAVX512(dst *Parted, x unsafe.Pointer, t dtype.DType, parts, tiles int, order *Halves, least float32) uint32 {
	var top [16]uint32
	c := asm.TileRow{X: x, Tiles: uintptr(tiles), Order: (*[asm.TilePairs]uint16)(order), Top: &top, Least: math.Float32bits(least)}
	for i, to := range dst[:parts] {
		c.To[i] = &to[:(tiles-1)*asm.TileBytes*asm.TileRows+asm.TileBytes][0]
	}
	switch {
	case t == dtype.BF16:
		asm.RowTilesBF16AVX512(&c)
	case t == dtype.F16:
		asm.RowTilesF16AVX512(&c)
	case parts == 1:
		asm.RowTilesWidenedAVX512(&c)
	default:
		asm.RowTilesF32AVX512(&c)
	}
	return slices.Max(top[:])
}

// partsAVX512 is Parts.
//
//asmcheck:needs AVX512F,AVX512BW,AVX512DQ,AVX512VL
func partsAVX512(x []float32, width, parts, stride int, least float32) uint32 {
	var top [16]uint32
	asm.RowPartsAVX512(&x[0], uintptr(width/16), uintptr(parts), uintptr(4*stride), math.Float32bits(least), &top)
	return slices.Max(top[:])
}
