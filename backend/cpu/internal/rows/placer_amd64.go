package rows

import (
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
)

// vectorBytes is what the kernels that put rows in their places take of each at a time.
const vectorBytes = 32

func placesRows() bool { return hasAVX2() }

// placeColumns writes the columns of all values but the last, less than a vector, and returns how
// many.
func (a *Placer) placeColumns(columns []byte, rows *[columnBytes / 2]unsafe.Pointer) int {
	n := a.k * a.size / vectorBytes
	if n == 0 || !hasAVX2() {
		return 0
	}
	to := unsafe.Pointer(unsafe.SliceData(columns))
	if a.size == 2 {
		asm.PlaceColumns16AVX2(to, rows, uintptr(n))
	} else {
		asm.PlaceColumns32AVX2(to, (*[columnBytes / 4]unsafe.Pointer)(rows[:]), uintptr(n))
	}
	return n * vectorBytes / a.size
}

// placeRows writes the rows of columns in their places.
func (a *Placer) placeRows(placed, columns []byte) {
	if !hasAVX2() {
		a.plainPlaceRows(placed, columns)
		return
	}
	to, from := unsafe.Pointer(unsafe.SliceData(placed)), unsafe.Pointer(unsafe.SliceData(columns))
	step, n := uintptr(a.Stride()), uintptr(a.Stride()/vectorBytes)
	if a.size == 2 {
		asm.PlaceRows16AVX2(to, step, from, &a.places[0], n)
	} else {
		asm.PlaceRows32AVX2(to, step, from, &a.places[0], n)
	}
}
