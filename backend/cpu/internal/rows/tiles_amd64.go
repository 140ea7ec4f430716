package rows

import (
	"math"
	"slices"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
)

// dropSmallAVX512 is DropSmall.
//
//asmcheck:needs AVX512F,AVX512BW,AVX512DQ,AVX512VL
func dropSmallAVX512(x []float32, least float32) uint32 {
	var top [16]uint32
	asm.RowSmallAVX512(&x[0], uintptr(len(x)/16), math.Float32bits(least), &top)
	return slices.Max(top[:])
}

// tilesAVX512 is Tiles.
//
//asmcheck:needs AVX512F,AVX512BW,AVX512DQ,AVX512VL
func tilesAVX512(dst []byte, x []float32, order *Halves) {
	tiles := len(x) / asm.TilePairs
	dst = dst[:(tiles-1)*asm.TileBytes*asm.TileRows+asm.TileBytes]
	asm.RowTilesAVX512(&dst[0], &x[:tiles*asm.TilePairs][0], (*[asm.TilePairs]uint16)(order), uintptr(tiles))
}
