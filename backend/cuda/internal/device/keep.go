package device

import (
	"context"
	"errors"
	"io"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/backend/internal/packing"
	"github.com/bitlane/bitlane/quant"
)

// WriteMemory writes bytes of the layer's memory from off on, through a stream of its own.
func (l *Layer) WriteMemory(ctx context.Context, w io.Writer, off, bytes int64) (err error) {
	l.running.RLock()
	defer l.running.RUnlock()
	if l.closed {
		return quant.Errorf(backend.ErrClosed, "layer", "", "an open one", "closed")
	}
	if err := l.dev.book.Usable(); err != nil {
		return err
	}
	s, err := l.dev.context.NewStream()
	if err != nil {
		return l.dev.check(err)
	}
	defer func() { err = errors.Join(err, l.dev.check(s.Close())) }()
	return packing.Write(ctx, w, bytes, func(dst []byte, at int64) error {
		return l.dev.check(s.Download(dst, l.ptr+driver.Ptr(off+at)))
	})
}
