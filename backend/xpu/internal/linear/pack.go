package linear

import (
	"context"
	"encoding/binary"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/internal/packing"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// packer packs the weights of one layer.
type packer struct {
	*plan
	src    *quant.Weight
	spec   *backend.Spec
	spares [][]uint8 // one row of codes for each worker
}

// pack fills piece with the codes of outputs from first on, on all threads, or
// returns the context's error.
func (p *packer) pack(ctx context.Context, piece []byte, first int) error {
	each := p.rowBytes()
	n := len(piece) / each
	workers := packing.Workers(n, 16)
	for len(p.spares) < workers {
		p.spares = append(p.spares, make([]uint8, p.k))
	}
	return packing.Rows(ctx, n, workers, func(worker, i int) {
		p.row(piece[i*each:][:each], first+i, p.spares[worker])
	})
}

// row packs the codes of output n. Features behind K get the zero point of the
// last group, in which they are. 4-bit codes are in a quant.Weight as oneDNN
// wants them, and 8-bit ones but for their highest bit.
func (p *packer) row(dst []byte, n int, codes []uint8) {
	if p.plain {
		p.floats(dst, n)
		return
	}
	pad := p.padding(n)
	done := 0 // features that are packed
	switch bits := p.spec.Bits; {
	case bits == 4:
		done = copy(dst, p.src.Row(n)[:p.k/2]) * 2
	case bits == 8:
		done = signed(dst, p.src.Row(n)[:p.k])
	}
	if done < p.k {
		p.src.UnpackRow(codes, n)
	}
	if !p.nibbles {
		for k := done; k < p.k; k++ {
			dst[k] = byte(int(codes[k]) - p.middle)
		}
		for k := p.k; k < p.kp; k++ {
			dst[k] = pad
		}
		return
	}
	at := func(k int) byte {
		if k < p.k {
			return codes[k]
		}
		return pad
	}
	for i := done / 2; i < p.kp/2; i++ {
		dst[i] = at(2*i) | at(2*i+1)<<4
	}
}

// floats writes the plain weights of output n as float32, which loses nothing.
func (p *packer) floats(dst []byte, n int) {
	var part [256]float32
	row, size := p.src.Row(n), p.spec.Plain.Size()
	for k := 0; k < p.k; k += len(part) {
		some := part[:min(len(part), p.k-k)]
		dtype.Decode(p.spec.Plain, some, row[k*size:])
		dtype.Encode(dtype.F32, dst[4*k:], some)
	}
	clear(dst[4*p.k:])
}

// signed writes u − 128 of whole words of 8 codes, and returns how many codes
// those are.
func signed(dst, codes []byte) (n int) {
	for ; n+8 <= len(codes); n += 8 {
		binary.LittleEndian.PutUint64(dst[n:], binary.LittleEndian.Uint64(codes[n:])^0x8080808080808080)
	}
	return n
}

// padding is the stored code of features behind K: their zero point where it is
// a code. Where it is not, x counts as 0 there all the same, with a code of 0.
func (p *packer) padding(n int) byte {
	zero := p.src.Zero(n, p.groups-1) - p.middle
	if p.nibbles {
		return byte(max(0, min(zero, 15)))
	}
	return byte(int8(zero))
}

// tables writes everything but codes, from the scales on, or returns the
// context's error.
func (p *packer) tables(ctx context.Context, dst []byte, bias []float32) error {
	part := func(at int64) []byte { return dst[at-p.at.scales:] }
	scales, size := part(p.at.scales), p.scale
	for n := range p.n {
		if p.plain { // it has none
			break
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		row := p.src.ScaleRow(n)
		for g := range p.groups {
			copy(scales[(g*p.n+n)*size:][:size], row[g*size:])
		}
	}
	if p.at.zeros < p.at.bias {
		zeros := part(p.at.zeros)
		for n := range p.n {
			for g := range p.groups {
				zeros[g*p.n+n] = byte(int8(p.src.Zero(n, g) - p.middle))
			}
		}
	}
	if p.bias {
		dtype.Encode(dtype.F32, part(p.at.bias), bias)
	}
	return ctx.Err()
}
