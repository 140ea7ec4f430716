package workers

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// thisCPU is the logical CPU that the calling thread runs on.
func thisCPU() int {
	var cpu uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 {
		return 0
	}
	return int(cpu)
}
