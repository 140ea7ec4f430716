package asm

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"
)

func TestRowGather(t *testing.T) {
	eachRowTier(t, func(k rowTier) {
		for size, gather := range map[int]func(dst, x *byte, order *int32, n uintptr){2: k.gather16, 4: k.gather32} {
			testGather(t, size, 1, func(dst, x *byte, order *int32, n, _ uintptr) { gather(dst, x, order, n) })
		}
	})
}

// The last element of x, of so many bytes, comes first in an order as often as any, so
// that no load may take more than an element, and the first one likewise. x has at least
// least elements.
func testGather(t *testing.T, size, least int, gather func(dst, x *byte, order *int32, n, k uintptr)) {
	rng, m := rand.New(rand.NewPCG(21, 22)), newMemory(t)
	for range 2000 {
		n, k, behind := 1+rng.IntN(70), least+rng.IntN(50), rng.IntN(4) != 0
		x, dst, order := m.take("x", k*size, behind), m.take("y", n*size, behind), m.take("order", n*4, behind)
		for i := range x {
			x[i] = byte(rng.Uint32())
		}
		var want []byte
		for i := range n {
			at := rng.IntN(k)
			if rng.IntN(3) == 0 {
				at = rng.IntN(2) * (k - 1)
			}
			binary.LittleEndian.PutUint32(order[4*i:], uint32(at))
			want = append(want, x[at*size:][:size]...)
		}
		given := [][]byte{bytes.Clone(x), bytes.Clone(order)}
		gather(&dst[0], &x[0], (*int32)(unsafe.Pointer(&order[0])), uintptr(n), uintptr(k))
		if !bytes.Equal(want, dst) || !bytes.Equal(given[0], x) || !bytes.Equal(given[1], order) {
			t.Fatalf("%d of %d elements of %d bytes: %x, want %x", n, k, size, dst, want)
		}
	}
}
