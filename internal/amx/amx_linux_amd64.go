package amx

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Linux gives a process the state of tiles when it asks: arch_prctl's
// ARCH_REQ_XCOMP_PERM for the feature XTILEDATA (Documentation/arch/x86/xstate.rst).
const (
	requestPermission = 0x1023
	tileData          = 18
)

// Allowed reports whether the process may use tiles, beside what the processor
// has, and asks the system for them when it is first called. From then on they are
// allowed to all threads of the process; a thread that uses them has 8 KiB more
// state, also on the stacks of its signals. The system refuses where it knows no
// tiles, or where a thread has such a stack that is too small for them, as the 8 KiB of
// old C libraries are; once it has agreed it refuses such stacks (sigaltstack: ENOMEM).
// Those of Go have 32 KiB. The answer is kept. It is safe for use by several goroutines.
func Allowed() bool { return allowed() }

var allowed = sync.OnceValue(func() bool {
	_, _, e := unix.RawSyscall(unix.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return e == 0
})
