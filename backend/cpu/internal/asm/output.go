package asm

import "unsafe"

// Output is what a Finish function works on: rows of the sums of tiles, 16
// columns each. All steps are bytes, and nothing needs an alignment but that of its
// elements.
type Output struct {
	Y          *float32       // [Rows][16·Tiles] sums
	YStep      uintptr        // from row to row
	Dst        unsafe.Pointer // [Rows][16·Tiles] of the function's type
	DstStep    uintptr        // from row to row
	Scales     *float32       // a factor of each row; nil: none
	ScalesStep uintptr        // from one to the next
	Bias       *float32       // [16·Tiles] added to each row; nil: none
	Rows       uintptr        // at least 1
	Tiles      uintptr        // of columns, at least 1
}
