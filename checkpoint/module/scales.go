package module

import (
	"encoding/binary"
	"fmt"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// ReadScales reads the first groups of the tensor called name, [groups or
// more, N] elements of w's scale type, as the scales of w, which are its
// transpose. One that is not finite is quant.ErrFormat. It uses buffer i of s.
func ReadScales(w *quant.Weight, src safetensors.Source, name string, s *Scratch, i int) error {
	n, groups, size := w.N(), w.Groups().Count(), w.ScaleType().Size()
	b, err := ReadFinite(src, name, w.ScaleType(), groups, n, s, i)
	if err != nil {
		return err
	}
	// A cache line of the source at a time, to as many rows.
	const width = 32
	var rows [width][]byte
	for c := 0; c < n; c += width {
		here := rows[:min(width, n-c)]
		for j := range here {
			here[j] = w.ScaleRow(c + j)
		}
		for g := range groups {
			from := b[(g*n+c)*size:]
			if size == 2 {
				for j, row := range here {
					binary.LittleEndian.PutUint16(row[2*g:], binary.LittleEndian.Uint16(from[2*j:]))
				}
				continue
			}
			for j, row := range here {
				binary.LittleEndian.PutUint32(row[4*g:], binary.LittleEndian.Uint32(from[4*j:]))
			}
		}
	}
	return nil
}

// ReadFinite reads the first rows of the tensor called name, a matrix of cols
// columns of type t, through buffer i of s. A number that is not finite is
// quant.ErrFormat.
func ReadFinite(src safetensors.Source, name string, t dtype.DType, rows, cols int, s *Scratch, i int) ([]byte, error) {
	b := s.Bytes(i, rows*cols*t.Size())
	if err := src.ReadAt(b, name, 0); err != nil {
		return nil, err
	}
	if at := NonFinite(t, b); at >= 0 {
		return nil, quant.Errorf(quant.ErrFormat, name, fmt.Sprintf("element [%d, %d]", at/cols, at%cols), "a finite number", "%v", t.At(b, at))
	}
	return b, nil
}

// NonFinite returns the first element of b that is NaN or infinite, or −1.
func NonFinite(t dtype.DType, b []byte) int {
	exponent := uint16(0x7f80) // of the upper half of an element
	if t == dtype.F16 {
		exponent = 0x7c00
	}
	size := t.Size()
	for i := size - 2; i < len(b); i += size {
		if binary.LittleEndian.Uint16(b[i:])&exponent == exponent {
			return i / size
		}
	}
	return -1
}
