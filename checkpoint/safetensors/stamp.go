package safetensors

import (
	"fmt"
	"time"
)

// Stamp returns a text that stands for the bytes of a tensor as long as nobody goes
// behind the file system's back, and when its file was last changed: a change within
// the clock's steps after that may leave the text as it is. The text has the path, the size, the
// times and the inode that the file has now, and the tensor's place, so that a file that is written to
// while it is open has another one afterwards. It is "" for an unknown tensor, for a
// closed file, for one that New was given as a reader, and on systems that do not tell when a
// file was changed (those other than Linux and macOS).
func (f *File) Stamp(name string) (text string, changed time.Time) {
	t, ok := f.Lookup(name)
	if !ok || f.file == nil {
		return "", time.Time{}
	}
	info, err := f.file.Stat()
	if err != nil {
		return "", time.Time{}
	}
	inode, changed := inode(info)
	if inode == "" {
		return "", time.Time{}
	}
	text = fmt.Sprintf("%s size %d modified %d changed %d %s at %d, %d bytes", f.path, info.Size(), info.ModTime().UnixNano(), changed.UnixNano(), inode, t.Offset, t.Bytes)
	if info.ModTime().After(changed) {
		changed = info.ModTime()
	}
	return text, changed
}

// Stamp returns the Stamp of a tensor in its file.
func (s *Set) Stamp(name string) (text string, changed time.Time) {
	f, err := s.holder(name)
	if err != nil {
		return "", time.Time{}
	}
	return f.Stamp(name)
}
