package cpu

import (
	"encoding/binary"
	"math"

	"github.com/bitlane/bitlane/quant"
)

// packer writes the tiles of a panel from canonical rows. Several goroutines
// may use one, each with scratch of its own.
type packer struct {
	p     *panel
	src   *quant.Weight
	order []int32 // of the features, nil: as they are
}

// packSpare is the bytes that packing a tile takes besides: a row of codes, and to
// put them in another order a second one.
func (p *panel) packSpare(order bool) int {
	switch {
	case p.bits == 0:
		return 0
	case order:
		return 2 * p.k
	}
	return p.k
}

// tile fills dst, p.tileBytes of zeros as a layer's memory is, with tile t.
func (p *packer) tile(dst []byte, t int, scratch []byte) {
	first := t * tileColumns
	columns := min(tileColumns, p.p.n-first)
	sums := p.p.form.ZeroBytesOf() == 4
	whole := p.p.bits == 4 && p.src.Bits() == 4 && p.order == nil && !sums && p.p.even()
	if whole {
		p.lines4(dst, first, columns)
	}
	for c := range columns {
		n := first + c
		if p.p.bits == 0 {
			p.plainColumn(dst, c, p.src.Row(n))
			continue
		}
		p.headers(dst, c, n)
		if whole {
			continue
		}
		codes := p.codes(n, scratch)
		if p.p.bits == 4 {
			p.column4(dst, c, codes)
		} else {
			p.column8(dst, c, codes)
		}
		if sums {
			p.sums(dst, c, codes)
		}
	}
}

// codes returns the codes of row n in packed order.
func (p *packer) codes(n int, scratch []byte) []uint8 {
	k := p.p.k
	if p.src.Bits() == 8 && p.order == nil {
		return p.src.Row(n)[:k]
	}
	codes := scratch[:k]
	unpack(codes, p.src.Row(n), p.src.Bits())
	if p.order == nil {
		return codes
	}
	sorted := scratch[k : 2*k][:len(p.order)]
	for i, at := range p.order {
		sorted[i] = codes[at]
	}
	return sorted
}

// headers writes the scales and zero points of column c, which is row n.
func (p *packer) headers(dst []byte, c, n int) {
	scales, size := p.src.ScaleRow(n), p.p.form.ScaleBytes()
	zeroSize := p.p.form.ZeroBytesOf()
	zeros := inBlock * tileColumns * size
	for b := range p.p.blocks {
		block := dst[p.p.offset[b]:]
		for i, s := range p.p.pieces[p.p.first[b]:p.p.first[b+1]] {
			at := i*tileColumns + c
			copy(block[at*size:][:size], scales[int(s.group)*size:])
			switch zeroSize {
			case 1:
				block[zeros+at] = uint8(p.src.Zero(n, int(s.group)))
			case 4:
				binary.LittleEndian.PutUint16(block[zeros+at*4:], uint16(p.src.Zero(n, int(s.group))))
			}
		}
	}
}

// sums writes the sum of the codes of each piece.
func (p *packer) sums(dst []byte, c int, codes []uint8) {
	zeros := inBlock * tileColumns * p.p.form.ScaleBytes()
	for b := range p.p.blocks {
		block := dst[p.p.offset[b]+zeros:]
		for i, s := range p.p.pieces[p.p.first[b]:p.p.first[b+1]] {
			sum := sumBytes(codes[s.lo:s.hi])
			binary.LittleEndian.PutUint16(block[(i*tileColumns+c)*4+2:], uint16(sum))
		}
	}
}

// sumBytes adds up to 1028 bytes, eight at a time in four 16-bit lanes.
func sumBytes(u []uint8) (sum int) {
	const even = 0x00ff00ff00ff00ff
	var lanes uint64
	for ; len(u) >= 8; u = u[8:] {
		v := binary.LittleEndian.Uint64(u)
		lanes += v&even + v>>8&even
	}
	for ; lanes > 0; lanes >>= 16 {
		sum += int(lanes & 0xffff)
	}
	for _, v := range u {
		sum += int(v)
	}
	return sum
}

// walk calls f for every piece with the bytes of its first line and the
// distance to its next.
func (p *panel) walk(dst []byte, f func(s *piece, lines []byte, step int)) {
	for b := range p.blocks {
		lines := dst[p.offset[b]+p.header() : p.offset[b+1]]
		count := int(p.blocks[b].Segments)
		for i := range count {
			s := &p.pieces[int(p.first[b])+i]
			if p.kind.exact() {
				f(s, lines[i*lineBytes:], count*lineBytes)
			} else {
				f(s, lines[i*int(p.blocks[b].Lines)*lineBytes:], lineBytes)
			}
		}
	}
}

// even reports whether every piece begins at a whole number of lines of 4-bit
// codes.
func (p *panel) even() bool {
	for i := range p.pieces {
		if p.pieces[i].lo%8 != 0 {
			return false
		}
	}
	return true
}

// lines4 writes the lines of a tile from rows of 4-bit codes: the eight of a
// column in a line are a word of its row with the nibbles in another order. It
// goes line by line: column by column, every store would miss the first cache.
func (p *packer) lines4(dst []byte, first, columns int) {
	var rows [tileColumns][]byte
	for c := range columns {
		rows[c] = p.src.Row(first + c)
	}
	p.p.walk(dst, func(s *piece, lines []byte, step int) {
		i := int(s.lo)
		for ; int(s.hi)-i >= 16; i += 16 {
			one, two := (*[lineBytes]byte)(lines), (*[lineBytes]byte)(lines[step:])
			for c := range columns {
				v := shuffle(binary.LittleEndian.Uint64(rows[c][i/2:]))
				binary.LittleEndian.PutUint32(one[c*4%lineBytes:], uint32(v))
				binary.LittleEndian.PutUint32(two[c*4%lineBytes:], uint32(v>>32))
			}
			lines = lines[min(2*step, len(lines)):]
		}
		for ; i < int(s.hi); i += 8 {
			mask := uint32(math.MaxUint32)
			if rest := int(s.hi) - i; rest < 8 { // codes of the next piece, or padding of the row
				mask = 1<<(4*rest) - 1
			}
			line := (*[lineBytes]byte)(lines)
			for c := range columns {
				v := shuffle(uint64(binary.LittleEndian.Uint32(rows[c][i/2:]) & mask))
				binary.LittleEndian.PutUint32(line[c*4%lineBytes:], uint32(v))
			}
			lines = lines[min(step, len(lines)):]
		}
	})
}

// shuffle makes of the eight nibbles 01234567 of each half of v, lowest first,
// 04152637: it swaps the bytes in the middle, then the nibbles in the middle of
// each pair of bytes.
func shuffle(v uint64) uint64 {
	x := (v ^ v>>8) & 0x0000ff000000ff00
	v ^= x ^ x<<8
	x = (v ^ v>>4) & 0x00f000f000f000f0
	return v ^ x ^ x<<4
}

// column4 writes the codes of column c, two in each byte: see package asm.
func (p *packer) column4(dst []byte, c int, codes []uint8) {
	p.p.walk(dst, func(s *piece, lines []byte, step int) {
		u := codes[s.lo:s.hi]
		at := c * 4
		for ; len(u) >= 8; u, at = u[8:], at+step {
			v := binary.LittleEndian.Uint64(u)
			binary.LittleEndian.PutUint32(lines[at:], uint32(v)|uint32(v>>32)<<4)
		}
		if len(u) > 0 {
			var last [8]uint8
			copy(last[:], u)
			v := binary.LittleEndian.Uint64(last[:])
			binary.LittleEndian.PutUint32(lines[at:], uint32(v)|uint32(v>>32)<<4)
		}
	})
}

func (p *packer) column8(dst []byte, c int, codes []uint8) {
	p.p.walk(dst, func(s *piece, lines []byte, step int) {
		u := codes[s.lo:s.hi]
		at := c * 4
		for ; len(u) >= 4; u, at = u[4:], at+step {
			copy(lines[at:at+4], u[:4])
		}
		copy(lines[min(at, len(lines)):], u)
	})
}

// plainColumn writes the elements of column c, as many in a line as four bytes
// hold.
func (p *packer) plainColumn(dst []byte, c int, row []byte) {
	size := p.p.plain.Size()
	p.p.walk(dst, func(s *piece, lines []byte, step int) {
		u := row[int(s.lo)*size : int(s.hi)*size]
		at := c * 4
		for ; len(u) >= 4; u, at = u[4:], at+step {
			copy(lines[at:at+4], u[:4])
		}
		copy(lines[min(at, len(lines)):], u)
	})
}
