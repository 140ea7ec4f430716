package asm

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/guardpage"
)

func TestOutputOffsets(t *testing.T) {
	var o Output
	for i, at := range []uintptr{
		unsafe.Offsetof(o.Y), unsafe.Offsetof(o.YStep), unsafe.Offsetof(o.Dst), unsafe.Offsetof(o.DstStep),
		unsafe.Offsetof(o.Scales), unsafe.Offsetof(o.ScalesStep), unsafe.Offsetof(o.Bias), unsafe.Offsetof(o.Rows),
		unsafe.Offsetof(o.Tiles),
	} {
		require.Equal(t, uintptr(8*i), at)
	}
}

// hardFloats are values at which rounding to 16 bits goes wrong first.
func hardFloats(rng *rand.Rand) float32 {
	special := []uint32{
		0, 1 << 31, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x7f7fffff, 0x3f808000, 0x3f818000, 0x3f80ffff,
		0x00000001, 0x807fffff, 0x33000000, 0x33000001, 0x387fc000, 0x477fefff, 0x477ff000, 0x7f7f8000,
	}
	switch rng.IntN(4) {
	case 0:
		return math.Float32frombits(special[rng.IntN(len(special))])
	case 1: // a tie in bfloat16 or float16
		return math.Float32frombits(rng.Uint32()&^0xffff | 0x8000)
	case 2:
		return math.Float32frombits(rng.Uint32()&^0x1fff | 0x1000)
	}
	return math.Float32frombits(rng.Uint32())
}

// testFinish runs functions by the type of their outputs. None may write
// beyond them, or read more than rows of whole tiles of sums.
func testFinish(t *testing.T, run map[dtype.DType]func(*Output)) {
	rng, rounds := rand.New(rand.NewPCG(1, 3)), 2000
	if testing.Short() {
		rounds = 300
	}
	for kind, f := range run {
		for tiles := 1; tiles <= 5; tiles++ {
			for round := range rounds / 5 {
				testFinished(t, rng, kind, f, tiles, round)
			}
		}
	}
}

func testFinished(t *testing.T, rng *rand.Rand, kind dtype.DType, f func(*Output), tiles, round int) {
	const most = 7
	rows, size, columns := 1+round%most, kind.Size(), 16*tiles
	step := columns + 1 // of rows of outputs
	floats := func(n int) []byte {
		mem := guardpage.End(t, n*4)
		for i := range n {
			dtype.F32.Put(mem, i, hardFloats(rng))
		}
		return mem
	}
	y, scales, bias := floats(rows*columns), floats(rows), floats(columns)
	dst := guardpage.End(t, (rows*step-1)*size)
	for i := range dst {
		dst[i] = 0xa5
	}
	o := Output{
		Y: (*float32)(unsafe.Pointer(&y[0])), YStep: uintptr(4 * columns), Dst: unsafe.Pointer(&dst[0]), DstStep: uintptr(step * size),
		Rows: uintptr(rows), Tiles: uintptr(tiles),
	}
	scaled, biased := round&1 == 1, round&2 == 2
	if scaled {
		o.Scales, o.ScalesStep = (*float32)(unsafe.Pointer(&scales[0])), 4
	}
	if biased {
		o.Bias = (*float32)(unsafe.Pointer(&bias[0]))
	}
	f(&o)
	want := make([]byte, size)
	for r := range rows {
		if r+1 < rows {
			for _, b := range dst[(r*step+columns)*size:][:size] {
				require.Equal(t, byte(0xa5), b, "written beyond the outputs")
			}
		}
		for c := range columns {
			got, v := dst[(r*step+c)*size:][:size], dtype.F32.At(y, r*columns+c)
			if scaled {
				v = float32(v * dtype.F32.At(scales, r))
			}
			if biased {
				v += dtype.F32.At(bias, c)
			}
			if v != v && (scaled || biased) { // which NaN an operation makes is not defined
				require.NotEqual(t, kind.At(got, 0), kind.At(got, 0))
				continue
			}
			kind.Put(want, 0, v)
			require.Equal(t, want, got, "%v of %x", kind, math.Float32bits(v))
		}
	}
}
