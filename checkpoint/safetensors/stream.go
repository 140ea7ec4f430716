package safetensors

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/bitlane/bitlane/quant"
)

// Writer writes one file whose tensors come in any order and in pieces: the header
// follows from names, types and shapes, so that every tensor has its place before
// any of its bytes is known. The file is what Write writes of the same tensors.
//
// Different tensors may be written at the same time.
type Writer struct {
	w      io.WriterAt
	mu     sync.Mutex
	places map[string]*place
}

type place struct {
	offset, size int64
	written      int64 // so many bytes, from its start
}

// NewWriter writes the header of the tensors to w. Nothing is written where they
// cannot make a file.
func NewWriter(w io.WriterAt, metadata map[string]string, tensors []Entry) (*Writer, error) {
	order := slices.Clone(tensors)
	slices.SortFunc(order, byType)
	head, sizes, err := writeHeader(metadata, order)
	if err != nil {
		return nil, err
	}
	s := &Writer{w: w, places: make(map[string]*place, len(order))}
	at := int64(len(head))
	for i, t := range order {
		s.places[t.Name] = &place{offset: at, size: sizes[i]}
		at += sizes[i]
	}
	_, err = w.WriteAt(head, 0)
	return s, err
}

// WriteAt writes p, the bytes of the tensor called name from off on. The pieces of
// a tensor come in ascending order without gaps.
func (s *Writer) WriteAt(p []byte, name string, off int64) error {
	at, err := s.take(name, off, int64(len(p)))
	if err != nil {
		return err
	}
	_, err = s.w.WriteAt(p, at)
	return err
}

// take returns where in the file the next n bytes of a tensor, from off on, go.
func (s *Writer) take(name string, off, n int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.places[name]
	switch {
	case t == nil:
		return 0, quant.Errorf(TensorNotFound, shown(name), "", "a tensor of the header", "no such tensor")
	case off != t.written:
		return 0, quant.Errorf(quant.ErrShape, shown(name), "offset", fmt.Sprintf("%d, after the bytes that are written", t.written), "%d", off)
	case n > t.size-off:
		return 0, quant.Errorf(quant.ErrShape, shown(name), "part", fmt.Sprintf("inside its %d bytes", t.size), "%d bytes at %d", n, off)
	}
	t.written += n
	return t.offset + off, nil
}

// Finish reports a tensor that is not written in full. It does not close or sync
// anything.
func (s *Writer) Finish() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	short := ""
	for name, t := range s.places {
		if t.written != t.size && (short == "" || name < short) {
			short = name
		}
	}
	if short != "" {
		t := s.places[short]
		return quant.Errorf(MetadataIncompleteBuffer, shown(short), "data", fmt.Sprintf("%d bytes", t.size), "%d bytes", t.written)
	}
	return nil
}
