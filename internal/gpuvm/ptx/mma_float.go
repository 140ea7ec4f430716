package ptx

import (
	"math"
	"math/bits"

	"github.com/bitlane/bitlane/dtype"
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

// factors are the elements of A or B that one block of k multiplies: values, and
// the exponents of their leading places, as of 1.f.
type factors struct {
	v [8]float64
	e [8]int32
}

// zeroExponent is that of a zero: below all others.
const zeroExponent = -100000

// put splits a float of type t; false for infinities and NaN.
func (x *factors) put(i int, t Type, h uint64) bool {
	expBits, manBits := uint(5), uint(10)
	f := dtype.F16ToF32
	if t == BF16 {
		expBits, manBits, f = 8, 7, dtype.BF16ToF32
	}
	x.v[i&7] = float64(f(uint16(h)))
	e := h >> manBits & mask(expBits)
	x.e[i&7] = int32(max(e, 1)) - int32(mask(expBits-1))
	if h&0x7fff == 0 {
		x.e[i&7] = zeroExponent
	}
	return e != mask(expBits)
}

func (x *factors) zero() bool { return x.v == [8]float64{} }

// A fragments is A or B as an mma sees it: by row or column, in blocks of k.
type fragments [16][2]factors

func execMmaFloat(w *warp, in *inst) {
	w.needFull(in)
	info := in.mma
	var a, b fragments
	finite := true
	for r, reg := range in.av {
		for lane, v := range &w.regs[reg] {
			x, i := &a[lane>>2+r&1*8][r>>1], lane&3*2
			finite = x.put(i, info.aType, v&0xffff) && finite
			finite = x.put(i+1, info.aType, v>>16) && finite
		}
	}
	for r, reg := range in.bv {
		for lane, v := range &w.regs[reg] {
			x, i := &b[lane>>2][r], lane&3*2
			finite = x.put(i, info.aType, v&0xffff) && finite
			finite = x.put(i+1, info.aType, v>>16) && finite
		}
	}
	// Undefined columns are not worth their sums; those of absent tokens are zero.
	skip := w.undefinedColumns(in)
	var zeros [8][2]bool
	for col := range zeros {
		zeros[col] = [2]bool{b[col][0].zero(), b[col][1].zero()}
	}
	blocks := info.k / 8
	exact := w.blk.run.m.cfg.MMA == MMAExact
	var d [16][8]uint64
	for row := range 16 {
		for col := range 8 {
			if skip>>col&1 != 0 {
				continue
			}
			k, lane := cAt(row, col)
			c := f32(w.regs[in.cv[k]][lane])
			if !finite || c-c != 0 {
				if special := sumSpecial(a[row][:blocks], b[col][:blocks], c); special != 0 {
					d[row][col] = bits32(special)
					continue
				}
			}
			if exact {
				c = sumExact(a[row][:blocks], b[col][:blocks], c)
			} else {
				for i := range blocks {
					if zeros[col][i] {
						c += 0
					} else {
						c = sumTruncated(&a[row][i], &b[col][i], c)
					}
				}
			}
			d[row][col] = uint64(math.Float32bits(c))
		}
	}
	w.finishMma(in, &d)
}

// undefinedColumns finds the columns of B that are undefined.
func (w *warp) undefinedColumns(in *inst) uint32 {
	var undef uint32
	for _, reg := range in.bv {
		undef |= w.undef[reg]
	}
	if undef == 0 {
		return 0
	}
	_, cols, _ := w.undefinedMma(in)
	return cols
}

// sumSpecial gives the infinity or NaN of a sum that has such a term, else 0.
func sumSpecial(a, b []factors, c float32) float32 {
	var special float64
	if c-c != 0 {
		special += float64(c)
	}
	for k := range a {
		for i, x := range a[k].v {
			if p := float64(x * b[k].v[i]); p-p != 0 {
				special += p
			}
		}
	}
	return float32(special)
}

// sumTruncated is one block of MMATruncate.
func sumTruncated(a, b *factors, c float32) float32 {
	const kept = 24
	cb := math.Float32bits(c)
	top := int32(zeroExponent)
	switch e := int32(cb >> 23 & 0xff); {
	case e == 255:
		return c // a block before overflowed
	case cb<<1 != 0:
		top = max(e, 1) - 127
	}
	for i, e := range a.e {
		top = max(top, e+b.e[i])
	}
	if top < zeroExponent/2 {
		return c + 0 // all zero
	}
	// In units of the last place kept; the conversions truncate, and nothing else
	// rounds: products of these floats are exact, and so is scaling them.
	scale := math.Float64frombits(uint64(1023+kept-top) << 52)
	sum := int64(float64(c) * scale)
	for i, v := range a.v {
		sum += int64(float64(v*b.v[i]) * scale)
	}
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
func sumExact(a, b []factors, c float32) float32 {
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
	for k := range a {
		for i, x := range a[k].v {
			add(float64(x * b[k].v[i]))
		}
	}
	// Rounding to odd from the smallest part up keeps what decides the last step.
	sum := 0.0
	for _, x := range parts {
		sum = dtype.AddToOdd(sum, x)
	}
	return float32(sum)
}
