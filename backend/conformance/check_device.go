package conformance

import (
	"bytes"
	"context"
	"errors"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
)

func deviceChecks() []check {
	return []check{
		{Info{"device", "Devices and Open agree, an unknown device is ErrNoDevice, and a device says what it is.", false}, checkDevice},
		{Info{"buffers", "A buffer has the asked length, an aligned address and its device; a wrapped one is the caller's memory.", false}, checkBuffers},
		{Info{"streams", "Uploads, downloads and copies move exactly the bytes of their spans, refuse what does not fit, and keep to the order of the stream and of awaited events.", false}, checkStreams},
	}
}

func checkDevice(r *rig) {
	if r.info.Backend != r.target.Backend.Name() {
		r.fail(nil, "the device says that its backend is %q, want %q", r.info.Backend, r.target.Backend.Name())
	}
	if r.info.Family == "" || r.info.ID == "" || r.info.Name == "" {
		r.fail(nil, "the device does not say its family, id and name: %+v", r.info)
	}
	if free, total, err := r.dev.Mem(); err != nil && !errors.Is(err, backend.ErrUnsupported) {
		r.fail(nil, "Mem: %v", err)
	} else if err == nil && (free < 0 || total <= 0 || free > total) {
		r.fail(nil, "Mem gives %d bytes free of %d", free, total)
	}
	devices, err := r.target.Backend.Devices(r.ctx)
	r.must(err, "Devices")
	listed := false
	for _, d := range devices {
		listed = listed || d.ID == r.info.ID
	}
	if !listed {
		r.fail(nil, "Devices does not list the open device %q", r.info.ID)
	}
	d, err := r.target.Backend.Open(r.ctx, "no such device", backend.OpenOptions{})
	if err == nil {
		_ = d.Close()
	}
	r.wantErr(nil, `Open of "no such device"`, err, backend.ErrNoDevice)
}

func checkBuffers(r *rig) {
	for _, n := range []int{0, 1, 255, 256, 4097} {
		b, err := r.dev.Alloc(n)
		r.must(err, "Alloc")
		if b.Len() != n || b.Device() != r.dev || b.Closed() {
			r.fail(nil, "Alloc(%d): Len is %d, Closed %v, Device is the device: %v", n, b.Len(), b.Closed(), b.Device() == r.dev)
		}
		if n > 0 && (b.Addr() == 0 || b.Addr()%backend.WorkspaceAlign != 0) {
			r.fail(nil, "Alloc(%d): the address %#x is no multiple of %d", n, b.Addr(), backend.WorkspaceAlign)
		}
		r.must(b.Close(), "Close of a buffer")
	}
	if b, err := r.dev.Alloc(-1); err == nil {
		_ = b.Close()
		r.fail(nil, "Alloc(-1) succeeds")
	}
	r.wrapped()
}

// wrapped wraps a buffer's own memory, which is memory that the device can use
// on every kind of device.
func (r *rig) wrapped() {
	const n = 300
	own, err := r.dev.Alloc(n)
	r.must(err, "Alloc")
	defer func() { _ = own.Close() }()
	addr := own.Addr()
	w, err := r.dev.WrapBuffer(*(*unsafe.Pointer)(unsafe.Pointer(&addr)), n)
	r.must(err, "WrapBuffer")
	if w.Addr() != own.Addr() || w.Len() != n || w.Device() != r.dev {
		r.fail(nil, "WrapBuffer: address %#x and length %d, want %#x and %d", w.Addr(), w.Len(), own.Addr(), n)
	}
	sent := pattern(n, 3)
	r.must(r.st.Upload(backend.Whole(w), sent), "Upload to a wrapped buffer")
	r.must(w.Close(), "Close of a wrapped buffer")
	got := make([]byte, n)
	r.wantNil(nil, "Download from memory whose wrapper is closed", r.st.Download(got, backend.Whole(own)))
	if !bytes.Equal(got, sent) {
		r.fail(nil, "what was written through a wrapped buffer is not in the caller's memory, or went with the wrapper")
	}
}

func pattern(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + seed + i>>8)
	}
	return b
}

func checkStreams(r *rig) {
	const n = 1000
	a, err := r.dev.Alloc(n)
	r.must(err, "Alloc")
	defer func() { _ = a.Close() }()
	b, err := r.dev.Alloc(n)
	r.must(err, "Alloc")
	defer func() { _ = b.Close() }()
	span := func(b backend.Buffer, at, size int) backend.Span {
		return backend.Span{Buffer: b, Offset: at, Bytes: size}
	}
	want := pattern(n, 1)
	r.must(r.st.Upload(backend.Whole(a), want), "Upload")
	r.must(r.st.Upload(backend.Whole(b), pattern(n, 2)), "Upload")
	copy(want[13:], pattern(77, 9))
	r.must(r.st.Upload(span(a, 13, 77), pattern(77, 9)), "Upload to the middle")
	r.readBack("after an Upload to the middle", a, want)
	copy(want[501:], pattern(n, 2)[3:100])
	r.must(r.st.Copy(span(a, 501, 97), span(b, 3, 97)), "Copy")
	r.readBack("after a Copy", a, want)
	r.readBack("the source of a Copy", b, pattern(n, 2))

	r.wantErr(nil, "Upload of too few bytes", r.st.Upload(span(a, 0, 9), make([]byte, 8)), backend.ErrShape)
	r.wantErr(nil, "Download of too many bytes", r.st.Download(make([]byte, 9), span(a, 0, 8)), backend.ErrShape)
	r.wantErr(nil, "Copy of different sizes", r.st.Copy(span(a, 0, 8), span(b, 0, 9)), backend.ErrShape)
	r.wantErr(nil, "Upload past the end", r.st.Upload(span(a, n-4, 8), make([]byte, 8)), backend.ErrShape)
	r.readBack("after refused copies", a, want)
	r.events(a)
}

func (r *rig) readBack(what string, b backend.Buffer, want []byte) {
	got := make([]byte, b.Len())
	r.must(r.st.Download(got, backend.Whole(b)), "Download")
	if !bytes.Equal(got, want) {
		r.fail(nil, "%s the buffer does not hold what it should", what)
	}
}

func (r *rig) events(a backend.Buffer) {
	second := r.stream(r.dev)
	defer func() { _ = second.Close() }()
	want := pattern(a.Len(), 5)
	r.must(second.Upload(backend.Whole(a), want), "Upload on a second stream")
	e, err := second.Record()
	r.must(err, "Record")
	if e.Device() != r.dev {
		r.fail(nil, "an event is not of its device")
	}
	r.must(r.st.Wait(e), "Wait")
	r.readBack("after Wait for another stream's event", a, want)
	r.must(e.Close(), "Close of an event")
	r.wantNil(nil, "Sync", r.st.Sync(r.ctx))
	ended, cancel := context.WithCancel(r.ctx)
	cancel()
	if err := r.st.Sync(ended); err != nil && !errors.Is(err, context.Canceled) {
		r.fail(nil, "Sync with an ended context gives %v, want nil or its error", err)
	}
	other, stop := r.open(backend.OpenOptions{})
	defer func() { _ = stop() }()
	st := r.stream(other)
	defer func() { _ = st.Close() }()
	r.wantErr(nil, "Upload to another device's buffer", st.Upload(backend.Whole(a), want), backend.ErrDevice)
	r.wantErr(nil, "Download from another device's buffer", st.Download(make([]byte, a.Len()), backend.Whole(a)), backend.ErrDevice)
}
