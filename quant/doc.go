// Package quant holds the canonical form of a quantized linear layer, which
// every loader decodes to and every kernel packs from, and what can be done
// to it without a device: cutting it for tensor parallelism, joining layers
// that share their input, quantizing weights on load (RTN) and activations.
//
// The formula is
//
//	y[M,N] = x[M,K] · W[N,K]ᵀ + bias[N]
//	W[n][k] = s[n][g(k)] · (u[n][k] − z[n][g(k)])
//
// with unsigned codes u of 2 to 8 bits, integer zero points z and scales s
// kept in the type they were stored in. A weight that is not quantized (an
// lm_head, an ignored module) is plain: its elements are floats.
//
//	codes, row n   | u[n][0] u[n][1] ... u[n][K-1] 0 | one dense bit string along K,
//	               |<-------- RowStride bytes ------>| code k at bits k·b .. k·b+b−1,
//	                                                   little-endian, padded with zero
//	                                                   bits to a multiple of 8 bytes
//	scales, row n  | s[n][0] ... s[n][G-1] |           little-endian, in ScaleType
//	zeros,  row n  | z[n][0] ... z[n][G-1] |           int16, absent when implied
//
// Which axis a file packed, whether it stored the zero minus one, whether a
// rank's slice starts inside a group: all of that ends here. Nothing that
// knows a file format or a device enters this package.
package quant
