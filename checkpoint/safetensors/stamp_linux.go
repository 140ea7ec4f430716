package safetensors

import (
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

// inode is what else there is to tell files apart, and the time of the last change, which
// nobody can set.
func inode(info fs.FileInfo) (text string, changed time.Time) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", info.ModTime()
	}
	return fmt.Sprintf(" inode %d of %d", s.Ino, s.Dev), time.Unix(s.Ctim.Unix())
}
