//go:build !linux

package safetensors

import (
	"io/fs"
	"time"
)

func inode(info fs.FileInfo) (text string, changed time.Time) { return "", info.ModTime() }
