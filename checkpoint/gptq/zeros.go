package gptq

import (
	"encoding/binary"

	"github.com/bitlane/bitlane/quant"
)

// zeroPoints are decoded zero points, [groups, N]: the zero of a field f is
// f+add, cut to mask.
type zeroPoints struct {
	fields []uint8
	add    int
	mask   int
}

// readZeros decodes qzeros and decides between versions 1 and 2. It returns
// nil where every zero point is 2^(bits−1), the one that is implied.
//
// A symmetric model has that zero point everywhere, so the stored fields tell
// the version, and they are right where the label is not. Otherwise the label
// decides.
func (l *load) readZeros() (*zeroPoints, error) {
	b, err := l.s.Read(bufZeros, l.src, l.qzeros)
	if err != nil {
		return nil, err
	}
	l.planes().dense(b)
	middle := 1 << (l.Bits - 1)
	stored := 0 // the version that makes all zero points the middle one; 0: none
	switch {
	case allFields(b, l.Bits, l.n, middle-1):
		stored = 1
	case allFields(b, l.Bits, l.n, middle):
		stored = 2
	}
	switch {
	case stored == l.Version:
		return nil, nil
	case stored != 0 && l.Symmetric:
		l.find(l.qzeros, "labelled v%d, but every stored zero point is %d, which makes a symmetric model only as v%d; read as v%d", l.Version, middle-2+stored, stored, stored)
		return nil, nil
	case stored != 0:
		l.find(l.qzeros, "labelled v%d and not symmetric, yet every stored zero point is %d, as in a symmetric model of v%d; read as labelled", l.Version, middle-2+stored, stored)
	case l.Symmetric:
		l.find(l.qzeros, "the configuration says symmetric, but the zero points are not all %d; read as stored, v%d", middle, l.Version)
	}
	z := &zeroPoints{fields: l.s.Bytes(bufFields, l.groups*l.n), mask: 1<<l.Bits - 1}
	pitch := l.n * l.Bits / 8
	for g := range l.groups {
		quant.Unpack(z.fields[g*l.n:(g+1)*l.n], b[g*pitch:(g+1)*pitch], l.Bits)
	}
	if l.Version == 1 {
		l.lookForSmears(z.fields, b)
		z.add = 1
		if l.unmasked {
			z.mask = -1
		}
	}
	return z, nil
}

// allFields reports whether every field of the rows of n fields in b is v. A
// row is whole words, so the pattern repeats after bits words.
func allFields(b []byte, bits, n, v int) bool {
	var codes [32]uint8
	for i := range codes {
		codes[i] = uint8(v)
	}
	var want [4 * 8]byte
	pattern := want[:4*bits]
	quant.Pack(pattern, codes[:], bits)
	pitch := n * bits / 8
	for at := 0; at < len(b); at += pitch {
		row := b[at : at+pitch]
		for i := 0; i < len(row); i += 4 {
			if binary.LittleEndian.Uint32(row[i:]) != binary.LittleEndian.Uint32(pattern[i%len(pattern):]) {
				return false
			}
		}
	}
	return true
}

// lookForSmears finds words damaged by AutoGPTQ's packer. Given a zero point
// of 0 it stores −1 without cutting it to the bits, so that the field and all
// above it in the word become ones, and what they were is lost. The same
// bits come from a packer that cuts, where those zero points are all 0. They
// are taken apart by any field of ones with other bits above it, which only
// the packer that cuts can write; without one, the words are reported.
func (l *load) lookForSmears(fields []uint8, b []byte) {
	ones := uint8(1<<l.Bits - 1)
	words, first, last := 0, 0, -1
	for i, f := range fields {
		if f != ones {
			continue
		}
		row, bit := i/l.n, i%l.n*l.Bits
		word := row*(l.n*l.Bits/32) + bit/32
		shift := bit % 32
		if shift+l.Bits >= 32 {
			continue // nothing of another field is above
		}
		above := binary.LittleEndian.Uint32(b[4*word:]) >> shift
		if above != 1<<(32-shift)-1 {
			return
		}
		if word != last {
			if words++; words == 1 {
				first = i
			}
			last = word
		}
	}
	if words > 0 {
		l.find(l.qzeros, "words that end in nothing but ones: %d, the first from column %d of group %d: zero points of 0 stored as -1 over the fields above them (an AutoGPTQ packer fault), or all of them 0; read as 0", words, first%l.n, first/l.n)
	}
}

// storeZeros transposes the zero points to rows.
func storeZeros(w *quant.Weight, z *zeroPoints) {
	n := w.N()
	for r := range n {
		row := w.ZeroRow(r)
		for g := range row {
			row[g] = int16((int(z.fields[g*n+r]) + z.add) & z.mask)
		}
	}
}
