// Package checkpoint opens model directories and gives their linear layers in
// canonical form, whatever format they are stored in.
//
//	m, err := checkpoint.Open(ctx, dir, checkpoint.Options{})
//	for _, mod := range m.Modules() {
//		findings, err := m.Load(ctx, &layer, mod.Name) // layer is reused
//	}
//
// Open reads the configuration files, decides which format it is and hands the
// quantized modules to that format's package. Linear layers that are stored as
// floats (an lm_head, ignored modules, routers) come as plain layers; those of
// a model that is not quantized at all are quantized on load. A format that is
// not read is refused by name, with the number of its layers; nothing is
// guessed. Every other tensor can be read as bytes.
//
// Experts are layers like others, also where those of a model share a tensor.
// Layers that read the same input can be had as one:
//
//	for _, f := range m.Fused() { // X.qkv_proj of X.q_proj, X.k_proj, X.v_proj
//		findings, err := m.Load(ctx, &layer, f.Name)
//	}
//
// How one format packs its tensors belongs to that format's package, and
// nothing that knows a kernel or a device enters here.
package checkpoint
