// Package gptq reads GPTQ checkpoints (AutoGPTQ, GPTQModel, and the tools that
// write the same tensors) of 2, 3, 4 and 8 bits, in planes of 2 to 8, into the canonical form.
//
//	qweight int32 [K·b/32, N]      column n is a dense bit string along k
//	qzeros  int32 [groups, N·b/32] row g is a dense bit string along n
//	scales  float [groups, N]
//	g_idx   int32 [K]              group of feature k; optional
//	bias    float [N]              optional
//
// Since a canonical row is the same dense bit string, decoding the codes is a
// transposition of 32-bit words, whatever the bits. Zero points are stored
// minus one in version 1 and as they are in version 2; the label that says
// which is often wrong, and for a symmetric model the numbers themselves tell.
//
// checkpoint_format gptq_p, of 2 to 8 bits, has codes and zero points in planes (see
// planar) and zero points as they are. Variants that pack otherwise (marlin,
// bitblas, exl3) are refused by name. Directories and config file names are the business of package
// checkpoint, not of this one.
package gptq
