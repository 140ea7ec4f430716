package main

import "math"

// rng is xoshiro256** seeded by splitmix64 (both public domain, by Blackman
// and Vigna), written out so that the bytes never change under us.
type rng struct{ s [4]uint64 }

func newRNG(seed uint64) *rng {
	r := new(rng)
	for i := range r.s {
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		r.s[i] = z ^ z>>31
	}
	return r
}

// seedOf derives a seed from a name (FNV-1a), so that adding a layer does not
// change the numbers of the others.
func seedOf(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(name); i++ {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h
}

func (r *rng) next() uint64 {
	s := &r.s
	out := rotl(s[1]*5, 7) * 9
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = rotl(s[3], 45)
	return out
}

func rotl(x uint64, k uint) uint64 { return x<<k | x>>(64-k) }

// below returns an integer in [0, n), n small.
func (r *rng) below(n int) int { return int(r.next() >> 33 * uint64(n) >> 31) }

// uniform returns a multiple of 2^-24 in [0, 1).
func (r *rng) uniform() float64 { return float64(r.next()>>40) * 0x1p-24 }

// gauss returns about a standard normal number: twelve uniform ones, summed
// exactly.
func (r *rng) gauss() float64 {
	s := -6.0
	for range 12 {
		s += r.uniform()
	}
	return s
}

// shuffle permutes v.
func (r *rng) shuffle(v []int) {
	for i := len(v) - 1; i > 0; i-- {
		j := r.below(i + 1)
		v[i], v[j] = v[j], v[i]
	}
}

// A float type is known by its name in safetensors. round rounds once, to
// nearest with ties to even; it does not reach infinities, which gen has none
// of.
func round(t string, f float64) float64 {
	switch t {
	case "F32":
		return float64(float32(f))
	case "F16":
		return roundTo(f, 11, -24)
	case "BF16":
		return roundTo(f, 8, -133)
	case "F64":
		return f
	}
	panic("no float type " + t)
}

// roundTo rounds f to a multiple of 2^q, q chosen so that digits significant
// bits remain but not below least.
func roundTo(f float64, digits, least int) float64 {
	if f == 0 {
		return f
	}
	_, e := math.Frexp(f) // |f| in [2^(e-1), 2^e)
	q := max(e-digits, least)
	return math.Ldexp(math.RoundToEven(math.Ldexp(f, -q)), q)
}

// floatBits returns the bit pattern of f, which must be a value of type t.
func floatBits(t string, f float64) uint64 {
	if f != f || math.IsInf(f, 0) {
		u := uint64(math.Float32bits(float32(f)))
		switch t {
		case "F16":
			return u>>16&0x8000 | 0x7c00 | u>>13&0x3ff
		case "BF16":
			return u >> 16
		}
		return u
	}
	switch t {
	case "F64":
		return math.Float64bits(f)
	case "F32":
		return uint64(math.Float32bits(float32(f)))
	case "BF16":
		return uint64(math.Float32bits(float32(f)) >> 16)
	}
	sign := uint64(0)
	if math.Signbit(f) {
		sign, f = 0x8000, -f
	}
	if f < 0x1p-14 {
		return sign | uint64(f*0x1p24)
	}
	m, e := math.Frexp(f)
	return sign | uint64(e+14)<<10 | uint64(m*2048)&0x3ff
}

func width(t string) int {
	switch t {
	case "F64", "I64":
		return 8
	case "F32", "I32":
		return 4
	case "F16", "BF16", "I16":
		return 2
	}
	return 1
}
