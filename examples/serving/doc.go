// Package serving is what a serving program does with bitlane for one
// transformer block, in order: ask whether the block fits, load one tensor
// parallel rank of it, run prefill and decode in memory and on a stream of its
// own, and unload. Activations are in the model's own 16-bit type throughout, as is what
// ranks sum. Its example runs on the processor; nothing in it is about the
// processor.
//
//	x ─▶ q/k/v (one group) ─▶ attention (the program's) ─▶ o ─▶ all-reduce ─▶ gate/up (one group) ─▶ SwiGLU ─▶ down ─▶ all-reduce ─▶ y
//
// Norms, residuals, rotary embedding and a KV cache are left out: they touch no
// quantized layer.
package serving
