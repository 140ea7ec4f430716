package backend

// Numerics states how far a kernel's y may be from the float64 reference for
// one Spec. docs/numerics.md has the rule; quant/reference applies it:
//
//	accept y iff round_Y(ref − B) ≤ y ≤ round_Y(ref + B)
//	B = Depth·2⁻²⁴·Σ|x|·s·(u+|z|) + WeightRound·Σ|x||w| + underflow
type Numerics struct {
	// Depth counts the float32 roundings on the longest path from an input to
	// the output, through the kernel's documented summation tree. The
	// conformance suite caps it at K/8 + 32.
	Depth int

	// WeightRound is the relative error of scaled weights that the kernel
	// rounds to 16 bits, 0 where it does not. bitlane.Choose takes a kernel that
	// rounds by its name only.
	WeightRound float64

	// FlushBelow is the magnitude under which the unit's products or sums are
	// flushed to zero, 0 where subnormals are kept. Each of the K products may
	// lose so much, and a row of x that is all below it may get the codes and
	// the scale of a row of zeros.
	FlushBelow float64

	// CodeSlack is how far an activation code may be from the recipe's: 0 for
	// every kernel of ours, above 0 only for a vendor's quantizer.
	CodeSlack int

	// BatchInvariant promises that a row of y has the same bits whatever other
	// rows are in the call.
	BatchInvariant bool
}
