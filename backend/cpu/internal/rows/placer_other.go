//go:build !amd64

package rows

import "unsafe"

// placesRows says that there are no kernels that put several rows in their places at once: no Plan
// has a Placer.
func placesRows() bool { return false }

func (a *Placer) placeColumns([]byte, *[columnBytes / 2]unsafe.Pointer) int { return 0 }

func (a *Placer) placeRows(placed, columns []byte) { a.plainPlaceRows(placed, columns) }
