package safetensors

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bitlane/bitlane/quant"
)

// Data is a tensor to write: Bytes are its elements, little-endian, last
// dimension fastest.
type Data struct {
	Name  string
	Type  Type
	Shape []int64
	Bytes []byte
}

// Entry is a tensor to write, without its bytes.
type Entry struct {
	Name  string
	Type  Type
	Shape []int64
}

// Entry returns all of d but its bytes.
func (d *Data) Entry() Entry { return Entry{d.Name, d.Type, d.Shape} }

// byType is the order of tensors in a file: the widest types first, so that each
// tensor is aligned, then names.
func byType(a, b Entry) int {
	if c := b.Type.index() - a.Type.index(); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// Write writes a file as the reference writes it: the header padded with
// blanks to a multiple of 8 bytes, the tensors in descending order of type,
// then in ascending order of name. Metadata keys are sorted, so that equal
// contents give equal files. A nil map writes no "__metadata__"; an empty one
// writes an empty object. Nothing is written before all tensors are checked.
func Write(w io.Writer, metadata map[string]string, tensors ...Data) error {
	order := slices.Clone(tensors)
	slices.SortFunc(order, func(a, b Data) int { return byType(a.Entry(), b.Entry()) })
	entries := make([]Entry, len(order))
	for i := range order {
		entries[i] = order[i].Entry()
	}
	head, sizes, err := writeHeader(metadata, entries)
	if err != nil {
		return err
	}
	for i, t := range order {
		if sizes[i] != int64(len(t.Bytes)) {
			return quant.Errorf(TensorInvalidInfo, shown(t.Name), "data", fmt.Sprintf("%d bytes for %s %d", sizes[i], t.Type, t.Shape), "%d bytes", len(t.Bytes))
		}
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, t := range order {
		if _, err := w.Write(t.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// writeHeader returns the header of tensors in their order in the file, and the
// bytes that each takes.
func writeHeader(metadata map[string]string, order []Entry) (head []byte, sizes []int64, err error) {
	b := append(make([]byte, 8), '{')
	comma := func() {
		if c := b[len(b)-1]; c != '{' && c != '[' {
			b = append(b, ',')
		}
	}
	text := func(s string) {
		if !utf8.ValidString(s) && err == nil {
			err = quant.Errorf(InvalidHeader, shown(s), "name", "", "not UTF-8")
		}
		b = quoted(b, s)
	}
	if metadata != nil {
		text(metadataKey)
		b = append(b, ":{"...)
		keys := make([]string, 0, len(metadata))
		for k := range metadata {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			comma()
			text(k)
			b = append(b, ':')
			text(metadata[k])
		}
		b = append(b, '}')
	}
	names := make(map[string]bool, len(order))
	var at int64
	for i := range order {
		t := &order[i]
		if names[t.Name] || t.Name == metadataKey {
			return nil, nil, quant.Errorf(InvalidHeaderDeserialization, shown(t.Name), "name", "one that is free", "taken")
		}
		names[t.Name] = true
		size, err := t.Bytes()
		if err != nil {
			return nil, nil, err
		}
		if at > math.MaxInt64-size {
			return nil, nil, quant.Errorf(ValidationOverflow, shown(t.Name), "data_offsets", "below 2^63", "%d and %d more", at, size)
		}
		sizes = append(sizes, size)
		comma()
		text(t.Name)
		b = append(b, `:{"dtype":"`...)
		b = append(b, t.Type...)
		b = append(b, `","shape":[`...)
		for _, d := range t.Shape {
			comma()
			b = strconv.AppendInt(b, d, 10)
		}
		b = fmt.Appendf(b, `],"data_offsets":[%d,%d]}`, at, at+size)
		at += size
		if len(b) > 8+MaxHeader {
			break
		}
	}
	if err != nil {
		return nil, nil, err
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	if n := len(b) - 8; n > MaxHeader {
		return nil, nil, quant.Errorf(HeaderTooLarge, "", "header length", fmt.Sprintf("at most %d", MaxHeader), "%d", n)
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	return b, sizes, nil
}

// Bytes returns the bytes that the tensor takes.
func (t *Entry) Bytes() (int64, error) {
	if t.Type.index() < 0 {
		return 0, quant.Errorf(InvalidHeaderDeserialization, shown(t.Name), "dtype", "a type of the format", "%s", shown(string(t.Type)))
	}
	p := product{n: 1}
	for _, d := range t.Shape {
		p.mul(uint64(d)) // a negative one is above 2^53
	}
	p.mul(uint64(t.Type.Bits()))
	size := p.n
	switch {
	case p.wide:
		return 0, quant.Errorf(ValidationOverflow, shown(t.Name), "shape", "a size below 2^64 bits and dimensions from 0 to 2^53", "%d", t.Shape)
	case size%8 != 0:
		return 0, quant.Errorf(MisalignedSlice, shown(t.Name), "size in bits", "a multiple of 8", "%d", size)
	}
	return int64(size / 8), nil
}

// quoted appends s as a JSON string, escaped as serde_json escapes it.
func quoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		c := s[i]
		if at := strings.IndexByte("\"\\\b\f\n\r\t", c); at >= 0 {
			b = append(b, '\\', `"\bfnrt`[at])
		} else if c < ' ' {
			b = fmt.Appendf(b, `\u%04x`, c)
		} else {
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// errNoFile is of a directory, a device or a pipe, in whose place no file is put.
var errNoFile = errors.New("not a regular file")

// WriteFile writes a file as Write does. The path holds either what it held
// before or the whole new file, also after a crash or on a full disk: the data
// go to a temporary file of the same directory, which is synced and renamed,
// or removed where anything failed. What is at the path and is no regular file
// stays, and is an *fs.PathError; a link is replaced, not followed.
func WriteFile(path string, metadata map[string]string, tensors ...Data) error {
	return replaceFile(path, func(w io.Writer) error { return Write(w, metadata, tensors...) })
}

func replaceFile(path string, write func(io.Writer) error) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return &fs.PathError{Op: "replace", Path: path, Err: errNoFile}
	}
	temp := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%016x.tmp", filepath.Base(path), rand.Uint64()))
	// Not os.CreateTemp: the file shall have the permissions of a new file.
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return unnamed(err, path)
	}
	open := true
	defer func() {
		if err != nil {
			if open {
				f.Close()
			}
			os.Remove(temp)
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	open = false
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

// unnamed returns err, of a temporary file that could not be made, about path,
// which is what the caller knows.
func unnamed(err error, path string) error {
	var system *fs.PathError
	if errors.As(err, &system) {
		return &fs.PathError{Op: "write", Path: path, Err: system.Err}
	}
	return err
}
