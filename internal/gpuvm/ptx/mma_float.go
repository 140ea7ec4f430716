package ptx

import (
	"math"
	"math/bits"
)

// An MMAModel is a way in which a tensor core may sum. PTX leaves order and
// rounding open; an error bound must hold for each of them.
type MMAModel uint8

const (
	// MMATruncate follows what was measured on the A100 (Fasi, Higham, Mikaitis,
	// Pranesh, PeerJ CS 7:e330, 2021): k is cut into blocks of 8, in ascending
	// order; the 8 exact products and the accumulator are aligned to the largest
	// exponent among them, a product's being the sum of its factors' exponents;
	// each is truncated toward zero to 24 bits behind the point (one more than
	// float32 has); the sum is exact, and its float32 is truncated toward zero.
	MMATruncate MMAModel = iota
	// MMAExact rounds the exact sum of all products and the accumulator once, to
	// nearest even.
	MMAExact
)

// A term is a factor of a product: (−1)^sign · m · 2^e with an integer m.
type term struct {
	m int32 // signed; 0 for zero
	e int32 // exponent of the leading place, as of 1.f; large and negative for zero
}

const zeroExponent = -100000

// decompose splits a float of type t; ok is false for infinities and NaN.
func decompose(t Type, v uint64) (x term, ok bool) {
	expBits, manBits := uint(5), uint(10)
	if t == BF16 {
		expBits, manBits = 8, 7
	}
	e := int32(v >> manBits & mask(expBits))
	m := int32(v & mask(manBits))
	switch {
	case e == int32(mask(expBits)):
		return term{}, false
	case e == 0 && m == 0:
		return term{0, zeroExponent}, true
	case e == 0:
		e = 1
	default:
		m |= 1 << manBits
	}
	if v>>15&1 != 0 {
		m = -m
	}
	return term{m, e - int32(mask(expBits-1))}, true
}

func execMmaFloat(w *warp, in *inst) {
	w.needFull(in)
	info := in.mma
	var a [16][16]term
	var b [8][16]term
	var av [16][16]uint16
	var bv [8][16]uint16
	finite := true
	split := func(v uint64) term {
		x, ok := decompose(info.aType, v)
		finite = finite && ok
		return x
	}
	for r, reg := range in.av {
		for lane, v := range &w.regs[reg] {
			row, col := lane>>2+r&1*8, lane&3*2+r>>1*8
			av[row][col], av[row][col+1] = uint16(v), uint16(v>>16)
			a[row][col], a[row][col+1] = split(v&0xffff), split(v>>16)
		}
	}
	for r, reg := range in.bv {
		for lane, v := range &w.regs[reg] {
			col, k := lane>>2, lane&3*2+r*8
			bv[col][k], bv[col][k+1] = uint16(v), uint16(v>>16)
			b[col][k], b[col][k+1] = split(v&0xffff), split(v>>16)
		}
	}
	fraction := uint(20)
	if info.aType == BF16 {
		fraction = 14
	}
	exact := w.blk.run.m.cfg.MMA == MMAExact
	var zeros [8][2]bool // blocks of B that are zero, as those of absent tokens are
	for col := range zeros {
		for at := 0; at < info.k; at += 8 {
			zeros[col][at/8] = allZero(b[col][at : at+8])
		}
	}
	var d [16][8]uint64
	for row := range 16 {
		for col := range 8 {
			k, lane := cAt(row, col)
			c := f32(w.regs[in.cv[k]][lane])
			switch {
			case !finite || c-c != 0:
				d[row][col] = bits32(sumSpecial(info.aType, av[row][:info.k], bv[col][:info.k], c))
				if d[row][col] != specialFinite {
					continue
				}
				fallthrough
			default:
				if exact {
					c = sumExact(a[row][:info.k], b[col][:info.k], c, fraction)
				} else {
					for at := 0; at < info.k; at += 8 {
						if zeros[col][at/8] {
							c += 0
							continue
						}
						c = sumTruncated((*[8]term)(a[row][at:]), (*[8]term)(b[col][at:]), c, fraction)
					}
				}
				d[row][col] = uint64(math.Float32bits(c))
			}
		}
	}
	w.finishMma(in, &d)
}

func allZero(x []term) bool {
	m := int32(0)
	for i := range x {
		m |= x[i].m
	}
	return m == 0
}

// specialFinite is what sumSpecial gives, as bits, where nothing in the sum is
// infinite or NaN.
var specialFinite = bits32(1)

// sumSpecial gives the infinity or NaN of a sum that has such a term, else 1.
func sumSpecial(t Type, a, b []uint16, c float32) float32 {
	fm := formats[t]
	var special float64
	if c-c != 0 {
		special += float64(c)
	}
	for i := range a {
		if p := fm.wide(uint64(a[i])) * fm.wide(uint64(b[i])); p-p != 0 {
			special += p
		}
	}
	if special == 0 {
		return 1
	}
	return float32(special)
}

// sumTruncated is one block of MMATruncate; fraction is the number of bits
// behind the point of a product of two mantissas.
func sumTruncated(a, b *[8]term, c float32, fraction uint) float32 {
	const kept = 24
	var p [8]int64
	var e [8]int32
	top := int32(zeroExponent)
	for i := range a {
		p[i] = int64(a[i].m) * int64(b[i].m)
		e[i] = a[i].e + b[i].e
		top = max(top, e[i])
	}
	cb := math.Float32bits(c)
	cm, ce := int64(cb&0x7fffff), int32(cb>>23&0xff)
	switch {
	case ce == 255:
		return c // a block before overflowed
	case ce != 0:
		cm |= 1 << 23
	case cm != 0:
		ce = 1
	}
	if cm == 0 {
		ce = zeroExponent
	} else {
		ce -= 127
		top = max(top, ce)
	}
	if top < zeroExponent/2 {
		return c + 0 // all zero
	}
	var sum int64
	up := kept - fraction
	for i, v := range p {
		s := v >> 63
		v = (v ^ s - s) << up >> min(uint(top-e[i]), 63)
		sum += v ^ s - s
	}
	v := cm << 1 >> min(uint(top-ce), 63)
	if cb>>31 != 0 {
		v = -v
	}
	sum += v
	return truncate32(sum, top-kept)
}

// truncate32 gives m·2^e as a float32, toward zero.
func truncate32(m int64, e int32) float32 {
	sign := uint32(0)
	if m < 0 {
		sign, m = 1<<31, -m
	}
	if m == 0 {
		return 0
	}
	n := int32(bits.Len64(uint64(m)))
	exp := e + n - 1 // of the leading bit
	drop := n - 24
	if exp < -126 {
		drop += -126 - exp
	}
	switch {
	case exp > 127:
		return math.Float32frombits(sign | 0x7f800000)
	case drop >= 64:
		return math.Float32frombits(sign)
	case drop > 0:
		m >>= uint(drop)
	default:
		m <<= uint(-drop)
	}
	if exp < -126 {
		return math.Float32frombits(sign | uint32(m))
	}
	return math.Float32frombits(sign | uint32(exp+127)<<23 | uint32(m)&0x7fffff)
}

// sumExact rounds the exact sum to nearest.
func sumExact(a, b []term, c float32, fraction uint) float32 {
	// parts never overlap: their sum is exact, largest last.
	var parts []float64
	add := func(x float64) {
		kept := parts[:0]
		for _, y := range parts {
			s := x + y
			bb := s - x
			if err := (x - (s - bb)) + (y - bb); err != 0 {
				kept = append(kept, err)
			}
			x = s
		}
		parts = append(kept, x)
	}
	add(float64(c))
	for i := range a {
		if m := a[i].m * b[i].m; m != 0 {
			add(math.Ldexp(float64(m), int(a[i].e+b[i].e)-int(fraction)))
		}
	}
	// Rounding to odd from the smallest part up keeps what decides the last step.
	sum := 0.0
	for _, x := range parts {
		sum = sumOdd(sum, x)
	}
	return float32(sum)
}
