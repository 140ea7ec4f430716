// Package dtype holds the floating-point element types that tensors are
// made of, float32, float16 (IEEE 754 binary16) and bfloat16, the conversions
// between them, and the fused multiply-add of float32, which Go has for float64
// only.
//
// Every narrowing is correctly rounded, to nearest with ties to even, with
// subnormals, infinities and NaN (quiet, payload kept as far as it fits).
// Storage is little-endian everywhere. Nothing else enters this package: it
// knows no tensors, no shapes and no quantization.
package dtype
