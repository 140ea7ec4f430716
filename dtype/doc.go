// Package dtype holds the floating-point element types that tensors are
// made of, float32, float16 (IEEE 754 binary16) and bfloat16, and the
// conversions between them.
//
// Every narrowing is correctly rounded, to nearest with ties to even, with
// subnormals, infinities and NaN (quiet, payload kept as far as it fits).
// Storage is little-endian everywhere. Nothing else enters this package: it
// knows no tensors, no shapes and no quantization.
package dtype
