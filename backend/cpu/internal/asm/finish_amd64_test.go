package asm

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/guardpage"
)

func TestFinishAVX2(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.F16C) {
		t.Skip("the processor lacks AVX2 or F16C")
	}
	testFinish(t, map[dtype.DType]func(*Output){dtype.F32: FinishF32AVX2, dtype.F16: FinishF16AVX2, dtype.BF16: FinishBF16AVX2})
}

func TestFinishAVX512(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		t.Skip("the processor lacks AVX-512")
	}
	testFinish(t, map[dtype.DType]func(*Output){dtype.F32: FinishF32AVX512, dtype.F16: FinishF16AVX512, dtype.BF16: FinishBF16AVX512})
}

// The sums of parts are those that Maths says, in its order, and others stay as they are.
func TestAddParts(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		t.Skip("the processor lacks AVX-512")
	}
	rng := rand.New(rand.NewPCG(91, 92))
	order := 0
	for range 300 {
		rows, parts, vectors := 1+rng.IntN(9), 2+rng.IntN(2), 1+rng.IntN(3)
		y := unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(guardpage.End(t, rows*parts*vectors*64)))), rows*parts*vectors*16)
		for i := range y {
			y[i] = hardFloats(rng)
			if rng.IntN(2) == 0 {
				y[i] = float32(rng.NormFloat64())
			}
		}
		want, columns := slices.Clone(y), vectors*16
		for row := range rows {
			for i := range columns {
				at := row*parts*columns + i
				first, rest := want[at], want[at+columns]
				if parts == 3 {
					if last := want[at+2*columns]; float32(float32(first+rest)+last) != float32(first+float32(rest+last)) {
						order++
					}
					rest += want[at+2*columns]
				}
				if !math.IsInf(float64(first), 0) && first == first {
					want[at] = first + rest
				}
			}
		}
		AddPartsAVX512(&y[0], uintptr(rows), uintptr(parts), uintptr(vectors))
		for i, w := range want {
			if w == w || y[i] == y[i] {
				require.Equal(t, math.Float32bits(w), math.Float32bits(y[i]), "%d rows of %d parts, sum %d", rows, parts, i)
			}
		}
	}
	require.Greater(t, order, 100, "sums that the order changes")
}
