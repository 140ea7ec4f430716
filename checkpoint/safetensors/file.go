package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/bitlane/bitlane/quant"
)

// Source is where tensors are read from by name: a File or a Set. Its methods
// may be called by several goroutines at once.
type Source interface {
	// Lookup returns what is stored under a name. Offset counts from the start
	// of the file that holds the tensor.
	Lookup(name string) (Tensor, bool)
	// Read returns the whole tensor's bytes in dst, grown where it is too
	// short; what dst held is lost.
	Read(dst []byte, name string) ([]byte, error)
	// ReadAt fills dst with the tensor's bytes from off on.
	ReadAt(dst []byte, name string, off int64) error
	// Names returns the names of all tensors, sorted; the caller owns it.
	Names() []string
}

// File is one open safetensors file, its header validated. It may be used by
// several goroutines at once.
type File struct {
	*header
	name string
	r    io.ReaderAt
	file *os.File // nil where New was given the reader
	path string   // absolute, of file
}

// Open opens the file at path, which must be a regular file or a link to one,
// and validates its header.
func Open(path string) (*File, error) {
	// Opening a pipe would wait for a writer: look first.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, quant.Errorf(quant.ErrFormat, path, "file", "a regular file", "%v", info.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		var out *File
		if out, err = New(f, info.Size(), path); err == nil {
			out.file = f
			if out.path, err = filepath.Abs(path); err == nil {
				return out, nil
			}
		}
	}
	f.Close()
	return nil, err
}

// New validates the header of the file of size bytes that r reads, and reads
// tensors from r from then on. name stands for the file in errors.
func New(r io.ReaderAt, size int64, name string) (*File, error) {
	var length [8]byte
	if size < int64(len(length)) {
		return nil, quant.Errorf(HeaderTooSmall, name, "file", "at least 8 bytes", "%d bytes", size)
	}
	if err := readFull(r, length[:], 0, HeaderTooSmall, name, ""); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > MaxHeader {
		return nil, quant.Errorf(HeaderTooLarge, name, "header length", fmt.Sprintf("at most %d", MaxHeader), "%d", n)
	}
	dataStart := int64(len(length)) + int64(n)
	if dataStart > size {
		return nil, quant.Errorf(InvalidHeaderLength, name, "header length", fmt.Sprintf("at most the %d bytes after it", size-8), "%d", n)
	}
	text := make([]byte, n)
	if err := readFull(r, text, int64(len(length)), InvalidHeaderLength, name, ""); err != nil {
		return nil, err
	}
	h, err := parseHeader(name, text, dataStart, size-dataStart)
	if err != nil {
		return nil, err
	}
	return &File{header: h, name: name, r: r}, nil
}

// readFull fills dst from off, with data of a tensor (no name: the header). A
// reader that ends early breaks the rule short.
func readFull(r io.ReaderAt, dst []byte, off int64, short Rule, file, tensor string) error {
	if len(dst) == 0 {
		return nil
	}
	n, err := r.ReadAt(dst, off)
	if n == len(dst) {
		return nil
	}
	name := label(file, tensor)
	switch {
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return quant.Errorf(short, name, "file", fmt.Sprintf("%d bytes at %d", len(dst), off), "%d of them: it ends early", n)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// Close closes the file that Open opened; a reader given to New stays open. Closing again does nothing.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	if err := f.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Tensors returns what the file holds, in order of offset; the caller owns the
// slice.
func (f *File) Tensors() []Tensor { return slices.Clone(f.tensors) }

// Metadata returns a copy of the header's "__metadata__", nil where it has
// none or an empty one.
func (f *File) Metadata() map[string]string {
	if len(f.meta) == 0 {
		return nil
	}
	out := make(map[string]string, len(f.meta))
	for _, kv := range f.meta {
		k, v := kv[0], kv[1]
		out[string(f.text[k.off:k.off+k.len])] = string(f.text[v.off : v.off+v.len])
	}
	return out
}

// Names returns the names of all tensors, sorted.
func (f *File) Names() []string {
	out := make([]string, len(f.byName))
	for i, t := range f.byName {
		out[i] = f.tensors[t].Name
	}
	return out
}

// Lookup returns what is stored under a name.
func (f *File) Lookup(name string) (Tensor, bool) {
	i, found := sort.Find(len(f.byName), func(i int) int {
		return strings.Compare(name, f.tensors[f.byName[i]].Name)
	})
	if !found {
		return Tensor{}, false
	}
	return f.tensors[f.byName[i]], true
}

// Read returns the whole tensor's bytes in dst, grown where it is too short.
func (f *File) Read(dst []byte, name string) ([]byte, error) {
	t, err := f.find(name)
	if err != nil {
		return dst, err
	}
	if t.Bytes > math.MaxInt {
		return dst, quant.Errorf(quant.ErrUnsupported, label(f.name, name), "size", "addressable memory", "%d bytes", t.Bytes)
	}
	if int64(cap(dst)) < t.Bytes {
		dst = make([]byte, t.Bytes)
	}
	dst = dst[:t.Bytes]
	return dst, readFull(f.r, dst, t.Offset, MetadataIncompleteBuffer, f.name, name)
}

// ReadAt fills dst with the tensor's bytes from off on; a part that is not
// inside the tensor is an error of class quant.ErrShape.
func (f *File) ReadAt(dst []byte, name string, off int64) error {
	t, err := f.find(name)
	if err != nil {
		return err
	}
	if off < 0 || off > t.Bytes || int64(len(dst)) > t.Bytes-off {
		return quant.Errorf(quant.ErrShape, label(f.name, name), "part", fmt.Sprintf("inside its %d bytes", t.Bytes), "%d bytes at %d", len(dst), off)
	}
	return readFull(f.r, dst, t.Offset+off, MetadataIncompleteBuffer, f.name, name)
}

func (f *File) find(name string) (Tensor, error) {
	t, ok := f.Lookup(name)
	if !ok {
		return t, quant.Errorf(TensorNotFound, f.name, "", "", "no tensor %s", shown(name))
	}
	return t, nil
}

// label names a tensor of a file, or the file where tensor is empty.
func label(file, tensor string) string {
	if tensor == "" {
		return file
	}
	return file + ": " + shown(tensor)
}
