// Package hostmem is memory, streams, events and the lifetime of layers in host
// memory, to embed: a backend that computes on the host is then only its
// kernels.
//
//	type Device struct{ *hostmem.Device }
//
//	func open(o backend.OpenOptions) *Device {
//		d := &Device{hostmem.New(backend.DeviceInfo{Backend: "toy", Family: "toy", ID: "0"}, o)}
//		d.Bind(d) // buffers and streams now name d as their device
//		return d
//	}
//
//	type layer struct {
//		*hostmem.Layer
//		w []byte // packed weights, from Layer.Alloc
//	}
//
//	func (k kernel) Prepare(ctx context.Context, d backend.Device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
//		base, err := hostmem.NewLayer(d, s)
//		if err != nil {
//			return nil, err
//		}
//		w, err := base.Alloc(k.bytes(s))
//		if err != nil {
//			return nil, errors.Join(err, base.Close())
//		}
//		... // pack l into w
//		return &layer{base, w}, nil
//	}
//
//	func (l *layer) Workspace(rows int) int { return 0 }
//
//	func (l *layer) Apply(s backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
//		if err := l.Enter(s, dst, x, ws, l.Workspace(x.Rows)); err != nil {
//			return err
//		}
//		defer l.Leave()
//		... // dst.Host(), x.Host(), ws.Host() are the memory
//	}
//
// The memory of layers is outside Go's heap: 2 MiB pages where the system has
// them, freed by Close and by nothing else. Where the system gives such pages on
// request, the layers of a device are one behind another and share those in
// which they meet, so that none ends in small pages. A closed layer's memory
// goes back at once, but for a page at each end that an open neighbour has bytes
// in. Buffers are in Go's heap.
//
// Streams run at once: every call is complete when it returns, so that events
// are reached when they are recorded. A Device keeps a memory limit, refuses
// to close while anything of it lives, counts what lives (backend.Counter) and
// can be told to fail an allocation (backend.FaultInjector).
//
// No kernel and no arithmetic enters this package.
package hostmem
