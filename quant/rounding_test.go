package quant

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The short forms of rounding equal the library's on every half, on both
// neighbours of every half and on every eighth.
func TestRounding(t *testing.T) {
	check := func(v float32) {
		require.Equal(t, int32(math.Round(float64(v))), halfAway(v), "%v away", v)
		if v >= -128 && v <= 127 {
			require.Equal(t, int8(math.RoundToEven(float64(v))), halfEven(v), "%v even", v)
		}
	}
	for i := -260 * 8; i <= 260*8; i++ {
		v := float32(i) / 8
		check(v)
		check(math.Nextafter32(v, -1000))
		check(math.Nextafter32(v, 1000))
	}
	check(float32(math.Copysign(0, -1)))
	check(math.SmallestNonzeroFloat32)
}
