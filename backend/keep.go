package backend

import (
	"context"
	"io"
)

// Restorer is implemented by a Kernel whose packed weights can be kept and
// prepared again without the layer that they were packed from. Where it is absent,
// Prepare is the only way.
type Restorer interface {
	// Packing names the arrangement of the packed bytes of a layer of s and its
	// version: layers of equal weights whose Specs have the same Packing with this
	// kernel have the same bytes. Anything that would change a byte changes it.
	// It is letters, digits and "-_./=".
	Packing(i DeviceInfo, s Spec) string

	// Restore is Prepare of packed bytes, as WritePacked of a layer with this Packing wrote
	// them, instead of a layer. A refusal is the one of Supports; bytes that cannot
	// be such a layer's are ErrFormat, as errors of p are passed on. Numbers within the
	// weights are taken as they are: who keeps bytes verifies them.
	Restore(ctx context.Context, d Device, s Spec, p Packed) (Layer, error)
}

// Keeper is implemented by a Layer that shows its packed weights; those of a
// Restorer do.
type Keeper interface {
	// PackedSize is how many bytes WritePacked writes.
	PackedSize() int64

	// WritePacked writes the packed weights in order. ErrClosed after Close.
	WritePacked(ctx context.Context, w io.Writer) error
}

// Packed is packed bytes that were kept. It is safe for use by several goroutines.
type Packed interface {
	// Size is the number of bytes.
	Size() int64

	// ReadAt reads as io.ReaderAt does. Reads of whole pieces of PackedPiece bytes, at
	// multiples of it, the last one what is left, cost no copy.
	ReadAt(p []byte, off int64) (int, error)
}

// PackedPiece is the unit in which packed bytes are best read, in bytes.
const PackedPiece = 1 << 20
