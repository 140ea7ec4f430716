//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package quantize

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks f without waiting, until it is closed or its process ends.
func tryLock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// isLocked reports whether an error of tryLock says that another has the lock.
func isLocked(err error) bool { return errors.Is(err, syscall.EWOULDBLOCK) }
