// Package awq reads AWQ checkpoints of 4 bits (AutoAWQ, GPTQModel, llm-awq and
// the tools that write the same tensors) into the canonical form.
//
// There are three layouts, which the configuration calls versions. A word has
// eight codes, written from the lowest nibble on; G is the number of groups.
//
//	gemm       qweight int32 [K, N/8]   word c of row k: outputs 8c + 0 2 4 6 1 3 5 7
//	           qzeros  int32 [G, N/8]   the same, by groups
//	           scales  float [G, N]
//
//	gemv       qweight int32 [N, K/8]   word c of row n: features 8c + 0 1 2 3 4 5 6 7
//	           qzeros  int32 [N, Z]     word c of row n: groups 8c + 0 1 2 3 4 5 6 7
//	           scales  float [N, 8Z]    8Z ≥ G: groups beyond G are padding
//
//	gemv_fast  qweight int16 [N/4, K]   64 features of 4 outputs are 128 bytes, 32 for
//	(llm-awq)                           each output; 32 features are 4 words, and
//	                                    word c has 2c + 0 8 16 24 1 9 17 25
//	           qzeros  float [8Z, N]    −scale·zero; llm-awq calls it scaled_zeros
//	           scales  float [8Z, N]
//
//	bias       float [N]                optional, in all
//
// Zero points are stored as they are. A gemm word, whose nibbles are outputs,
// becomes a column of nibbles; that transposition is what loading costs.
//
// The layouts differ in types and shapes, so these decide and a wrong label is
// a finding. Directories and config file names are the business of package
// checkpoint, not of this one.
package awq
