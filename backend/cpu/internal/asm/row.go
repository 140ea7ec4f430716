package asm

import "unsafe"

// Element is how the values of a row of x are stored.
type Element uint64

const (
	ElementF32 Element = iota
	ElementF16
	ElementBF16
)

// Run is a segment of a row that is quantized, in steps of 8 values.
type Run struct {
	Steps uint32 // at least 1
	Group uint32 // steps of the group under one scale that begins here; 0: it goes on
}

// Row is what the kernels that quantize one row of x work on. They write the
// code of every value, and for each run
//
//	S    = Σ(code − Zero)
//	side = S·Times & Keep | Add
//
// in int32. With Times −z and Keep all ones that is the correction of
// ZeroConstant, with −1 and 0xffff that of ZeroBytes, and with Add −Zero<<16
// that of ZeroPairs. A value of 0 has the code Zero, so padding adds nothing.
type Row struct {
	X      unsafe.Pointer // values, 8 for each step of the runs; any alignment
	Codes  *int8          // as many codes
	Runs   *Run
	Count  uintptr  // runs, at least 1
	Side   *int32   // [Count]
	Scales *float32 // [Count]: the scale of each run's group; RowGroups only
	Type   Element  // of X; not for RowFlat
	Factor float32  // what values are divided or multiplied by; not for RowGroups
	Zero   int32    // the zero point; 0 but for RowAsym
	Times  int32
	Keep   uint32
	Add    uint32
	_      uint32

	// Order has the place in X of each value, nil where they are as they stand. It is for
	// RowDivide, RowDivideRound and RowAsym of AVX-512 alone, with gathers, and makes them read
	// 2 bytes behind values of 16 bits.
	Order *int32
}

// DivideLeast and DivideMost bound Row.Factor for the kernels of AVX-512 that divide.
const DivideLeast, DivideMost = 0x1p-100, 0x1p100

// Product is what the kernels that multiply a matrix with 16 columns of
// another one work on: C [Rows, 16] = A [Rows, K] · B [K, 16], float32.
// Steps are bytes from row to row; the rows of B follow each other. Kernels of
// 32 columns have 16 more of C and B elsewhere.
type Product struct {
	C     *float32
	CStep uintptr
	A     *float32
	AStep uintptr
	B     *float32
	K     uintptr // at least 1
	Rows  uintptr // at least 1
	CNext uintptr // bytes to the other columns of C; 32 columns only
	BNext uintptr // likewise of B
}

// TileRow is what the kernels that write a row of x to tiles of pairs work on. A tile has
// TilePairs features, of which a row has TileBytes; the next is TileRows times as many bytes
// behind.
type TileRow struct {
	X     unsafe.Pointer     // values, any alignment
	Tiles uintptr            // of TilePairs values, at least 1
	To    [3]*byte           // where each part's first tile is
	Order *[TilePairs]uint16 // the place of each half of a pair among the halves of as many float32
	Top   *[16]uint32        // gets the largest magnitudes, among values that are 16 apart, as float32
	Least uint32             // the float32 below which magnitudes count as 0
	_     uint32
}
