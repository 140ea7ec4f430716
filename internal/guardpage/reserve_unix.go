//go:build linux || darwin

package guardpage

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Guarded says whether a step too far faults.
const Guarded = true

// reserve maps whole pages for n bytes between two pages without access.
func reserve(n int) (inner unsafe.Pointer, size int, free func() error, err error) {
	page := os.Getpagesize()
	size = (n + page - 1) / page * page
	all, err := unix.Mmap(-1, 0, page+size+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, 0, nil, err
	}
	err = errors.Join(unix.Mprotect(all[:page], unix.PROT_NONE), unix.Mprotect(all[page+size:], unix.PROT_NONE))
	if err != nil {
		return nil, 0, nil, errors.Join(err, unix.Munmap(all))
	}
	return unsafe.Pointer(&all[page]), size, func() error { return unix.Munmap(all) }, nil
}
