package hugepage

import (
	"errors"
	"unsafe"
)

// chunk is a mapping of whole huge pages in which blocks are one behind
// another. What a block had is not handed out again: the memory of the next one
// is zero because nobody has touched it. Its Arena's lock guards it.
type chunk struct {
	from   *system
	start  unsafe.Pointer
	users  []int // of each huge page: blocks with bytes in it; gone: unmapped
	blocks int   // that are not closed
	next   int   // bytes from start to where the next block begins
}

const gone = -1

// left returns the bytes after the last block in the huge page that it ends in,
// and in the chunk.
func (c *chunk) left() (begun, all int) {
	all = len(c.users)*c.from.huge - c.next
	return all % c.from.huge, all
}

// add returns the memory of the next block, for which there is room.
func (c *chunk) add(bytes int) []byte {
	mem := unsafe.Slice((*byte)(unsafe.Add(c.start, c.next)), bytes)
	c.next += roundUp(bytes, Align)
	c.count(mem, 1)
	return mem
}

// remove forgets a block. A page that it leaves to nobody gets no other block:
// it is to be given back.
func (c *chunk) remove(mem []byte) {
	c.count(mem, -1)
	if c.users[(c.next-1)/c.from.huge] <= 0 {
		c.next = roundUp(c.next, c.from.huge)
	}
}

func (c *chunk) count(mem []byte, blocks int) {
	c.blocks += blocks
	at := int(uintptr(unsafe.Pointer(unsafe.SliceData(mem))) - uintptr(c.start))
	for page := at / c.from.huge; page*c.from.huge < at+len(mem); page++ {
		c.users[page] += blocks
	}
}

// end says that no block will be added.
func (c *chunk) end() { c.next = len(c.users) * c.from.huge }

// giveBack unmaps the pages that no block has or will have bytes in. Those that
// the system refuses are left for another try.
func (c *chunk) giveBack() error {
	var errs []error
	for from, to := 0, 0; from < len(c.users); from = to + 1 {
		to = from
		for to < len(c.users) && c.users[to] == 0 && to*c.from.huge < c.next {
			to++
		}
		if to == from {
			continue
		}
		if err := c.from.unmap(unsafe.Add(c.start, from*c.from.huge), (to-from)*c.from.huge); err != nil {
			errs = append(errs, err)
			continue
		}
		for page := from; page < to; page++ {
			c.users[page] = gone
		}
	}
	return errors.Join(errs...)
}
