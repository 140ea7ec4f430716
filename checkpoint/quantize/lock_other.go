//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package quantize

import (
	"errors"
	"os"
)

func tryLock(*os.File) error { return errors.ErrUnsupported }

func isLocked(error) bool { return false }
