//go:build linux || darwin

package hugepage

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapMemory returns bytes of untouched normal memory at a multiple of align, a
// power of two, and the bytes to unmap.
func mapMemory(bytes, align int) (mem []byte, mapped int, err error) {
	page := os.Getpagesize()
	mapped = roundUp(bytes, page)
	spare := max(align-page, 0)
	all, err := unix.MmapPtr(-1, 0, nil, uintptr(mapped+spare), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, 0, err
	}
	before := int(-uintptr(all) & uintptr(align-1))
	start := unsafe.Add(all, before)
	if err = unmap(unsafe.Add(start, mapped), spare-before); err == nil {
		err = unmap(all, before)
	}
	if err != nil { // no room to note that a mapping is now two
		return nil, 0, errors.Join(err, unmap(all, before+mapped))
	}
	return unsafe.Slice((*byte)(start), bytes), mapped, nil
}

// unmap gives whole pages back; none are legal.
func unmap(start unsafe.Pointer, bytes int) error {
	if bytes == 0 {
		return nil
	}
	return unix.MunmapPtr(start, uintptr(bytes))
}
