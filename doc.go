// Package bitlane runs quantized linear layers on whatever the machine has: it
// opens a device, picks the best kernel that can run a layer on it, and says
// why the others were refused.
//
// The library in ten lines:
//
//	m, err := checkpoint.Open(ctx, dir, checkpoint.Options{})         // GPTQ, AWQ, compressed-tensors, dense, …
//	dev, err := bitlane.Open(ctx, "auto", backend.OpenOptions{})      // or "cpu", "cuda:1"
//	var l quant.Linear                                                // one layer at a time, reused
//	_, err = m.Load(ctx, &l, "model.layers.0.mlp.down_proj")
//	request := backend.Request{X: dtype.BF16, MaxRows: 256}
//	layer, report, err := bitlane.NewLinear(ctx, dev, &l, request, bitlane.ChooseOptions{})
//	stream, err := dev.NewStream()
//	ws, err := dev.Alloc(layer.Workspace(256))
//	err = layer.Apply(stream, y, x, backend.Whole(ws))                // y = x·Wᵀ + bias; allocates nothing
//	err = stream.Sync(ctx)
//
// Nothing ever falls back silently: not from int8 activations to exact ones,
// not from a GPU to the processor, not from one kernel to another. Where no
// kernel fits, the error is a *NoKernelError that holds every reason.
//
// The package names the five built-in backends, so that build tags alone
// decide what is in a binary. Backends of your own are registered with
// backend.Register and found by name. No arithmetic and no file format enters
// this package.
package bitlane
