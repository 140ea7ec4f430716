package device

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/quant"
)

// Stream is a queue of a device, ours or the caller's.
type Stream struct {
	dev    *Device
	closed atomic.Bool

	mu      sync.Mutex // of every call about the stream and the bindings to it
	stream  driver.Stream
	bound   map[*Layer]driver.Binding // nil after Close
	scratch driver.Call               // of one Apply after the other
	pending bool                      // work was enqueued and not waited for
}

var _ backend.Stream = (*Stream)(nil)

// Device implements backend.Stream.
func (s *Stream) Device() backend.Device { return s.dev }

// Closed implements backend.Stream.
func (s *Stream) Closed() bool { return s.closed.Load() }

func (s *Stream) errClosed() error {
	return quant.Errorf(backend.ErrClosed, s.dev.name(), "stream", "an open one", "closed")
}

func (s *Stream) open() error {
	if s.closed.Load() {
		return s.errClosed()
	}
	return s.dev.book.Usable()
}

// call runs f, which calls the driver, under the stream's lock.
func (s *Stream) call(f func(driver.Stream) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound == nil {
		return s.errClosed()
	}
	return s.dev.check(f(s.stream))
}

// wait waits for all work. Called with mu held.
func (s *Stream) wait(d driver.Stream) error {
	s.pending = false
	return d.Wait()
}

// settle waits if there is anything to wait for.
func (s *Stream) settle() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound == nil || !s.pending {
		return nil
	}
	return s.dev.check(s.wait(s.stream))
}

// at checks that span is a live part of this device of n bytes and returns its
// address.
func (s *Stream) at(span backend.Span, name string, n int) (driver.Ptr, error) {
	if err := s.open(); err != nil {
		return 0, err
	}
	if err := span.Check(s.dev, name); err != nil {
		return 0, err
	}
	if span.Bytes != n {
		return 0, quant.Errorf(backend.ErrShape, name, "size", fmt.Sprintf("%d bytes", n), "%d bytes", span.Bytes)
	}
	if n == 0 {
		return 0, nil
	}
	return driver.Ptr(span.Addr()), nil
}

// Upload implements backend.Stream.
func (s *Stream) Upload(dst backend.Span, src []byte) error {
	p, err := s.at(dst, "upload destination", len(src))
	if err != nil || len(src) == 0 {
		return err
	}
	return s.call(func(d driver.Stream) error { return d.Upload(p, src) })
}

// Download implements backend.Stream.
func (s *Stream) Download(dst []byte, src backend.Span) error {
	p, err := s.at(src, "download source", len(dst))
	if err != nil || len(dst) == 0 {
		return err
	}
	return s.call(func(d driver.Stream) error { return d.Download(dst, p) })
}

// Copy implements backend.Stream. Ranges that overlap and are not the same are ErrShape:
// oneDNN reads and writes in an order of its own.
func (s *Stream) Copy(dst, src backend.Span) error {
	from, err := s.at(src, "copy source", src.Bytes)
	if err != nil {
		return err
	}
	to, err := s.at(dst, "copy destination", src.Bytes)
	if err != nil || src.Bytes == 0 {
		return err
	}
	if from != to && dst.Overlaps(src) {
		return quant.Errorf(backend.ErrShape, "copy destination", "memory", "apart from the source", "overlapping it")
	}
	return s.call(func(d driver.Stream) error {
		s.pending = true
		return d.Copy(to, from, int64(src.Bytes))
	})
}

// Record implements backend.Stream.
func (s *Stream) Record() (backend.Event, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	if err := s.dev.book.Admit("event", func(a *backend.Alive) { a.Events++ }); err != nil {
		return nil, err
	}
	return &event{dev: s.dev, in: s}, nil
}

// Wait implements backend.Stream: it waits on the host for all work of the
// event's stream.
func (s *Stream) Wait(e backend.Event) error {
	if err := s.open(); err != nil {
		return err
	}
	own, ok := e.(*event)
	if !ok || own.dev != s.dev {
		return quant.Errorf(backend.ErrDevice, "event", "device", s.dev.info.String(), "another")
	}
	if own.closed.Load() {
		return quant.Errorf(backend.ErrClosed, "event", "", "an open one", "closed")
	}
	if own.in == s { // in order anyway
		return nil
	}
	if err := own.in.call(own.in.wait); err != nil && !errors.Is(err, backend.ErrClosed) { // done when it was closed
		return err
	}
	return nil
}

// Sync implements backend.Stream. With a context that can end, another
// goroutine waits, and may go on doing so after Sync has returned.
func (s *Stream) Sync(ctx context.Context) error {
	if err := s.open(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if ctx.Done() == nil {
		return s.call(s.wait)
	}
	done := make(chan error, 1)
	go func() { done <- s.call(s.wait) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close implements backend.Stream: it waits for the work, also that of a
// caller's own stream, and lets layers go of it.
func (s *Stream) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.mu.Lock()
	err := s.stream.Wait()
	for l, b := range s.bound {
		err = errors.Join(err, b.Close())
		l.forget(s)
	}
	s.bound = nil
	err = errors.Join(err, s.stream.Close())
	s.mu.Unlock()
	s.dev.book.Count(func(a *backend.Alive) { a.Streams-- })
	s.dev.mu.Lock()
	delete(s.dev.open, s)
	s.dev.mu.Unlock()
	return s.dev.check(err)
}

// event is a point in a stream.
type event struct {
	dev    *Device
	in     *Stream
	closed atomic.Bool
}

func (e *event) Device() backend.Device { return e.dev }

func (e *event) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	e.dev.book.Count(func(a *backend.Alive) { a.Events-- })
	return nil
}
