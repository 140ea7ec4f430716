package linear

import (
	"encoding/binary"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// bricks packs rows of canonical codes. kernels/cuda draws what a brick is. A
// lane's codes of a step are four of row g of a tile and four of row g+8, of
// which each pair of features goes to one register.
type bricks struct {
	plan  *plan
	spec  *backend.Spec
	src   *quant.Weight
	order []int32 // of the features; nil: as they are

	spares [][]byte // for each worker of pack
}

// spare is the bytes that row needs besides.
func (b *bricks) spare() int {
	if b.plan.bits == 16 {
		return 0
	}
	return brickOutputs*b.plan.units*unitFeatures + 2*b.plan.k
}

// row packs the bricks of 32 outputs from first on: plan.units of them, to dst.
func (b *bricks) row(dst []byte, first int, spare []byte) {
	p := b.plan
	if p.bits == 16 {
		b.plain(dst, first)
		return
	}
	width := p.units * unitFeatures
	codes, line := spare[:brickOutputs*width], spare[brickOutputs*width:]
	if width != p.k || first+brickOutputs > p.n {
		clear(codes)
	}
	for i := range min(brickOutputs, p.n-first) {
		b.codes(codes[i*width:][:width], first+i, line)
	}
	row := func(i int) []byte { return codes[i*width:][:width] }
	for g := range 8 {
		if p.bits == 3 {
			four3(dst, row(g), row(g+8), row(g+16), row(g+24), g)
			continue
		}
		for tile := range 2 {
			upper, lower := row(16*tile+g), row(16*tile+g+8)
			switch p.bits {
			case 2:
				pair2(dst, upper, lower, tile, g)
			case 4:
				pair4(dst, upper, lower, tile, g)
			default:
				pair8(dst, upper, lower, tile, g)
			}
		}
	}
}

// The functions below pack rows g and g+8 of a tile, codes in bytes, for all
// units: four lanes of each. Eight features of both rows, a and b, are the two
// steps of a lane, in the halves of a uint64.

func pair4(dst, upper, lower []byte, tile, g int) {
	const bytes = brickOutputs * unitFeatures * 4 / 8
	for ; len(upper) >= unitFeatures && len(lower) >= unitFeatures; upper, lower, dst = upper[unitFeatures:], lower[unitFeatures:], dst[bytes:] {
		brick := dst[64*g+8*tile : bytes]
		for t := range 4 {
			v := binary.LittleEndian.Uint64(upper[8*t:]) | binary.LittleEndian.Uint64(lower[8*t:])<<4
			v = v&0xff0000ffff0000ff | v>>8&0x0000ff000000ff00 | v<<8&0x00ff000000ff0000
			binary.LittleEndian.PutUint64(brick[16*t:], v)
		}
	}
}

func pair8(dst, upper, lower []byte, tile, g int) {
	const bytes = brickOutputs * unitFeatures
	for ; len(upper) >= unitFeatures && len(lower) >= unitFeatures; upper, lower, dst = upper[unitFeatures:], lower[unitFeatures:], dst[bytes:] {
		brick := dst[512*tile+64*g : bytes]
		for t := range 4 {
			a, b := binary.LittleEndian.Uint64(upper[8*t:]), binary.LittleEndian.Uint64(lower[8*t:])
			// Pairs of features of a and of b in turn.
			one := a&0xffff | b&0xffff<<16 | a&0xffff0000<<16 | b&0xffff0000<<32
			two := a>>32&0xffff | b>>32&0xffff<<16 | a>>48<<32 | b>>48<<48
			binary.LittleEndian.PutUint64(brick[16*t:], one)
			binary.LittleEndian.PutUint64(brick[16*t+8:], two)
		}
	}
}

func pair2(dst, upper, lower []byte, tile, g int) {
	const bytes = brickOutputs * unitFeatures * 2 / 8
	for ; len(upper) >= unitFeatures && len(lower) >= unitFeatures; upper, lower, dst = upper[unitFeatures:], lower[unitFeatures:], dst[bytes:] {
		brick := dst[32*g+4*tile : bytes]
		for t := range 4 {
			v := binary.LittleEndian.Uint64(upper[8*t:]) | binary.LittleEndian.Uint64(lower[8*t:])<<2
			v = (v | v>>12) & 0x0000ffff0000ffff // of each step, first and second features of pairs
			w := uint32(v | v>>16)
			binary.LittleEndian.PutUint32(brick[8*t:], w&0xff0000ff|w>>8&0xff00|w<<8&0xff0000)
		}
	}
}

// four3 packs the rows g, g+8, g+16 and g+24 of a brick: codes of three bits
// share words across tiles.
func four3(dst, a, b, c, d []byte, g int) {
	const bytes = brickOutputs * unitFeatures * 3 / 8
	const one = 0x00070007 // a pair
	// both returns the pairs of two rows of a step, first those of the features
	// 0 and 1, then of 2 and 3: the first row's in the lower bits.
	both := func(upper, lower uint32) (first, second uint32) {
		v := upper | lower<<3
		return v&0x3f | v<<8&0x3f0000, v>>16&0x3f | v>>8&0x3f0000
	}
	for ; len(a) >= unitFeatures && len(b) >= unitFeatures && len(c) >= unitFeatures && len(d) >= unitFeatures; dst = dst[bytes:] {
		for t := range 4 {
			at := func(row []byte, step int) uint32 { return binary.LittleEndian.Uint32(row[8*t+4*step:]) }
			p0, p2 := both(at(a, 0), at(b, 0))
			p4, p6 := both(at(a, 1), at(b, 1))
			p8, p10 := both(at(c, 0), at(d, 0))
			p12, p14 := both(at(c, 1), at(d, 1))
			last := p14 & one
			w0 := p0 | p2<<6 | p4&one<<12 | last&0x10001<<15
			w1 := p6&one | p4>>3&one<<3 | p8&one<<6 | p6>>3&one<<9 | p8>>3&one<<12 | last>>1&0x10001<<15
			w2 := p10 | p12<<6 | p14>>3&one<<12 | last>>2&0x10001<<15
			lane := dst[16*g+4*t : bytes]
			binary.LittleEndian.PutUint32(lane, w0)
			binary.LittleEndian.PutUint32(lane[128:], w1)
			binary.LittleEndian.PutUint32(lane[256:], w2)
		}
		a, b, c, d = a[unitFeatures:], b[unitFeatures:], c[unitFeatures:], d[unitFeatures:]
	}
}

// plain packs elements as they are: the four registers of a lane side by side,
// for each tile and step.
func (b *bricks) plain(dst []byte, first int) {
	p := b.plan
	clear(dst[:p.rowBytes()])
	for i := range min(brickOutputs, p.n-first) {
		row := b.src.Row(first + i)[:2*p.k]
		at := 1024*(i/16) + 64*(i%8) + 4*(i/8%2)
		for k := 0; k < p.k; k += 2 { // a pair of features
			to := dst[k/unitFeatures*p.brickBytes+at+16*(k%32/8)+512*(k%8/4)+8*(k%4/2):]
			copy(to[:4], row[2*k:min(2*k+4, len(row))])
		}
	}
}

// codes writes the codes of row n in packed order, each unit padded to 32.
func (b *bricks) codes(dst []byte, n int, line []byte) {
	k := b.plan.k
	if b.order == nil && !b.plan.gather {
		b.src.UnpackRow(dst[:b.plan.k], n)
		return
	}
	row := line[:k]
	b.src.UnpackRow(row, n)
	if b.order != nil {
		sorted := line[k : 2*k]
		for i, at := range b.order {
			sorted[i] = row[at]
		}
		row = sorted
	}
	for u, f := range eachUnit(b.spec) {
		copy(dst[u*unitFeatures:], row[f.lo:f.hi])
	}
}
