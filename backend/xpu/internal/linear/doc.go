// Package linear is the kernels of XPU devices as the contract has them: what
// they support, how weights are packed for oneDNN, and the self-test. The
// product is oneDNN's; devices and memory are package device's.
//
// # The weights
//
//	codes   [N, Kp] of 4 or 8 bits, K-contiguous, the even feature in the low half of a byte
//	scales  [Kp/G, N] in the type that the checkpoint has
//	zeros   [Kp/G, N] s8, only where zero points differ
//	bias    [N] float32
//
// Plain weights are [N, Kp] of float32 instead of codes, with no scales. The parts begin at multiples of 256 bytes. Kp is K up to whole groups; the
// features behind K have the code that is their zero point, so that they add 0
// whatever an activation code is. 8-bit codes are stored as u − 2^(bits−1).
//
// # The sums
//
// With 8-bit activations:
//
//	y = ((Σ_g float32(Σ_k∈g q·(u−z)) · s_g) · sx) + bias, rounded once
//
// int32 inside a group, float32 across groups, then the row's scale, then the
// bias: post-operations of the one matmul. oneDNN documents no order of the sum
// over groups (its reference has them ascending), so that all of its additions
// are counted.
//
// With exact activations:
//
//	y = Σ_slices (Σ_k∈slice x·((u−z)·s)) + bias, rounded once
//
// in float32, weights turned into float32 before the product. oneDNN documents no order of
// the sum over k; the worst case is one chain, which over all of K would be too
// long for a kernel of bitlane. So K is cut into slices, each a
// matmul that adds to the sum of those before it, and the longest chain is a
// slice and the slices.
package linear
