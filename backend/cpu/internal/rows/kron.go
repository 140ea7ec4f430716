package rows

import (
	"math"
	"math/bits"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// kron is a transform ready for products with fused multiply-adds, where those
// are exact, and for products in panels.
type kron struct {
	*quant.Transform
	p2   []float32 // P2 in panels
	wide bool      // two panels at a time

	// Whether all products of x with P2, and of P1 with what is in between, are
	// exact in float32, for values of x and in between that are tame.
	exact1, exact2 bool
	tame           bool // all values of the type of x are
}

func newKron(isa ISA, x dtype.DType, t *quant.Transform) *kron {
	k := &kron{Transform: t, wide: isa == AVX512 && hasAVX512(), p2: make([]float32, panels(t.R)*t.R*panelColumns), tame: x == dtype.F16}
	for i := range t.R {
		for j, v := range t.P2[i*t.R:][:t.R] {
			k.p2[(j/panelColumns*t.R+i)*panelColumns+j%panelColumns] = v
		}
	}
	width := map[dtype.DType]int{dtype.F32: 24, dtype.F16: 11, dtype.BF16: 8}[x]
	k.exact1 = width+significand(t.P2) <= 24
	k.exact2 = width+significand(t.P1) <= 24
	return k
}

// Magnitudes between which the product of two values has neither a bit below
// 2⁻¹⁴⁹ nor reaches 2¹²⁸, if their significands have 24 bits together: the last
// bit of such a value is at least 2⁻⁵⁰⁻²³.
const (
	tameLeast = (127 - 50) << 23 // 2⁻⁵⁰ as a pattern
	tameMost  = (127 + 60) << 23 // 2⁶⁰
)

// isTame reports whether the magnitudes of values span none but tame ones and
// 0: most is the largest pattern, least the smallest but 0, less one.
func isTame(most, least uint32) bool { return most < tameMost && least >= tameLeast-1 }

// significand returns the bits of the longest significand among values that
// are all tame, 24 where one is not.
func significand(v []float32) int {
	longest := 0
	for _, v := range v {
		b := math.Float32bits(v) &^ (1 << 31)
		if b == 0 {
			continue
		}
		if !isTame(b, b-1) {
			return 24
		}
		longest = max(longest, 24-bits.TrailingZeros32(b|1<<23))
	}
	return longest
}
