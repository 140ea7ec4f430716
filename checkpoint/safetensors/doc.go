// Package safetensors reads and writes the safetensors file format: an 8-byte
// little-endian header length, a JSON header, and the tensors' bytes.
//
// Files are hostile. The header is scanned token by token (encoding/json
// folds the case of field names and keeps the last of duplicate keys), every
// number is checked, and nothing is allocated that the file's own size does
// not justify. Data are read with pread and never mapped: a mapped file that
// shrinks kills the process, a read of it returns an error.
//
// The rules and their order are those of the reference parser
// (huggingface/safetensors, safetensors/src/tensor.rs); Rule names them. It is
// stricter in five points: duplicate keys are rejected, nesting beyond three
// levels is rejected, a tensor's entry is an object (serde takes a list as
// well) with at most 32 unknown fields, and no dimension exceeds 2^53.
//
// Nothing that knows what a tensor means (a weight, a scale, a model) enters
// this package.
package safetensors
