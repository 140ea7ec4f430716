package gptq

import "encoding/binary"

// planar turns blocks of 32 codes from GPTQModel's checkpoint format gptq_p into the dense
// bit string. A block has as many words as a code has bits: first the words of
// the plane with the lowest bits of all 32 codes, then those of the higher ones. Within
// a plane of width w a code takes w bits, dense.
//
//	3 bits  aa aa b          a, b: a word each, planes of 2 and 1 bits
//	5 bits  aaaa b           planes of 4 and 1
//	6 bits  aaaa bb          planes of 4 and 2
//	7 bits  aaaa bb c        planes of 4, 2 and 1
//
// With 2, 4 and 8 bits there is one plane, and nothing to do. (GPTQModel's
// documentation of gptq_p.)
type planar struct {
	bits   int
	planes []plane
}

// plane is so many bytes of a block.
type plane struct {
	bytes, codes int         // of a block; codes in a byte
	spread       [256]uint64 // each byte's codes where they are in the dense string
}

// newPlanar returns nil where dense and planar are the same.
func newPlanar(bits int) *planar {
	if 32%bits == 0 {
		return nil
	}
	p := &planar{bits: bits}
	shift := 0
	for width := 4; width > 0; width /= 2 {
		if bits&width == 0 {
			continue
		}
		a := plane{bytes: 4 * width, codes: 8 / width}
		for b := range a.spread {
			for i := range a.codes {
				a.spread[b] |= uint64(b>>(i*width)&(1<<width-1)) << (i*bits + shift)
			}
		}
		p.planes = append(p.planes, a)
		shift += width
	}
	return p
}

// dense rewrites whole blocks. A nil planar leaves them as they are.
func (p *planar) dense(b []byte) {
	if p == nil {
		return
	}
	for block := 4 * p.bits; len(b) >= block; b = b[block:] {
		var out [8]uint64
		from := b
		for i := range p.planes {
			a := &p.planes[i]
			step, bit := a.codes*p.bits, 0
			for _, v := range from[:a.bytes] {
				s := a.spread[v]
				out[bit/64&7] |= s << (bit % 64)
				out[(bit/64+1)&7] |= s >> 1 >> (63 - bit%64)
				bit += step
			}
			from = from[a.bytes:]
		}
		for i := 0; i < block; i += 8 {
			if i+8 > block {
				binary.LittleEndian.PutUint32(b[i:], uint32(out[i/8]))
			} else {
				binary.LittleEndian.PutUint64(b[i:], out[i/8])
			}
		}
	}
}
