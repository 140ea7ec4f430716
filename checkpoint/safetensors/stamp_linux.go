package safetensors

import (
	"fmt"
	"io/fs"
	"syscall"
)

// inode also has the time of the last change, which nobody can set.
func inode(info fs.FileInfo) string {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf(" changed %d.%09d inode %d of %d", s.Ctim.Sec, s.Ctim.Nsec, s.Ino, s.Dev)
}
