package asm

import (
	"testing"
	"unsafe"
)

// What is fetched need not be there.
func TestFetchNowhere(t *testing.T) {
	var nowhere unsafe.Pointer
	Fetch(0, 0)
	Fetch(0, 9)
	FetchRows(nowhere, 1<<20, 1)
	FetchRows(nowhere, 1<<20, 9)
}
