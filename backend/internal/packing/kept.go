package packing

import (
	"context"
	"errors"
	"io"

	"github.com/bitlane/bitlane/backend"
)

// Read fills dst with kept bytes from off on, all of them or an error.
func Read(dst []byte, p backend.Packed, off int64) error {
	n, err := p.ReadAt(dst, off)
	switch {
	case n == len(dst) && errors.Is(err, io.EOF):
		return nil
	case n < len(dst) && err == nil:
		return io.ErrUnexpectedEOF
	}
	return err
}

// Write writes bytes of a device's memory piece by piece: download copies those from off on.
func Write(ctx context.Context, w io.Writer, bytes int64, download func(dst []byte, off int64) error) error {
	piece := make([]byte, min(bytes, backend.PackedPiece))
	for off := int64(0); off < bytes; off += int64(len(piece)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		piece = piece[:min(bytes-off, int64(len(piece)))]
		if err := download(piece, off); err != nil {
			return err
		}
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	return nil
}
