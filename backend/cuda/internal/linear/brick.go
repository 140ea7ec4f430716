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
}

// spare is the bytes that row needs besides.
func (b *bricks) spare() int { return brickOutputs*b.plan.units*unitFeatures + 2*b.plan.k }

// row packs the bricks of 32 outputs from first on: plan.units of them, to dst.
func (b *bricks) row(dst []byte, first int, spare []byte) {
	p := b.plan
	width := p.units * unitFeatures
	codes, line := spare[:brickOutputs*width], spare[brickOutputs*width:]
	clear(codes)
	for i := range min(brickOutputs, p.n-first) {
		b.codes(codes[i*width:][:width], first+i, line)
	}
	var words [2][2][32]struct{ a, b uint32 } // of tile, step, lane
	for u := range p.units {
		for tile := range 2 {
			for lane := range 32 {
				at := (16*tile+lane/4)*width + u*unitFeatures + lane%4*8
				for step := range 2 {
					w := &words[tile][step][lane]
					w.a = binary.LittleEndian.Uint32(codes[at+4*step:])
					w.b = binary.LittleEndian.Uint32(codes[at+4*step+8*width:])
				}
			}
		}
		brick := dst[u*p.brickBytes:][:p.brickBytes]
		switch p.bits {
		case 2:
			for lane := range 32 {
				for tile := range 2 {
					v := pack2(words[tile][0][lane].a, words[tile][0][lane].b) | pack2(words[tile][1][lane].a, words[tile][1][lane].b)<<16
					binary.LittleEndian.PutUint32(brick[8*lane+4*tile:], v)
				}
			}
		case 3:
			for lane := range 32 {
				upper := uint32(0)
				for tile := range 2 {
					v := uint32(0)
					for step := range 2 {
						w := words[tile][step][lane]
						v |= pack2(w.a&0x03030303, w.b&0x03030303) << (16 * step)
						upper |= pack1(w.a>>2&0x01010101, w.b>>2&0x01010101) << (16*tile + 8*step)
					}
					binary.LittleEndian.PutUint32(brick[8*lane+4*tile:], v)
				}
				binary.LittleEndian.PutUint32(brick[256+4*lane:], upper)
			}
		case 4:
			for lane := range 32 {
				for i := range 4 {
					w := words[i/2][i%2][lane]
					binary.LittleEndian.PutUint32(brick[16*lane+4*i:], pack4(w.a, w.b))
				}
			}
		default:
			for lane := range 32 {
				for i := range 4 {
					w := words[i/2][i%2][lane]
					at := brick[512*(i/2)+16*lane+8*(i%2):]
					binary.LittleEndian.PutUint32(at, w.a&0xffff|w.b<<16)
					binary.LittleEndian.PutUint32(at[4:], w.a>>16|w.b&0xffff0000)
				}
			}
		}
	}
}

// codes writes the codes of row n in packed order, each unit padded to 32.
func (b *bricks) codes(dst []byte, n int, line []byte) {
	k := b.plan.k
	row := line[:k]
	b.src.UnpackRow(row, n)
	if b.order != nil {
		sorted := line[k : 2*k]
		for i, at := range b.order {
			sorted[i] = row[at]
		}
		row = sorted
	}
	if !b.plan.gather {
		copy(dst, row)
		return
	}
	for u, f := range eachUnit(b.spec) {
		copy(dst[u*unitFeatures:], row[f.lo:f.hi])
	}
}

// pack4 makes of four codes of each row, one in a byte, the word of a step:
// pairs of rows, of the features 0, 2, 1 and 3.
func pack4(a, b uint32) uint32 {
	v := a | b<<4
	return v&0xff0000ff | v>>8&0xff00 | v<<8&0xff0000
}

// pack2 makes the 16 bits of a step of codes of two bits.
func pack2(a, b uint32) uint32 {
	v := a | b<<2
	return (v | v>>12) & 0xffff
}

// pack1 makes the 8 bits of a step of codes of one bit.
func pack1(a, b uint32) uint32 {
	v := a | b<<1
	return (v | v>>14 | v>>4&0x30 | v>>18&0xc0) & 0xff
}
