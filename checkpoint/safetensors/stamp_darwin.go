package safetensors

import (
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

// inode is as on Linux.
func inode(info fs.FileInfo) (text string, changed time.Time) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", time.Time{}
	}
	return fmt.Sprintf("inode %d of %d", s.Ino, s.Dev), time.Unix(s.Ctimespec.Unix())
}
