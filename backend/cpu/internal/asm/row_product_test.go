package asm

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/guardpage"
)

func TestRowProducts(t *testing.T) {
	eachRowTier(t, func(k rowTier) { testProducts(t, k.product, 16) })
}

// productOf is the definition of a product: C [rows][columns].
func productOf(p *Product, columns int) [][]float32 {
	c := make([][]float32, p.Rows)
	for i := range c {
		c[i] = make([]float32, columns)
		for j := range columns {
			var s float32
			for k := range int(p.K) {
				a := *load[float32](unsafe.Pointer(p.A), i*int(p.AStep)+4*k)
				b := *load[float32](unsafe.Pointer(p.B), j/16*int(p.BNext)+64*k+j%16*4)
				s = dtype.FMA(a, b, s)
			}
			c[i][j] = s
		}
	}
	return c
}

func testProducts(t *testing.T, kernel func(*Product), columns int) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, rows := range []int{1, 2, 5, 6, 7, 8, 9, 12, 15, 16, 17, 23} {
		for _, k := range []int{1, 3, 4, 7, 32} {
			p := Product{AStep: uintptr(4 * (k + rng.IntN(3))), CStep: uintptr(64 * columns / 16 * (1 + rng.IntN(2))), K: uintptr(k), Rows: uintptr(rows)}
			a := guardpage.End(t, (rows-1)*int(p.AStep)+4*k)
			b := guardpage.End(t, 64*k*columns/16)
			size := (rows-1)*int(p.CStep) + 64
			if columns > 16 {
				p.BNext, p.CNext = uintptr(64*k), 64
				if rng.IntN(2) > 0 { // columns in panels: the others far behind
					p.CNext = uintptr(size)
				}
				size += int(p.CNext)
			}
			c := guardpage.End(t, size)
			for i := range c {
				c[i] = 0xa5
			}
			for _, m := range [][]byte{a, b} {
				for i := 0; i < len(m); i += 4 {
					*load[float32](unsafe.Pointer(&m[0]), i) = float32(rng.NormFloat64()) // 24 bits show how often a step is rounded
				}
			}
			p.A, p.B, p.C = load[float32](unsafe.Pointer(&a[0]), 0), load[float32](unsafe.Pointer(&b[0]), 0), load[float32](unsafe.Pointer(&c[0]), 0)
			want := productOf(&p, columns)
			kernel(&p)
			for i, row := range want {
				for j, w := range row {
					at := i*int(p.CStep) + j/16*int(p.CNext) + j%16*4
					if got := *load[float32](unsafe.Pointer(&c[0]), at); got != w {
						t.Fatalf("rows %d, k %d: [%d,%d] is %v, want %v", rows, k, i, j, got, w)
					}
					for n := range 4 {
						c[at+n] = 0xa5
					}
				}
			}
			for at, b := range c {
				if b != 0xa5 {
					t.Fatalf("rows %d, k %d: byte %d is not of the product and changed", rows, k, at)
				}
			}
		}
	}
}
