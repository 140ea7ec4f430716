// Package exllama takes the arguments of exllama's CUDA operators, gptq_shuffle
// and gptq_gemm as vLLM and others call them, into the canonical form: for
// callers who hold such tensors in memory and want the same layer without the
// operator's rounding to float16 after every slice of K, its sums in the order in which
// blocks happen to end, and its limits (float16 only, no group of −1, N and K
// of certain multiples).
//
//	qweight  int32 [K·b/32, N]      codes, packed along K; shuffled or not
//	qzeros   int32 [groups, N·b/32] zero points, packed along N
//	scales   float16 [groups, N]
//	g_idx    int32 [K] or nothing
//
// Files are the business of package gptq. The formats are those of
// vllm-project/vllm, csrc/libtorch_stable/quantization/gptq/q_gemm.cu and
// qdq_2.cuh to qdq_8.cuh @1051220ee1ce.
package exllama
