package asm

// Spread says where kernels find dense codes of some bits: SpreadOf makes it.
type Spread struct {
	pairs   [16]uint8 // for each of eight codes the two bytes that it is in
	factors [8]uint16 // that bring it to the top of them
	bits    uint64
}

// SpreadOf is for codes of 2 to 7 bits.
func SpreadOf(bits int) *Spread {
	s := &Spread{bits: uint64(bits)}
	for i := range s.factors {
		at := i * bits
		s.pairs[2*i], s.pairs[2*i+1] = uint8(at/8), uint8(at/8+1)
		s.factors[i] = 1 << (16 - bits - at%8)
	}
	return s
}
