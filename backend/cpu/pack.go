package cpu

import (
	"encoding/binary"
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/quant"
)

// packer writes the tiles of a panel from canonical rows. Several goroutines
// may use one, each with scratch of its own.
type packer struct {
	p     *panel
	f     packFunctions
	how   *asm.Spread // for f.spread; nil: codes are spread in Go
	src   *quant.Weight
	order []int32 // of the features, nil: as they are
}

// packFunctions are a unit's functions for packing. The zero value leaves all of
// it to Go.
type packFunctions struct {
	spread  func(dst, src unsafe.Pointer, n uintptr, how *asm.Spread)
	nibbles func(dst unsafe.Pointer, step uintptr, src unsafe.Pointer, stride, n uintptr)
	dwords  func(dst unsafe.Pointer, step uintptr, src unsafe.Pointer, stride, n uintptr)

	transpose      func(dst, src unsafe.Pointer, stride, n uintptr)
	orderedNibbles func(dst unsafe.Pointer, step uintptr, panel unsafe.Pointer, order *int32, n uintptr)
	orderedDwords  func(dst unsafe.Pointer, step uintptr, panel unsafe.Pointer, order *int32, n uintptr)

	sums func(zeros, lines unsafe.Pointer, n, bits uintptr)
}

// spreadOf is what spread wants to know of codes, nil where there is nothing to
// spread.
func (f *packFunctions) spreadOf(bits int) *asm.Spread {
	if f.spread == nil || bits < 2 || bits > 7 {
		return nil
	}
	return asm.SpreadOf(bits)
}

// packTurn is the bytes of a row that they take at a time, and spreadRead those
// that spread reads for the last eight of them.
const packTurn, spreadRead = 32, 16

// packSpare is the bytes that packing a tile takes besides: rows of codes, and
// to put them in another order as much again.
func (p *panel) packSpare(order bool) int {
	switch n := tileColumns * p.codeStride(); {
	case p.bits == 0:
		return 0
	case order:
		return 2 * n
	default:
		return n
	}
}

// codeStride is the bytes from one row of codes to the next while a tile is packed,
// an odd number of cache lines: the same place of 16 rows must not fall into one
// set of the first cache.
func (p *panel) codeStride() int { return ((p.k+lineBytes-1)/lineBytes | 1) * lineBytes }

// tile fills dst, p.tileBytes of zeros as a layer's memory is, with tile t.
func (p *packer) tile(dst []byte, t int, scratch []byte) {
	first := t * tileColumns
	columns := min(tileColumns, p.p.n-first)
	rows, stride := p.rows(first, columns, scratch)
	if p.byFeature() {
		p.ordered(dst, rows, stride, scratch[tileColumns*stride:])
	} else {
		p.p.walk(dst, func(s *piece, lines []byte, step int) { p.lines(s, lines, step, rows, stride, columns) })
	}
	if p.p.bits == 0 {
		return
	}
	p.headers(dst, first, columns)
	if p.p.form.ZeroBytesOf() == 4 {
		p.sums(dst)
	}
}

// byFeature says whether codes come into another order as features of all rows,
// and not already row by row.
func (p *packer) byFeature() bool { return p.order != nil && p.f.transpose != nil }

// rows returns the rows of a tile, stride bytes apart: the codes, one in each
// byte, or plain elements. If codes are to move by feature all 16 are there.
func (p *packer) rows(first, columns int, scratch []byte) (rows []byte, stride int) {
	if p.p.bits == 0 || p.src.Bits() == 8 && p.order == nil {
		return p.src.Rows(first, columns), p.src.RowStride()
	}
	stride = p.p.codeStride()
	rows = scratch[:tileColumns*stride]
	for c := range columns {
		row := rows[c*stride:][:p.p.k]
		if p.order == nil || p.byFeature() {
			p.codes(row, first+c)
			continue
		}
		codes := scratch[tileColumns*stride:][:p.p.k]
		p.codes(codes, first+c)
		for i, at := range p.order {
			row[i] = codes[at]
		}
	}
	clear(rows[columns*stride:])
	return rows, stride
}

// codes writes the codes of row n to dst.
func (p *packer) codes(dst []byte, n int) {
	row, bits := p.src.Row(n), p.src.Bits()
	done := 0
	if p.how != nil {
		size := packTurn / 8 * bits // of a turn in the row
		turns := min(len(dst)/packTurn, (len(row)-spreadRead+bits)/size)
		if turns > 0 {
			p.f.spread(unsafe.Pointer(&dst[0]), unsafe.Pointer(&row[0]), uintptr(turns), p.how)
			done = turns
		}
		row = row[done*size:]
	}
	unpack(dst[done*packTurn:], row, bits)
}

// headers writes the scales and zero points of columns, rows from first on. It
// goes block by block, as they lie.
func (p *packer) headers(dst []byte, first, columns int) {
	var scales [tileColumns][]byte
	var zeros [tileColumns][]int16 // nil: one zero point for all
	for c := range columns {
		scales[c], zeros[c] = p.src.ScaleRow(first+c), p.src.ZeroRow(first+c)
	}
	size, zeroSize := p.p.form.ScaleBytes(), p.p.form.ZeroBytesOf()
	var one [tileColumns * 4]byte // zero points of a piece
	for c := range columns {
		putZero(one[:], c, zeroSize, p.src.Zero(first+c, 0))
	}
	for b := range p.p.blocks {
		to := dst[p.p.offset[b]:]
		pieces := p.p.pieces[p.p.first[b]:p.p.first[b+1]]
		if size == 2 && columns == tileColumns && inARow(pieces) {
			halfScales(to, &scales, int(pieces[0].group))
		} else {
			putScales(to, scales[:columns], size, pieces)
		}
		if zeroSize == 0 {
			continue
		}
		to = to[inBlock*tileColumns*size:]
		for i := range pieces {
			if zeros[0] == nil {
				copy(to, one[:tileColumns*zeroSize])
			} else {
				for c, row := range zeros[:columns] {
					putZero(to, c, zeroSize, int(row[pieces[i].group]))
				}
			}
			to = to[tileColumns*zeroSize:]
		}
	}
}

// putScales writes scales of 2 or 4 bytes, one after the other.
func putScales(to []byte, scales [][]byte, size int, pieces []piece) {
	for i := range pieces {
		g := int(pieces[i].group)
		for c, row := range scales {
			if size == 4 {
				binary.LittleEndian.PutUint32(to[c*4:], binary.LittleEndian.Uint32(row[g*4:]))
			} else {
				binary.LittleEndian.PutUint16(to[c*2:], binary.LittleEndian.Uint16(row[g*2:]))
			}
		}
		to = to[tileColumns*size:]
	}
}

// inARow reports whether pieces are as many as a block has, each of the next
// group.
func inARow(pieces []piece) bool {
	for i := range pieces {
		if pieces[i].group != pieces[0].group+int32(i) {
			return false
		}
	}
	return len(pieces) == inBlock
}

// halfScales writes the scales of four groups from g on, of 2 bytes, four columns
// at a time.
func halfScales(to []byte, scales *[tileColumns][]byte, g int) {
	const even, low = 0x0000ffff0000ffff, 0x00000000ffffffff
	for c := 0; c < tileColumns; c += 4 {
		load := func(c int) uint64 { return binary.LittleEndian.Uint64(scales[c][g*2:]) }
		s, t, u, v := load(c), load(c+1), load(c+2), load(c+3)
		s, t = s&even|t&even<<16, s>>16&even|t&^even // groups 0 and 2, 1 and 3
		u, v = u&even|v&even<<16, u>>16&even|v&^even
		for i, v := range [inBlock]uint64{s&low | u<<32, t&low | v<<32, s>>32 | u&^low, t>>32 | v&^low} {
			binary.LittleEndian.PutUint64(to[i*tileColumns*2+c*2:], v)
		}
	}
}

// putZero writes a zero point of 0, 1 or 4 bytes.
func putZero(dst []byte, c, size, zero int) {
	switch size {
	case 1:
		dst[c] = uint8(zero)
	case 4:
		binary.LittleEndian.PutUint16(dst[c*4:], uint16(zero))
	}
}

// sums writes behind each zero point the sum of the codes of its piece and column,
// the one that lines hold.
func (p *packer) sums(dst []byte) {
	for b := range p.p.blocks {
		block := dst[p.p.offset[b]:p.p.offset[b+1]]
		lines := block[p.p.header():]
		zeros := block[inBlock*tileColumns*p.p.form.ScaleBytes():]
		size := int(p.p.blocks[b].Lines) * lineBytes
		for range p.p.blocks[b].Segments {
			if p.f.sums != nil {
				p.f.sums(unsafe.Pointer(&zeros[0]), unsafe.Pointer(&lines[0]), uintptr(p.p.blocks[b].Lines), uintptr(p.p.bits))
			} else {
				sumLines(zeros, lines[:size], p.p.bits)
			}
			lines, zeros = lines[size:], zeros[tileColumns*4:]
		}
	}
}

// sumLines does so for one piece: four codes at a time in 16-bit lanes, which hold
// 257 codes of 8 bits.
func sumLines(zeros, lines []byte, bits int) {
	const even, low = 0x00ff00ff, 0x0f0f0f0f
	for c := range tileColumns {
		var sum uint32
		for at := c * 4; at < len(lines); at += lineBytes {
			v := binary.LittleEndian.Uint32(lines[at:])
			if bits == 4 {
				v = v&low + v>>4&low
			}
			sum += v&even + v>>8&even
		}
		binary.LittleEndian.PutUint16(zeros[c*4+2:], uint16(sum+sum>>16))
	}
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

// lines writes the lines of piece s, step bytes apart: of each column as many
// bytes of its row as make a dword of a line. It goes line by line: column by
// column, every store would miss the first cache.
func (p *packer) lines(s *piece, lines []byte, step int, rows []byte, stride, columns int) {
	size := max(1, p.p.plain.Size())
	from, n := int(s.lo)*size, int(s.hi-s.lo)*size
	source, pack := p.p.perLine*size, p.f.dwords // bytes of a row for a line: four, or eight codes
	if p.p.bits == 4 {
		pack = p.f.nibbles
	}
	at := 0
	if turns := n / packTurn; pack != nil && turns > 0 && columns == tileColumns {
		pack(unsafe.Pointer(&lines[0]), uintptr(step), unsafe.Pointer(&rows[from]), uintptr(stride), uintptr(turns))
		if at = turns * packTurn; at == n {
			return
		}
	}
	var of [tileColumns][]byte
	for c := range columns {
		of[c] = rows[c*stride+from:][:n]
	}
	for ; at+source <= n; at += source {
		line := (*[lineBytes]byte)(lines[at/source*step:])
		if source == 4 {
			for c, row := range of[:columns] {
				binary.LittleEndian.PutUint32(line[c*4%lineBytes:], binary.LittleEndian.Uint32(row[at:at+4]))
			}
			continue
		}
		for c, row := range of[:columns] {
			v := binary.LittleEndian.Uint64(row[at : at+8])
			binary.LittleEndian.PutUint32(line[c*4%lineBytes:], uint32(v|v>>28))
		}
	}
	if at == n {
		return
	}
	for c, row := range of[:columns] {
		var u [8]uint8
		copy(u[:], row[at:])
		v := binary.LittleEndian.Uint64(u[:])
		binary.LittleEndian.PutUint32(lines[at/source*step+c*4:], uint32(v|v>>28))
	}
}

// ordered writes the lines of codes in another order. panel is scratch of as many
// bytes as rows: the 16 codes of a feature behind each other, so that they move
// together.
func (p *packer) ordered(dst, rows []byte, stride int, panel []byte) {
	const atOnce = 128 // turns: a goroutine in assembly cannot be stopped
	for turns, at := (p.p.k+packTurn-1)/packTurn, 0; at < turns; at += atOnce {
		to, from := unsafe.Pointer(&panel[at*packTurn*tileColumns]), unsafe.Pointer(&rows[at*packTurn])
		p.f.transpose(to, from, uintptr(stride), uintptr(min(atOnce, turns-at)))
	}
	features, pack := p.p.perLine, p.f.orderedDwords
	if p.p.bits == 4 {
		pack = p.f.orderedNibbles
	}
	p.p.walk(dst, func(s *piece, lines []byte, step int) {
		order, at := p.order[s.lo:s.hi], 0
		if n := len(order) / features; n > 0 {
			pack(unsafe.Pointer(&lines[0]), uintptr(step), unsafe.Pointer(&panel[0]), &order[0], uintptr(n))
			at = n * features
		}
		for j, i := range order[at:] { // of a line that is not full
			for c, u := range panel[int(i)*tileColumns:][:tileColumns] {
				lines[at/features*step+c*4+j%4] |= u << (j / 4 * 4)
			}
		}
	})
}
