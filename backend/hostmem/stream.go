package hostmem

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// stream runs everything at once.
type stream struct {
	dev    *Device
	closed atomic.Bool
}

func (s *stream) Device() backend.Device { return s.dev.outer }
func (s *stream) Closed() bool           { return s.closed.Load() }

func (s *stream) open() error {
	if s.closed.Load() {
		return quant.Errorf(backend.ErrClosed, s.dev.name(), "stream", "an open one", "closed")
	}
	return nil
}

// host checks that span is a live part of this device of n bytes.
func (s *stream) host(span backend.Span, name string, n int) ([]byte, error) {
	if err := span.Check(s.dev.outer, name); err != nil {
		return nil, err
	}
	if span.Bytes != n {
		return nil, quant.Errorf(backend.ErrShape, name, "size", fmt.Sprintf("%d bytes", n), "%d bytes", span.Bytes)
	}
	h := span.Host()
	if h == nil && n > 0 { // closed since Check looked
		return nil, quant.Errorf(backend.ErrClosed, name, "buffer", "an open one", "closed")
	}
	return h, nil
}

func (s *stream) Upload(dst backend.Span, src []byte) error {
	if err := s.open(); err != nil {
		return err
	}
	to, err := s.host(dst, "upload destination", len(src))
	copy(to, src)
	return err
}

func (s *stream) Download(dst []byte, src backend.Span) error {
	if err := s.open(); err != nil {
		return err
	}
	from, err := s.host(src, "download source", len(dst))
	copy(dst, from)
	return err
}

func (s *stream) Copy(dst, src backend.Span) error {
	if err := s.open(); err != nil {
		return err
	}
	from, err := s.host(src, "copy source", src.Bytes)
	if err != nil {
		return err
	}
	to, err := s.host(dst, "copy destination", src.Bytes)
	copy(to, from)
	return err
}

func (s *stream) Record() (backend.Event, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	if err := s.dev.book.Admit("event", func(a *backend.Alive) { a.Events++ }); err != nil {
		return nil, err
	}
	return &event{dev: s.dev}, nil
}

func (s *stream) Wait(e backend.Event) error {
	if err := s.open(); err != nil {
		return err
	}
	if e == nil || e.Device() != s.dev.outer {
		return backend.WrongDevice(s.dev.outer, "event", e)
	}
	if own, ok := e.(*event); ok && own.closed.Load() {
		return quant.Errorf(backend.ErrClosed, "event", "", "an open one", "closed")
	}
	return nil
}

func (s *stream) Sync(ctx context.Context) error {
	if err := s.open(); err != nil {
		return err
	}
	return ctx.Err()
}

func (s *stream) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.dev.book.Count(func(a *backend.Alive) { a.Streams-- })
	return nil
}

// event is reached as soon as it exists.
type event struct {
	dev    *Device
	closed atomic.Bool
}

func (e *event) Device() backend.Device { return e.dev.outer }

func (e *event) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	e.dev.book.Count(func(a *backend.Alive) { a.Events-- })
	return nil
}
