package asm

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// Rows become columns, and columns in an order become rows, with nothing written or read beyond.
func TestPlace(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2) {
		t.Skip("the processor lacks AVX2")
	}
	t.Run("16", func(t *testing.T) { testPlace(t, 2, PlaceColumns16AVX2, PlaceRows16AVX2) })
	t.Run("32", func(t *testing.T) { testPlace(t, 4, PlaceColumns32AVX2, PlaceRows32AVX2) })
}

func testPlace[R [8]unsafe.Pointer | [4]unsafe.Pointer](t *testing.T, size int,
	columns func(unsafe.Pointer, *R, uintptr), rows func(unsafe.Pointer, uintptr, unsafe.Pointer, *uint32, uintptr)) {
	rng, m, other := rand.New(rand.NewPCG(23, 24)), newMemory(t), byte(0xa5)
	many, vector := 16/size, 32/size
	for range 300 {
		n, out, behind := 1+rng.IntN(6), 1+rng.IntN(6), rng.IntN(4) != 0
		k, width := n*vector, out*vector
		step := 32*out + size*rng.IntN(3)
		x, between := m.take("x", many*k*size, behind), m.take("columns", 16*k, behind)
		places, dst := m.take("places", 4*width, behind), m.take("dst", (many-1)*step+32*out, behind)
		var from R
		for i := range x {
			x[i] = byte(rng.Uint32())
		}
		at := rng.Perm(many) // rows have no order in memory
		of := func(row, i int) []byte { return x[(at[row]*k+i)*size:][:size] }
		for r := range many {
			*(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(&from), 8*r)) = pointer(of(r, 0))
		}
		for i := range width {
			binary.LittleEndian.PutUint32(places[4*i:], uint32(2*rng.IntN(k)))
		}
		for i := range dst {
			dst[i] = other
		}
		given := [][]byte{bytes.Clone(x), bytes.Clone(places)}
		columns(pointer(between), &from, uintptr(n))
		for i := range k {
			for r := range many {
				if got := between[16*i+r*size:][:size]; !bytes.Equal(got, of(r, i)) {
					t.Fatalf("column %d of %d has %x of row %d, want %x", i, k, got, r, of(r, i))
				}
			}
		}
		given = append(given, bytes.Clone(between))
		rows(pointer(dst), uintptr(step), pointer(between), (*uint32)(pointer(places)), uintptr(out))
		for r := range many {
			for i := range width {
				from := int(binary.LittleEndian.Uint32(places[4*i:]) / 2)
				if got := dst[r*step+i*size:][:size]; !bytes.Equal(got, of(r, from)) {
					t.Fatalf("row %d has %x at %d, want that at %d, %x", r, got, i, from, of(r, from))
				}
			}
			for i := r*step + width*size; i < min((r+1)*step, len(dst)); i++ {
				if dst[i] != other {
					t.Fatalf("written behind row %d", r)
				}
			}
		}
		for i, b := range [][]byte{x, places, between} {
			if !bytes.Equal(given[i], b) {
				t.Fatal("an input changed")
			}
		}
	}
}
