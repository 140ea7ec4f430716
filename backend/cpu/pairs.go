package cpu

import (
	"encoding/binary"
	"fmt"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
)

// flushPairs is what kernels of pairs lose (package asm, Sums): an x or a plain
// weight below it counts as 0, which costs at most that times the other factor,
// and a sum below it is lost, for each product once and not when its x or weight
// was. With codes a sum is multiplied with a scale s afterwards, but then
// u+|z| is at least 1 where the product is not 0, so that Σs·(u+|z|), by which
// Numerics multiplies it, covers s. Rows that are divided by 2¹⁶ lose 2¹⁶ times
// as much, which is flushBelow.
const flushPairs = 0x1p-126

// forPairs adds what a kernel of a unit for pairs refuses and others do not. On tiles an x of
// float16 or float32 is two or three rows of bfloat16.
func (k *kernel) forPairs(r *backend.Refusal, s *backend.Spec) *backend.Refusal {
	switch {
	case s.X == dtype.BF16:
	case k.unit.exact.kind != tilePanel:
		r = r.Add(k.name, "x type", s.X.String(), "bfloat16", "")
	case s.MaxRows < 2:
		r = r.Add(k.name, "MaxRows", fmt.Sprintf("%d, of %v", s.MaxRows, s.X), "at least 2", "one row alone is faster on vectors; a layer for two or more gets this kernel, and other bits")
	}
	if k.plain && s.Plain.Valid() && s.Plain != dtype.BF16 {
		r = r.Add(k.name, "weights", "plain "+s.Plain.String(), "plain bfloat16", "")
	}
	if !s.Plain.Valid() && s.Bits <= 4 && s.ZeroMin != s.ZeroMax && s.ZeroMax > asm.MostPairsZero4 {
		r = r.Add(k.name, "zero points", fmt.Sprintf("%d..%d", s.ZeroMin, s.ZeroMax), fmt.Sprintf("one, or 0..%d", asm.MostPairsZero4), "")
	}
	return r
}

// Four bfloat16 of a prepared row at a time.
const (
	fourSigns   = 0x8000_8000_8000_8000
	fourHuge    = 0x0880_0880_0880_0880 // added to a magnitude of 2¹¹² or more it sets the place of the sign
	shrinkSteps = 16                    // of the exponent
)

// tamePairs is tame for a row of bfloat16, whose length is a multiple of eight
// values. Elements that become subnormal become 0.
func tamePairs(row []byte) (scale float32) {
	huge := uint64(0)
	for at := row; len(at) >= 8; at = at[8:] {
		huge |= binary.LittleEndian.Uint64(at)&^fourSigns + fourHuge
	}
	if huge&fourSigns == 0 {
		return 1
	}
	for at := row; len(at) >= 2; at = at[2:] {
		if binary.LittleEndian.Uint16(at)&0x7f80 == 0x7f80 { // infinite or NaN
			return 1
		}
	}
	for at := row; len(at) >= 2; at = at[2:] {
		v := binary.LittleEndian.Uint16(at)
		if v>>7&0xff > shrinkSteps {
			v -= shrinkSteps << 7
		} else {
			v &= 1 << 15
		}
		binary.LittleEndian.PutUint16(at, v)
	}
	return 1 / shrink
}
