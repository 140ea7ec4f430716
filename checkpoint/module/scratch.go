package module

import (
	"slices"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
)

// Buffers is the number of byte buffers in a Scratch.
const Buffers = 6

// Scratch is memory that one Load leaves to the next, so that loading a model
// holds no more than its largest layer. The zero value is ready; a nil Scratch
// works and keeps nothing. One goroutine at a time may use it.
type Scratch struct {
	bytes [Buffers][]byte
	ints  []int32
}

// Read reads the whole tensor called name through buffer i, 0 to Buffers−1.
// The bytes are valid until buffer i is used again.
func (s *Scratch) Read(i int, src safetensors.Source, name string) ([]byte, error) {
	if s == nil {
		return src.Read(nil, name)
	}
	b, err := src.Read(s.bytes[i], name)
	if err == nil {
		s.bytes[i] = b
	}
	return b, err
}

// Bytes returns n bytes of buffer i, with whatever they hold.
func (s *Scratch) Bytes(i, n int) []byte {
	if s == nil {
		return make([]byte, n)
	}
	if cap(s.bytes[i]) < n {
		s.bytes[i] = make([]byte, n)
	}
	s.bytes[i] = s.bytes[i][:n]
	return s.bytes[i]
}

// Ints returns n integers with whatever they hold; there is one such buffer.
func (s *Scratch) Ints(n int) []int32 {
	if s == nil {
		return make([]int32, n)
	}
	s.ints = slices.Grow(s.ints[:0], n)[:n]
	return s.ints
}
