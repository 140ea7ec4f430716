// Package hugepage gives blocks of memory outside Go's heap, in huge pages
// where the system has them: reading weights from memory then costs few walks
// of page tables, and the collector has nothing to do with them.
//
// A block by itself, of Alloc, starts at a multiple of a huge page's size if it
// is as large as one. Its whole huge pages are asked for as such, and what is
// beyond the last one is in normal pages; a smaller block is in normal pages. So
// it never holds a page of normal size more than its bytes. Blocks of an Arena
// are one behind another and share huge pages, so that they are in them to
// their last bytes, where the system gives huge pages on request.
//
// Blocks are not touched here, but for those from a reserved pool: the first
// write of a page decides on which memory node it is. The pool is used only
// where huge pages cannot be had otherwise, as it may be meant for others, and
// only on machines with one node. Its pages are touched at once, as running out
// of them later would be a fault.
//
// Outside Linux and macOS blocks are in Go's heap, and so are those under 1 MiB
// in a program built with the race detector, which watches no other memory.
package hugepage

import (
	"fmt"
	"math"
	"sync/atomic"
	"unsafe"
)

// Align is what the address of every block is a multiple of, in bytes.
const Align = 4096

// Block is a piece of memory. Its methods are safe for use by several
// goroutines.
type Block struct {
	mem    []byte
	mapped int    // bytes to unmap; 0: Go's memory, or a part of in
	arena  *Arena // that counts it, if any
	in     *chunk // of arena; nil: the block is by itself
	closed atomic.Bool
}

// watched is the size below which a block is in Go's heap under the race
// detector.
const watched = 1 << 20

// Alloc returns a block of zero bytes, which Close must free: the collector
// does not. bytes may be 0. Its error says why the system gave none.
func Alloc(bytes int) (*Block, error) {
	if bytes < 0 || bytes > math.MaxInt>>1 { // so that rounding up cannot wrap around
		return nil, fmt.Errorf("%d bytes cannot be addressed", bytes)
	}
	if bytes == 0 {
		return &Block{mem: []byte{}}, nil
	}
	if raceDetector && bytes < watched {
		return &Block{mem: heap(bytes)}, nil
	}
	mem, mapped, err := obtain(bytes)
	if err != nil {
		return nil, fmt.Errorf("%d bytes: %w", bytes, err)
	}
	return &Block{mem: mem, mapped: mapped}, nil
}

// heap returns memory of Go's heap.
func heap(bytes int) []byte {
	b := make([]byte, bytes+Align-1)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % Align)
	return b[skip:][:bytes:bytes]
}

// Bytes returns the memory, nil after Close. A slice of it kept beyond Close
// must not be touched: that is a fault, but where the block shared a huge page
// with one that is still open. There it is what it was, until that page goes.
func (b *Block) Bytes() []byte {
	if b.closed.Load() {
		return nil
	}
	return b.mem
}

// Close gives the memory back to the system, but for huge pages that other
// blocks of its Arena have bytes in. It is idempotent: the error of the first
// call, by which the system refuses to take memory back, is returned once.
func (b *Block) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	if b.arena != nil {
		return b.arena.release(b)
	}
	return b.unmap()
}

// unmap gives back what the block has by itself.
func (b *Block) unmap() error {
	if b.mapped == 0 {
		return nil
	}
	return unmap(unsafe.Pointer(unsafe.SliceData(b.mem)), b.mapped)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
