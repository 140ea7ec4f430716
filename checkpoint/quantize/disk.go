package quantize

import (
	"io"
	"os"
)

// disk is what writing needs of a file system. Tests put one in its place that is
// full or fails.
type disk interface {
	Mkdir(path string) error
	Create(path string) (file, error)
	Rename(from, to string) error
	RemoveAll(path string) error
	SyncDir(path string)
}

type file interface {
	io.Writer
	io.WriterAt
	Sync() error
	Close() error
}

// system is the operating system's.
type system struct{}

func (system) Mkdir(path string) error { return os.Mkdir(path, 0o777) }

func (system) Create(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

func (system) Rename(from, to string) error { return os.Rename(from, to) }

func (system) RemoveAll(path string) error { return os.RemoveAll(path) }

// SyncDir makes names last that were made in a directory. Not every system can.
func (system) SyncDir(path string) {
	if d, err := os.Open(path); err == nil {
		d.Sync()
		d.Close()
	}
}

// create makes the file at path, lets write fill it, and syncs it.
func create(d disk, path string, write func(file) error) (err error) {
	f, err := d.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	return f.Sync()
}
