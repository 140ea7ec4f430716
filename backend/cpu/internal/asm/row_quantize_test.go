package asm

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/bitlane/bitlane/dtype"
)

// quantizeCase is a row and what a kernel makes of it.
type quantizeCase struct {
	Row
	of      dtype.DType
	runs    []Run
	values  []float32
	ordered bool
}

// Runs and groups of any length, values and codes at any address, each type of
// element: codes, sides and scales are as Row has them, and nothing else changes.
func TestRowQuantizers(t *testing.T) {
	eachRowTier(t, func(k rowTier) {
		byFactor := func(code func(c *quantizeCase, v float32) float64) func(*quantizeCase, int, int) (float32, []float64) {
			return func(c *quantizeCase, from, to int) (_ float32, codes []float64) {
				for _, v := range c.values[from:to] {
					codes = append(codes, code(c, v))
				}
				return 0, codes
			}
		}
		for name, q := range map[string]struct {
			kernel  func(*Row)
			types   int
			ordered bool
			group   func(c *quantizeCase, from, to int) (scale float32, codes []float64)
		}{
			"divide": {k.divide, 3, true, byFactor(func(c *quantizeCase, v float32) float64 {
				return math.RoundToEven(float64(v / c.Factor))
			})},
			"divideRound": {k.divideRound, 3, true, byFactor(func(c *quantizeCase, v float32) float64 {
				return math.RoundToEven(float64(c.of.Round(v / c.Factor)))
			})},
			"asym": {k.asym, 3, true, byFactor(func(c *quantizeCase, v float32) float64 {
				return math.Round(float64(float32(v*c.Factor))) + float64(c.Zero)
			})},
			"flat": {k.flat, 1, false, byFactor(func(c *quantizeCase, v float32) float64 {
				return max(-8, min(math.RoundToEven(float64(dtype.F16.Round(v*c.Factor))), 7))
			})},
			"groups": {k.groups, 3, false, (*quantizeCase).ofGroup},
		} {
			t.Run(name, func(t *testing.T) {
				rng, m := rand.New(rand.NewPCG(31, 32)), newMemory(t)
				for i := range 600 {
					element := Element(i % q.types)
					if name == "divideRound" && k.narrow && element == ElementF32 {
						continue
					}
					c := anyRow(rng, name == "groups", element)
					if name == "asym" {
						c.Zero = int32(rng.IntN(256)) - 128
					}
					c.ordered = k.ordered && q.ordered && rng.IntN(2) == 0
					c.check(t, rng, m, q.kernel, q.group)
				}
			})
		}
	})
}

// anyRow is a row without memory. In groups some values are not finite, and some
// groups have none but 0 or the smallest.
func anyRow(rng *rand.Rand, groups bool, element Element) *quantizeCase {
	c := &quantizeCase{of: []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}[element]}
	c.Type, c.Factor = element, c.of.Round(rng.Float32()+.01)
	c.Times, c.Keep, c.Add = int32(rng.IntN(511)-255), []uint32{math.MaxUint32, math.MaxUint16}[rng.IntN(2)], rng.Uint32N(1<<8)<<16
	first := 0 // run of the group
	for i := range 1 + rng.IntN(6) {
		r := Run{Steps: 1 + rng.Uint32N(10)}
		if i == 0 || rng.IntN(2) == 0 {
			first = i
		}
		c.runs = append(c.runs, r)
		c.runs[first].Group += r.Steps
	}
	scale := math.Ldexp(1, rng.IntN(9))
	for _, r := range c.runs {
		nothing, tiny, at := groups && rng.IntN(5) == 0, groups && rng.IntN(5) == 0, rng.Uint32N(60*rowStepValues)
		for i := range r.Steps * rowStepValues {
			v := scale * rng.NormFloat64()
			switch {
			case groups && i == at:
				v = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0x1p-149}[rng.IntN(4)]
			case tiny: // whose scale has few bits
				v = 0x1p-149 * float64(rng.IntN(381)-190)
			case nothing:
				v = math.Copysign(0, v)
			}
			c.values = append(c.values, c.of.Round(float32(v)))
		}
	}
	return c
}

// rowStepValues is the values of a step of a run.
const rowStepValues = 8

// ofGroup is the codes of a group by its own scale.
func (c *quantizeCase) ofGroup(from, to int) (scale float32, codes []float64) {
	top := uint32(0)
	for _, v := range c.values[from:to] {
		top = max(top, math.Float32bits(v)&^(1<<31))
	}
	scale = math.Float32frombits(top) / 127
	codes = make([]float64, to-from)
	if scale-scale != 0 {
		return float32(math.NaN()), codes
	}
	for i, v := range c.values[from:to] {
		if scale != 0 {
			codes[i] = max(-127, math.RoundToEven(float64(v/scale)))
		}
	}
	return scale, codes
}

// shuffle returns the values in another order, with one more behind them where kernels
// read 2 bytes more than they use, and where each is. Of those that are the same one may stand for others.
func (c *quantizeCase) shuffle(rng *rand.Rand, order []int32) (stored []float32) {
	at := map[uint32]int32{}
	for _, i := range rng.Perm(len(c.values)) {
		v := c.values[i]
		place, known := at[math.Float32bits(v)]
		if !known || rng.IntN(2) == 0 {
			place = int32(len(stored))
			stored = append(stored, v)
			at[math.Float32bits(v)] = place
		}
		order[i] = place
	}
	if c.of.Size() == 2 {
		stored = append(stored, 1)
	}
	return stored
}

// check lays the row between guard pages, runs the kernel and compares.
func (c *quantizeCase) check(t *testing.T, rng *rand.Rand, m *memory, kernel func(*Row), group func(*quantizeCase, int, int) (float32, []float64)) {
	behind, off := rng.IntN(2) == 0, 0
	if !behind {
		off = rng.IntN(16)
	}
	n := len(c.values)
	stored := c.values
	if c.ordered {
		order := unsafe.Slice((*int32)(pointer(m.take("order", 4*n, behind))), n)
		stored = c.shuffle(rng, order)
		c.Order = &order[0]
	}
	x := m.take("x", off+len(stored)*c.of.Size(), behind)[off:]
	codes := m.take("codes", off+n, behind)[off:]
	side, scales := m.take("side", 4*len(c.runs), behind), m.take("scales", 4*len(c.runs), behind)
	clear(scales)
	dtype.Encode(c.of, x, stored)
	given := bytes.Clone(x)
	c.X, c.Codes, c.Runs, c.Count = pointer(x), (*int8)(pointer(codes)), &c.runs[0], uintptr(len(c.runs))
	c.Side, c.Scales = (*int32)(pointer(side)), (*float32)(pointer(scales))
	kept := c.Row
	kernel(&c.Row)
	if kept != c.Row || !bytes.Equal(given, x) {
		t.Fatal("what is read changed")
	}

	var want []float64
	var scale float32
	from := 0
	for i, r := range c.runs {
		to := from + int(r.Steps)*rowStepValues
		if r.Group > 0 {
			scale, want = group(c, from, from+int(r.Group)*rowStepValues)
		}
		sum := int32(0)
		for j := from; j < to; j++ {
			code := *load[int8](unsafe.Pointer(c.Codes), j)
			if w := saturate(want[0], -128, 127); w != code {
				t.Fatalf("%v by %v (%v) becomes %d, want %d; value %d of runs %v", c.values[j], c.Factor, c.of, code, w, j, c.runs)
			}
			sum, want = sum+int32(code)-c.Zero, want[1:]
		}
		if got, w := int32(binary.LittleEndian.Uint32(side[4*i:])), int32(uint32(sum*c.Times)&c.Keep|c.Add); got != w {
			t.Fatalf("side %d is %#x, want %#x; runs %v", i, got, w, c.runs)
		}
		if got := *load[float32](pointer(scales), 4*i); !same(got, scale) { // 0 where there are no groups
			t.Fatalf("scale %d is %v, want %v; runs %v", i, got, scale, c.runs)
		}
		from = to
	}
}
