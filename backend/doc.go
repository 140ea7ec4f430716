// Package backend is the contract between a quantized linear layer and the
// device that runs it: Backend, Device, Stream, Buffer, Kernel, Layer, the
// Spec that a kernel answers yes or no to, and the Refusal that is its no.
//
// The life of a layer:
//
//	b, _ := backend.Lookup("cpu")
//	dev, _ := b.Open(ctx, "0", backend.OpenOptions{})
//	spec, _ := backend.NewSpec(linear, backend.Request{X: dtype.BF16, Y: dtype.BF16, MaxRows: 256})
//	for _, k := range b.Kernels() {              // best first; bitlane.Choose does this and keeps the reasons
//		if k.Supports(dev.Info(), spec) == nil {
//			layer, _ := k.Prepare(ctx, dev, linear, spec) // packs the weights; linear may be reused
//			_ = layer.Apply(stream, dst, x, workspace)    // y = x·Wᵀ + bias; allocates nothing
//		}
//	}
//
// Required interfaces are small. What only some devices can do is an optional
// interface found by type assertion: Grouper, GraphCapture, EventTimer,
// PinnedHost, Coder, FaultInjector, Counter. Each says what happens when it is
// absent.
//
// Rules that hold for every implementation, and that backend/conformance
// checks:
//
//   - Supports and Prepare agree. After Supports returned nil, Prepare fails
//     only with ErrOutOfMemory, ErrDeviceLost or the context's error; after a
//     Refusal it fails with the same Refusal.
//   - Close is idempotent. Using anything after its Close returns ErrClosed.
//   - A Layer is immutable: concurrent Applies with distinct dst and workspace
//     are legal.
//   - There is no global state but the registry, and registering touches no
//     hardware.
//
// The package imports quant and dtype only. No kernel, no file format and no
// vendor library enters it.
package backend
