//go:build unix

package quantize

import (
	"io/fs"
	"syscall"
)

// sameDisk reports whether two files are in one file system, as far as it can be told.
func sameDisk(a, b fs.FileInfo) bool {
	x, ok := a.Sys().(*syscall.Stat_t)
	y, both := b.Sys().(*syscall.Stat_t)
	return !ok || !both || x.Dev == y.Dev
}
