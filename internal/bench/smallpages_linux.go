package bench

import "golang.org/x/sys/unix"

// smallPages returns memory in pages of the system's normal size, and what
// frees it.
func smallPages(bytes int) (mem []byte, free func() error, err error) {
	mem, err = unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, nil, err
	}
	_ = unix.Madvise(mem, unix.MADV_NOHUGEPAGE) // refused by kernels that have none
	return mem, func() error { return unix.Munmap(mem) }, nil
}
