package ctensors

import (
	"context"
	"encoding/binary"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// choice is how a module's weight and packed zero points are read.
type choice struct {
	weight, zero layout
	unsure       bool // both layouts fit everything that is stored
}

// chooseLayouts tells how weight and packed zero points lie in their words: by
// their shapes; where those fit both layouts (rows of few codes), by each
// other; and where that does not help, by the bits that each layout leaves
// unused. zeros are the bytes of the zero points.
func (l *layer) chooseLayouts(ctx context.Context, src safetensors.Source, s *module.Scratch, zeros []byte) (choice, error) {
	c := choice{weight: layouts(l.K, l.Bits, l.weight.Shape[1]), zero: dense | spaced}
	packedZeros := l.zero.Type == safetensors.I32
	if packedZeros {
		c.zero = layouts(l.N, l.Bits, l.zero.Shape[0])
	}
	if both := c.weight & c.zero; both != 0 {
		c.weight, c.zero = both, both
	}
	if c.weight != dense|spaced {
		return c, nil
	}
	testWeight, testZeros := !same(l.K, l.Bits), packedZeros && !same(l.N, l.Bits)
	if !testWeight && !testZeros {
		return choice{weight: dense, zero: dense}, nil
	}
	fits := layout(0)
	for _, try := range []layout{dense, spaced} {
		ok := true
		if testWeight {
			used := usedBits(l.K, l.Bits, try)
			err := l.pieces(ctx, src, s, 4*len(used), func(_ int, rows []byte) error {
				ok = ok && unusedClear(rows, used, 1)
				return nil
			})
			if err != nil {
				return c, err
			}
		}
		if testZeros {
			ok = ok && unusedClear(zeros, usedBits(l.N, l.Bits, try), l.groups)
		}
		if ok {
			fits |= try
		}
	}
	switch fits {
	case 0:
		return c, quant.Errorf(quant.ErrFormat, l.weight.Name, "padding", "zero bits beside the codes", "not zero in either layout of %d-bit codes", l.Bits)
	case dense | spaced:
		return choice{dense, dense, true}, nil
	}
	return choice{weight: fits, zero: fits}, nil
}

// unusedClear reports whether all bits outside used are zero. used has one
// mask per word of a vector of codes; columns vectors lie side by side, and
// such blocks after one another.
func unusedClear(words []byte, used []uint32, columns int) bool {
	for len(words) > 0 {
		for _, u := range used {
			for range columns {
				if binary.LittleEndian.Uint32(words)&^u != 0 {
					return false
				}
				words = words[4:]
			}
		}
	}
	return true
}
