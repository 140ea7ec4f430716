package module

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Eight values by hand: −8 is code 0, 7 is code 15, 0 is code 8; the first of
// two codes is the low nibble.
func TestSignedRowByHand(t *testing.T) {
	src := []byte{0xf8, 7, 0, 0xff, 1, 2, 3, 4} // −8 7 0 −1 1 2 3 4
	dst := make([]byte, 8)
	require.Equal(t, -1, SignedRow(dst, src, 4))
	require.Equal(t, []byte{0xf0, 0x78, 0xa9, 0xcb, 0, 0, 0, 0}, dst)

	dst = make([]byte, 8)
	require.Equal(t, -1, SignedRow(dst, []byte{0x80, 0xff, 0, 0x7f}, 8))
	require.Equal(t, []byte{0, 0x7f, 0x80, 0xff, 0, 0, 0, 0}, dst)
}

// Every length up to two steps of the loop and beyond, each value out of range
// at each place: the row is as if made one by one, and the value is found.
func TestSignedRowEveryPlace(t *testing.T) {
	for bits := 2; bits <= 8; bits++ {
		half := 1 << (bits - 1)
		for n := 1; n <= 40; n++ {
			values := make([]byte, n)
			stride := (n*bits + 63) / 64 * 8
			want := make([]byte, stride)
			for k := range values {
				v := (k*7+n)%(2*half) - half
				values[k] = byte(v)
				for b := range bits {
					if (v+half)>>b&1 == 1 {
						want[(k*bits+b)/8] |= 1 << ((k*bits + b) % 8)
					}
				}
			}
			got := make([]byte, stride)
			require.Equal(t, -1, SignedRow(got, append([]byte(nil), values...), bits))
			require.Equal(t, want, got, "%d values of %d bits", n, bits)
			if bits == 8 {
				continue
			}
			for k := range values {
				for _, v := range []int{half, -half - 1, 127, -128} {
					bad := append([]byte(nil), values...)
					bad[k] = byte(v)
					require.Equal(t, k, SignedRow(make([]byte, stride), bad, bits), fmt.Sprintf("%d at %d of %d, %d bits", v, k, n, bits))
					require.Equal(t, byte(v), bad[k])
				}
			}
		}
	}
}
