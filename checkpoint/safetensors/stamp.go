package safetensors

import (
	"fmt"
	"io/fs"
	"path/filepath"
)

// stampOf is a text that is another one once the file at path is replaced or written to.
func stampOf(path string, info fs.FileInfo) string {
	whole, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s size %d modified %d%s", whole, info.Size(), info.ModTime().UnixNano(), inode(info))
}

// Stamp returns a text that stands for the bytes of a tensor as long as nobody goes
// behind the file system's back: the file's path, size, times and inode when it was opened,
// and the tensor's place. It is "" for an unknown tensor, and for a file that New was given as a reader.
func (f *File) Stamp(name string) string {
	t, ok := f.Lookup(name)
	if !ok || f.stamp == "" {
		return ""
	}
	return fmt.Sprintf("%s at %d, %d bytes", f.stamp, t.Offset, t.Bytes)
}

// Stamp returns the Stamp of a tensor in its file.
func (s *Set) Stamp(name string) string {
	f, err := s.holder(name)
	if err != nil {
		return ""
	}
	return f.Stamp(name)
}
