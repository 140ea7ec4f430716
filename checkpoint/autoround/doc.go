// Package autoround reads AutoRound checkpoints (intel/auto-round) of integer
// weights with activations as they are. It decodes nothing itself: AutoRound
// packs a module as GPTQ or as AWQ does, and this package finds out which, with
// what settings, and leaves the tensors to their packages.
//
//	packing_format (backend in old files)           layout     zero points
//	auto_round:auto_gptq, auto_round:gptq,          GPTQ       stored minus one (v1)
//	auto_gptq, gptq, none; with :KERNEL at the end
//	auto_round, auto_round:gptqmodel,               GPTQ       as they are (v2)
//	auto_round:KERNEL
//	auto_round:auto_awq, auto_round:awq, auto_awq,  AWQ gemm   as they are
//	awq; with :KERNEL at the end
//
// KERNEL is exllamav2, tritonv2 and the like: what was to run the model. Other
// formats (fp8, llm_compressor, mlx, fake, …), weights and activations that are
// no integers or not exact, and weights that need a rotation of x are refused
// by name.
//
// extra_config has settings of single modules, by name or by a pattern that
// may match anywhere in it. Shapes decide over the layout that is named, and
// the zero points of a symmetric model over their version; a finding says so.
package autoround
