package rows_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
)

var tileISAs = []rows.ISA{rows.Go, rows.AVX2, rows.AVX512}

// partsOf is the bfloat16 that v is the sum of, by their definition: each has the leading
// eight bits of what is left, toward 0.
func partsOf(v float64, parts int, least float64) (out []float64) {
	for range parts {
		if math.Abs(v) < least {
			v = 0
		}
		part := v
		if v != 0 && !math.IsInf(v, 0) && !math.IsNaN(v) {
			_, exp := math.Frexp(v)
			part = math.Ldexp(math.Trunc(math.Ldexp(v, 8-exp)), exp-8)
		}
		out = append(out, part)
		if v -= part; math.IsNaN(v) {
			v = 0
		}
	}
	return out
}

// tileRow is a row of a type with what is hard in it, in bytes and as numbers.
func tileRow(rng *rand.Rand, of dtype.DType, k int, least float32) ([]byte, []float64) {
	b, x := make([]byte, k*of.Size()), make([]float64, k)
	for j := range x {
		v := math.Float32frombits(rng.Uint32()&0x807fffff | uint32(60+rng.IntN(120))<<23)
		switch rng.IntN(8) {
		case 0:
			v = 0
		case 1:
			v = math.Float32frombits(math.Float32bits(least) + rng.Uint32N(1<<26)) // of which parts are dropped
		case 2:
			v = -math.Nextafter32(least, 0)
		case 3:
			v = []float32{math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), math.Float32frombits(0x7f800001), float32(math.NaN())}[rng.IntN(5)]
		}
		of.Put(b, j, v)
	}
	wide := make([]float32, k)
	dtype.Decode(of, wide, b)
	for j, v := range wide {
		x[j] = float64(v)
	}
	return b, x
}

func planOfTiles(t *testing.T, isa rows.ISA, of dtype.DType, k int, order []int32) *rows.Plan {
	t.Helper()
	segments, width := []rows.Segment{{Hi: int32(k)}}, (k+31)/32*32
	if k > 40 { // a segment with padding, then another
		segments = []rows.Segment{{Hi: 40}, {Lo: 40, Hi: int32(k), At: 64}}
		width = 64 + (k-40+31)/32*32
	}
	p, err := rows.New(rows.Form{ISA: isa, X: of, K: k, Width: width, Values: rows.Float32, Segments: segments, Order: order})
	require.NoError(t, err)
	return p
}

// placed is where x stands in a prepared row.
func placed(x []float64, order []int32) []float64 {
	k := len(x)
	row := make([]float64, (k+31)/32*32)
	if k > 40 {
		row = make([]float64, 64+(k-40+31)/32*32)
	}
	for j := range k {
		at, from := j, j
		if j >= 40 {
			at += 24
		}
		if order != nil {
			from = int(order[j])
		}
		row[at] = x[from]
	}
	return row
}

func sameNumber(t *testing.T, want float64, got float32, what string, args ...any) {
	if math.IsNaN(want) {
		require.True(t, math.IsNaN(float64(got)), "%s: %v", fmt.Sprintf(what, args...), got)
		return
	}
	if math.Abs(want) < 0x1p-126 && math.Abs(float64(got)) < 0x1p-126 { // which products take for 0
		return
	}
	require.Equal(t, math.Float32bits(float32(want))<<1, math.Float32bits(got)<<1, fmt.Sprintf(what, args...)) // 0 has either sign
}

// sameTop compares patterns of magnitudes, which of NaN are any.
func sameTop(t *testing.T, want, got uint32) {
	const infinite = 0xff << 23
	if want > infinite {
		require.Greater(t, got, uint32(infinite))
		return
	}
	require.Equal(t, want, got)
}

// Each part of a row is a bfloat16 of the value's sign, together they are the value, and the
// largest magnitude is found.
func TestParts(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	for _, isa := range tileISAs {
		for _, of := range []dtype.DType{dtype.BF16, dtype.F16, dtype.F32} {
			for _, k := range []int{32, 36, 100, 4096} {
				for _, least := range []float32{0, 0x1p-119, 0x1p-20} {
					p, parts := planOfTiles(t, isa, of, k, nil), rows.PartsOf(of)
					_, numbers := tileRow(rng, of, k, least)
					want := placed(numbers, nil)
					stride := len(want) + 16
					x := make([]float32, parts*stride)
					for j, v := range want {
						x[j] = float32(v)
					}
					top := uint32(0)
					for _, v := range x {
						top = max(top, math.Float32bits(v)&^(1<<31))
					}
					sameTop(t, top, p.Parts(x[:(parts-1)*stride+len(want)], stride, least))
					for j, v := range want {
						sum := 0.0
						for i, part := range partsOf(v, parts, float64(least)) {
							got := x[i*stride+j]
							sameNumber(t, part, got, "isa %d, %v, least %v: part %d of %v", isa, of, least, i, v)
							if math.Abs(float64(got)) >= 0x1p-126 {
								require.Zero(t, math.Float32bits(got)&0xffff)
							}
							sum += float64(got)
						}
						if least == 0 && !math.IsNaN(v) && (v == 0 || math.Abs(v) > 0x1p-100) {
							require.Equal(t, v, sum)
						}
					}
				}
			}
		}
	}
}

// A tile holds pairs of features in the order of a line, of each part, and nothing between
// them is written.
func TestTiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(53, 54))
	const other, distance = 0xa5, asm.TileBytes * asm.TileRows
	for _, isa := range tileISAs {
		for _, of := range []dtype.DType{dtype.BF16, dtype.F16, dtype.F32} {
			for _, bits := range []int{0, 4, 8} {
				pairs, halves := asm.PairsOfLine(bits), rows.HalvesOf(bits)
				for _, k := range []int{32, 64, 90, 320} {
					for _, least := range []float32{0, 0x1p-119} {
						var order []int32
						if rng.IntN(2) == 0 {
							for _, from := range rng.Perm(k) {
								order = append(order, int32(from))
							}
						}
						p, parts := planOfTiles(t, isa, of, k, order), rows.PartsOf(of)
						b, numbers := tileRow(rng, of, k, least)
						row := placed(numbers, order)
						floats, top := make([]float32, len(row)), uint32(0)
						for j, v := range row {
							floats[j] = float32(v)
							top = max(top, math.Float32bits(floats[j])&^(1<<31))
						}
						dst := func() (to rows.Parted) {
							for i := range parts {
								to[i] = make([]byte, (len(row)/32-1)*distance+asm.TileBytes)
								for j := range to[i] {
									to[i][j] = other
								}
							}
							return to
						}
						one, two := dst(), dst()
						scratch := make([]byte, p.Scratch()+4*len(row)+64)
						sameTop(t, top, p.Tiles(&one, b, scratch, &halves, least))
						sameTop(t, top, p.TilesOfRow(&two, floats, &halves, least))
						for part := range parts {
							for _, to := range [][]byte{one[part], two[part]} {
								for i := 0; i < len(to); i += 2 {
									got, in := binary.LittleEndian.Uint16(to[i:]), i%distance
									if in >= asm.TileBytes {
										require.EqualValues(t, other<<8|other, got)
										continue
									}
									place := in / 2
									at := i/distance*32 + place/len(pairs)*len(pairs) + pairs[place%len(pairs)]
									want := partsOf(row[at], parts, float64(least))[part]
									sameNumber(t, want, dtype.BF16ToF32(got), "isa %d, %v, %d bits, part %d of %v at %d", isa, of, bits, part, row[at], i)
								}
							}
						}
					}
				}
			}
		}
	}
}
