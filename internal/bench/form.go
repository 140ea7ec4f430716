package bench

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// A Form is everything about a synthetic layer but its size.
type Form struct {
	Bits     int          // 2..8, or 16 for plain weights
	Group    int          // features under one scale, -1 for all; without meaning for plain weights
	Zeros    bool         // explicit zero points
	ActOrder bool         // the groups of features are shuffled
	Recipe   quant.Recipe // how x enters
	X        dtype.DType  // type of x and y
}

// PlainBits is the Bits of plain weights.
const PlainBits = 16

// Plain returns the type of plain weights: that of x where it has 16 bits, else
// bfloat16.
func (f Form) Plain() dtype.DType {
	if f.X == dtype.F16 {
		return dtype.F16
	}
	return dtype.BF16
}

// scaleType is what synthetic scales are stored as.
const scaleType = dtype.F16

// Bytes returns the bytes of a layer's codes or elements, scales and zero
// points in the width that checkpoints have them in: zero points as wide as
// codes. What a kernel pads or stores beside them earns nothing.
func (f Form) Bytes(s Shape) int64 {
	k, n := int64(s.K), int64(s.N)
	if f.Bits == PlainBits {
		return k * n * int64(f.Plain().Size())
	}
	groups := int64(1)
	if f.Group > 0 {
		groups = (k + int64(f.Group) - 1) / int64(f.Group)
	}
	bits := k * int64(f.Bits) * n
	if f.Zeros {
		bits += groups * int64(f.Bits) * n
	}
	return (bits+7)/8 + groups*n*int64(scaleType.Size())
}

// Needs returns about how many bytes it takes at least to apply a layer to so many rows
// where the weights are there so many times: the largest sizes are beyond an int64.
func (f Form) Needs(s Shape, rows, weights int) float64 {
	bits := float64(f.Bits)
	return float64(weights)*float64(s.K)*float64(s.N)*bits/8 + float64(rows)*(float64(s.K)+float64(s.N))*float64(f.X.Size())
}

// Ops returns the operations of one Apply: a product and its sum are two.
func (s Shape) Ops(rows int) float64 { return 2 * float64(rows) * float64(s.K) * float64(s.N) }

// Linear returns a layer with random codes, scales and zero points. The same
// seed gives the same layer.
func (f Form) Linear(s Shape, seed uint64) (*quant.Linear, error) {
	rng := rand.New(rand.NewPCG(seed, uint64(s.K)<<32|uint64(s.N)))
	l := &quant.Linear{Name: fmt.Sprintf("synthetic %v", s), Recipe: f.Recipe, DType: f.X}
	form := quant.Form{N: s.N, K: s.K, Bits: f.Bits, Scales: scaleType, Zeros: f.Zeros}
	if f.Bits == PlainBits {
		form = quant.Form{N: s.N, K: s.K, Plain: f.Plain()}
	} else {
		groups, err := f.groups(s.K, rng)
		if err != nil {
			return nil, err
		}
		form.Groups = groups
	}
	if err := l.Weight.Reset(form); err != nil {
		return nil, err
	}
	if f.Bits == PlainBits {
		fillPlain(&l.Weight, f.Plain(), rng)
	} else {
		fillCodes(&l.Weight, rng)
	}
	return l, nil
}

func (f Form) groups(k int, rng *rand.Rand) (quant.Groups, error) {
	uniform, err := quant.UniformGroups(k, f.Group)
	if err != nil || !f.ActOrder {
		return uniform, err
	}
	index := make([]int32, k)
	for i := range index {
		index[i] = int32(uniform.Of(i))
	}
	rng.Shuffle(k, func(i, j int) { index[i], index[j] = index[j], index[i] })
	return quant.IndexedGroups(index, uniform.Count())
}

// fillCodes sets random codes, scales about 1/√K of the range, and zero points
// near the middle.
func fillCodes(w *quant.Weight, rng *rand.Rand) {
	bits, middle := w.K()*w.Bits(), 1<<w.Bits()>>1
	scale := 1 / (math.Sqrt(float64(w.K())) * float64(middle))
	for n := range w.N() {
		row := w.Row(n)
		for i := 0; i+8 <= len(row); i += 8 {
			binary.LittleEndian.PutUint64(row[i:], rng.Uint64())
		}
		if used := (bits + 7) / 8; used <= len(row) { // bits beyond K stay zero
			clear(row[used:])
			if rest := bits % 8; rest > 0 {
				row[used-1] &= 1<<rest - 1
			}
		}
		zeros := w.ZeroRow(n)
		for g := range w.Groups().Count() {
			w.SetScale(n, g, float32(scale*(0.5+rng.Float64())))
			if zeros != nil {
				zeros[g] = int16(middle - 1 + rng.IntN(2))
			}
		}
	}
}

// fillPlain sets Gaussian elements, from a table: there are many.
func fillPlain(w *quant.Weight, t dtype.DType, rng *rand.Rand) {
	table := make([]byte, 4096*t.Size())
	for i := range 4096 {
		t.Put(table, i, float32(rng.NormFloat64()/math.Sqrt(float64(w.K()))))
	}
	for n := range w.N() {
		for row := w.Row(n); len(row) > 0; {
			at := rng.IntN(len(table)/t.Size()) * t.Size()
			row = row[copy(row, table[at:]):]
		}
	}
}
