// Package ctensors reads the integer formats of compressed-tensors
// (vllm-project/compressed-tensors, written by llm-compressor):
// pack-quantized weights of 2 to 8 bits, and int-quantized or naive-quantized
// weights stored as int8, with activations exact or in int8 per token.
//
// What is stored decides over what the configuration says: a module is
// quantized where its tensors are, and its layout is told from their shapes.
// The configuration decides what shapes cannot: bits, symmetry, and how the
// activations enter. Schemes that are known and not read (float weights,
// static activation scales, sparsity, …) are refused by name.
//
// Nothing that knows a kernel or a device enters this package, and no decoding
// of files other than these.
package ctensors
