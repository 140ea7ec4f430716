package backend

import (
	"fmt"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// WorkspaceAlign is the alignment of a workspace's address in bytes.
const WorkspaceAlign = 256

// Span is a piece of a Buffer. The zero Span is empty.
type Span struct {
	Buffer Buffer
	Offset int // bytes from the start of Buffer
	Bytes  int
}

// Whole returns all of b.
func Whole(b Buffer) Span { return Span{Buffer: b, Bytes: b.Len()} }

// Addr returns the native address of the span's first byte.
func (s Span) Addr() uintptr { return s.Buffer.Addr() + uintptr(s.Offset) }

// Host returns the span's memory where the host sees it, else nil.
func (s Span) Host() []byte {
	if s.Buffer == nil {
		return nil
	}
	h := s.Buffer.Host()
	if h == nil {
		return nil
	}
	return h[s.Offset : s.Offset+s.Bytes : s.Offset+s.Bytes]
}

// Check reports a span that is not inside its buffer (ErrShape), whose buffer
// is of another device than dev (ErrDevice) or closed (ErrClosed). An empty
// span without a buffer is right.
func (s Span) Check(dev Device, name string) error {
	if s.Buffer == nil {
		if s.Bytes == 0 {
			return nil
		}
		return quant.Errorf(ErrShape, name, "buffer", "one", "nil")
	}
	if s.Buffer.Closed() {
		return quant.Errorf(ErrClosed, name, "buffer", "an open one", "closed")
	}
	if s.Buffer.Device() != dev { // before its size, which is of no use here
		return WrongDevice(dev, name, s.Buffer)
	}
	if s.Offset < 0 || s.Bytes < 0 || s.Offset > s.Buffer.Len() || s.Bytes > s.Buffer.Len()-s.Offset {
		return quant.Errorf(ErrShape, name, "span", fmt.Sprintf("inside the buffer of %d bytes", s.Buffer.Len()), "%d bytes at %d", s.Bytes, s.Offset)
	}
	return nil
}

// WrongDevice returns the error (ErrDevice) of a stream, buffer or event called name that
// is nil or of another device than dev.
func WrongDevice(dev Device, name string, has interface{ Device() Device }) error {
	want := dev.Info().String()
	if has == nil {
		return quant.Errorf(ErrDevice, name, "", "one of "+want, "nil")
	}
	other := has.Device().Info().String()
	if other == want { // by its name alone it would seem right
		other = "the same, opened another time"
	}
	return quant.Errorf(ErrDevice, name, "device", want, "%s", other)
}

// Overlaps reports whether the spans share a byte of memory.
func (s Span) Overlaps(t Span) bool {
	if s.Bytes == 0 || t.Bytes == 0 || s.Buffer == nil || t.Buffer == nil {
		return false
	}
	return s.Addr() < t.Addr()+uintptr(t.Bytes) && t.Addr() < s.Addr()+uintptr(s.Bytes)
}

// Tensor is a matrix in a Span: element [r, c] is at (r·Stride + c)·DType.Size()
// bytes from its start.
type Tensor struct {
	Span
	DType      dtype.DType
	Rows, Cols int
	Stride     int // elements from one row to the next, ≥ Cols
}

// Dense returns the matrix [rows, cols] without gaps at the start of s.
func Dense(s Span, t dtype.DType, rows, cols int) Tensor {
	return Tensor{Span: s, DType: t, Rows: rows, Cols: cols, Stride: cols}
}

// Extent returns the bytes from the first element to the end of the last one.
func (t Tensor) Extent() int {
	if t.Rows <= 0 || t.Cols <= 0 {
		return 0
	}
	return ((t.Rows-1)*t.Stride + t.Cols) * t.DType.Size()
}

// used returns the span of the bytes that the tensor's elements are in.
func (t Tensor) used() Span {
	s := t.Span
	s.Bytes = t.Extent()
	return s
}

// Check reports a tensor that is not inside its span, not aligned to its type,
// of another type or number of columns than wanted, or of another device.
func (t Tensor) Check(dev Device, name string, want dtype.DType, cols int) error {
	switch {
	case t.DType != want:
		return quant.Errorf(ErrDType, name, "type", want.String(), "%v", t.DType)
	case t.Cols != cols || t.Rows < 0:
		return quant.Errorf(ErrShape, name, "shape", fmt.Sprintf("[M,%d] with M at least 0", cols), "[%d,%d]", t.Rows, t.Cols)
	case t.Rows == 0:
		return nil
	case t.Stride < t.Cols || t.Stride > quant.MaxDim:
		return quant.Errorf(ErrShape, name, "row stride", fmt.Sprintf("%d to %d elements", t.Cols, quant.MaxDim), "%d", t.Stride)
	case t.Buffer == nil:
		return quant.Errorf(ErrShape, name, "buffer", "one", "nil")
	}
	if err := t.Span.Check(dev, name); err != nil {
		return err
	}
	size := t.DType.Size()
	if t.Rows-1 > t.Bytes/(t.Stride*size) || t.Extent() > t.Bytes {
		need := (float64(t.Rows-1)*float64(t.Stride) + float64(t.Cols)) * float64(size) // Extent may be beyond an int
		return quant.Errorf(ErrShape, name, "span", fmt.Sprintf("at least %.0f for [%d,%d] with row stride %d", need, t.Rows, t.Cols, t.Stride), "%d bytes", t.Bytes)
	}
	if t.Addr()%uintptr(size) != 0 {
		return quant.Errorf(ErrShape, name, "address", fmt.Sprintf("a multiple of %d", size), "%#x", t.Addr())
	}
	return nil
}

// CheckInput reports what every use of a layer refuses of its stream and input:
// none or another device's (ErrDevice), a closed stream or buffer (ErrClosed), a type
// that is not the Spec's (ErrDType), a shape, more rows than MaxRows or a bad
// alignment (ErrShape). CheckApply includes it; a Coder calls it alone. It
// allocates nothing when all is well.
func CheckInput(dev Device, spec *Spec, st Stream, x Tensor) error {
	if st == nil || st.Device() != dev {
		return WrongDevice(dev, "stream", st)
	}
	if st.Closed() {
		return quant.Errorf(ErrClosed, "stream", "", "an open one", "closed")
	}
	if err := x.Check(dev, "x", spec.X, spec.K); err != nil {
		return err
	}
	if x.Rows > spec.MaxRows {
		return quant.Errorf(ErrShape, "x", "rows", fmt.Sprintf("at most MaxRows = %d", spec.MaxRows), "%d", x.Rows)
	}
	return nil
}

// CheckApply reports what every Layer's Apply refuses: a stream, tensor or
// workspace of another device (ErrDevice), types that are not the Spec's
// (ErrDType), shapes, bounds, alignment or overlap (ErrShape), more rows than
// MaxRows (ErrShape), a closed stream or buffer (ErrClosed). need is
// Layer.Workspace(x.Rows). It allocates nothing when all is well.
func CheckApply(dev Device, spec *Spec, st Stream, dst, x Tensor, ws Span, need int) error {
	if err := CheckInput(dev, spec, st, x); err != nil {
		return err
	}
	if err := dst.Check(dev, "dst", spec.Y, spec.N); err != nil {
		return err
	}
	if dst.Rows != x.Rows {
		return quant.Errorf(ErrShape, "dst", "rows", fmt.Sprintf("those of x, %d", x.Rows), "%d", dst.Rows)
	}
	if x.Rows == 0 {
		return nil
	}
	if err := ws.Check(dev, "workspace"); err != nil {
		return err
	}
	if ws.Bytes < need {
		return quant.Errorf(ErrShape, "workspace", "size", fmt.Sprintf("at least %d bytes", need), "%d bytes", ws.Bytes)
	}
	if need > 0 && ws.Addr()%WorkspaceAlign != 0 {
		return quant.Errorf(ErrShape, "workspace", "address", fmt.Sprintf("a multiple of %d", WorkspaceAlign), "%#x", ws.Addr())
	}
	ws.Bytes = need
	out, in := dst.used(), x.used()
	what, from := "", ""
	switch {
	case out.Overlaps(in):
		what, from = "dst", "x"
	case out.Overlaps(ws):
		what, from = "workspace", "dst"
	case ws.Overlaps(in):
		what, from = "workspace", "x"
	default:
		return nil
	}
	for _, s := range []struct {
		name string
		Span
	}{{"dst", out}, {"x", in}, {"workspace", ws}} { // a buffer that was closed meanwhile has no address
		if err := s.Check(dev, s.name); err != nil {
			return err
		}
	}
	return quant.Errorf(ErrShape, what, "memory", "apart from "+from, "overlapping it")
}
