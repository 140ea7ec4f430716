package hugepage

import (
	"math"
	"slices"
	"sync"
	"unsafe"
)

// Arena gives blocks that share huge pages: one begins where the one before it
// ended, in mappings larger than both, so that the tails of blocks are in huge
// pages, too, and so are blocks smaller than one. The zero value is an empty
// Arena. It is safe for use by several goroutines and must not be copied once
// used.
//
// Blocks share transparent huge pages only; else Arena.Alloc is Alloc. The
// pages of a reserved pool are taken from others as soon as they are mapped, so
// that no mapping may be larger than what is asked for, and normal pages leave
// nothing to share.
//
// Closing a block gives back at once each huge page that no other block has
// bytes in. Those at its ends go when the neighbours there are closed: to take
// less than a huge page would cut it up for the open neighbour. So an Arena
// holds, beyond the bytes of its blocks, at most the rest of a huge page at each
// end of each of them, in whatever order they came and went, and without blocks
// it holds nothing. Address space is given back likewise, and is not used again
// before. What follows the newest block, less than 64 huge pages, is mapped and
// untouched, which counts only where the system limits what is mapped
// (RLIMIT_AS, vm.overcommit_memory 2). There are at most as many mappings as
// blocks, and one.
//
// A huge page in which two blocks meet is on the memory node of whoever first
// wrote to either of them in it.
type Arena struct {
	from *system // nil: systemMemory; tests have others

	mu     sync.Mutex
	newest *chunk   // where the next block begins; nil: in a new one
	owed   []*chunk // that the system refused to take pages of
	living int      // bytes of all blocks that are not closed
}

// system is what an Arena has its memory from.
type system struct {
	huge   int // bytes of a huge page that blocks can share; 0: they share none
	obtain func(bytes int) (mem []byte, mapped int, err error)
	unmap  func(start unsafe.Pointer, bytes int) error
}

var systemMemory = sync.OnceValue(func() *system {
	s := &system{obtain: obtain, unmap: unmap}
	if p := Available(); p.Kind == Transparent {
		s.huge = p.Size
	}
	return s
})

// chunkPages is how many huge pages a chunk has, or a multiple of it: the one
// that its last block leaves partly empty is little beside them, and they are
// little to have mapped in vain, 128 MiB as a rule.
const chunkPages = 64

// aloneBelow is the part of a huge page, 1/4, that the blocks of an Arena must
// be as large as together before one begins a huge page; until then they are by
// themselves. So one layer of 100 KiB does not hold 2 MiB, and many such layers
// are in huge pages but for the first few.
const aloneBelow = 4

// Alloc is the function Alloc, for a block that may share huge pages with
// others of the Arena: it starts at a multiple of Align only. Where the system
// has no room for a mapping that can be shared, the block gets one of its own.
func (a *Arena) Alloc(bytes int) (*Block, error) {
	from := a.from
	if from == nil {
		from = systemMemory()
	}
	if from.huge == 0 || bytes <= 0 || bytes > math.MaxInt>>1 || raceDetector && bytes < watched {
		return Alloc(bytes)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	b := &Block{arena: a}
	if c := a.room(from, bytes); c != nil {
		b.mem, b.in = c.add(bytes), c
	} else {
		alone, err := Alloc(bytes)
		if err != nil {
			return nil, err
		}
		b.mem, b.mapped = alone.mem, alone.mapped
	}
	a.living += bytes
	return b, nil
}

// room returns a chunk that the block fits in, nil where it is to be alone.
func (a *Arena) room(from *system, bytes int) *chunk {
	begun, left := 0, 0 // bytes after the newest block: in its last huge page, in its chunk
	if a.newest != nil {
		begun, left = a.newest.left()
	}
	if bytes > begun && a.living+bytes < from.huge/aloneBelow {
		return nil
	}
	if bytes <= left {
		return a.newest
	}
	mem, _, err := from.obtain(roundUp(bytes, chunkPages*from.huge))
	if err != nil {
		return nil
	}
	if full := a.newest; full != nil {
		full.end()
		_ = a.settle(full) // none of its blocks is closed by this; what fails is owed
	}
	a.newest = &chunk{from: from, start: unsafe.Pointer(unsafe.SliceData(mem)), users: make([]int, len(mem)/from.huge)}
	return a.newest
}

// release takes back a block that is being closed.
func (a *Arena) release(b *Block) error {
	a.mu.Lock() // while the system unmaps, too, which does one thing at a time itself
	defer a.mu.Unlock()
	a.living -= len(b.mem)
	if b.in == nil {
		return b.unmap()
	}
	if b.in.remove(b.mem); b.in.blocks == 0 {
		b.in.end()
		if a.newest == b.in {
			a.newest = nil
		}
	}
	return a.settle(b.in)
}

// settle gives back what c need not have any more, and with it what could not
// be given back before: a process may have as many mappings as it is allowed,
// and a hole in one makes it two. That error was returned then.
func (a *Arena) settle(c *chunk) error {
	err := c.giveBack()
	a.owed = slices.DeleteFunc(a.owed, func(o *chunk) bool { return o == c || o.giveBack() == nil })
	if err != nil {
		a.owed = append(a.owed, c)
	}
	return err
}
