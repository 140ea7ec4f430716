package safetensors

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// stamp is the state of a file when it was opened.
type stamp struct {
	text    string
	changed time.Time
}

// stampOf has a text that is another one once the file at path is replaced or written to.
func stampOf(path string, info fs.FileInfo) stamp {
	whole, err := filepath.Abs(path)
	if err != nil {
		return stamp{}
	}
	more, changed := inode(info)
	if info.ModTime().After(changed) {
		changed = info.ModTime()
	}
	return stamp{fmt.Sprintf("%s size %d modified %d changed %d%s", whole, info.Size(), info.ModTime().UnixNano(), changed.UnixNano(), more), changed}
}

// Stamp returns a text that stands for the bytes of a tensor as long as nobody goes
// behind the file system's back, and when its file was last changed: a change within
// the clock's steps after that may leave the text as it is. The text has the file's path, size, times
// and inode when it was opened, and the tensor's place. It is "" for an unknown
// tensor, and for a file that New was given as a reader.
func (f *File) Stamp(name string) (text string, changed time.Time) {
	t, ok := f.Lookup(name)
	if !ok || f.stamp.text == "" {
		return "", time.Time{}
	}
	return fmt.Sprintf("%s at %d, %d bytes", f.stamp.text, t.Offset, t.Bytes), f.stamp.changed
}

// Stamp returns the Stamp of a tensor in its file.
func (s *Set) Stamp(name string) (text string, changed time.Time) {
	f, err := s.holder(name)
	if err != nil {
		return "", time.Time{}
	}
	return f.Stamp(name)
}
