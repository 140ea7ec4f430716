package device

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/quant"
)

// Stream is a CUDA stream. It is used by one goroutine at a time.
type Stream struct {
	dev     *Device
	stream  driver.Stream
	wrapped bool // the caller's own
	closed  atomic.Bool

	capture *graph // what is being recorded since BeginCapture; nil: nothing is
	joined  *graph // another stream's, which this one has joined
}

var (
	_ backend.Stream       = (*Stream)(nil)
	_ backend.EventTimer   = (*Stream)(nil)
	_ backend.GraphCapture = (*Stream)(nil)
)

// Device implements backend.Stream.
func (s *Stream) Device() backend.Device { return s.dev }

// Closed implements backend.Stream.
func (s *Stream) Closed() bool { return s.closed.Load() }

func (s *Stream) open() error {
	if s.closed.Load() {
		return quant.Errorf(backend.ErrClosed, s.dev.name(), "stream", "an open one", "closed")
	}
	return s.dev.book.Usable()
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
	return s.dev.check(s.stream.Upload(p, src))
}

// Download implements backend.Stream.
func (s *Stream) Download(dst []byte, src backend.Span) error {
	p, err := s.at(src, "download source", len(dst))
	if err != nil || len(dst) == 0 {
		return err
	}
	return s.dev.check(s.stream.Download(dst, p))
}

// Copy implements backend.Stream.
func (s *Stream) Copy(dst, src backend.Span) error {
	from, err := s.at(src, "copy source", src.Bytes)
	if err != nil {
		return err
	}
	to, err := s.at(dst, "copy destination", src.Bytes)
	if err != nil || src.Bytes == 0 {
		return err
	}
	return s.dev.check(s.stream.Copy(to, from, int64(src.Bytes)))
}

// Launch enqueues a kernel. It allocates nothing.
func (s *Stream) Launch(f driver.Function, l *driver.Launch) error {
	return s.dev.check(s.stream.Launch(f, l))
}

// Record implements backend.Stream.
func (s *Stream) Record() (backend.Event, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	d := s.dev
	if err := d.book.Admit("event", func(a *backend.Alive) { a.Events++ }); err != nil {
		return nil, err
	}
	e, err := d.context.NewEvent(true)
	if err == nil {
		if err = s.stream.Record(e); err != nil {
			_ = e.Close() // the first error says more
		}
	}
	if err != nil {
		d.book.Count(func(a *backend.Alive) { a.Events-- })
		return nil, d.check(fmt.Errorf("%s: event: %w", d.name(), err))
	}
	return &event{dev: d, event: e, recorded: s.recorded()}, nil
}

// Wait implements backend.Stream.
func (s *Stream) Wait(e backend.Event) error {
	if err := s.open(); err != nil {
		return err
	}
	own, err := s.own(e)
	if err != nil {
		return err
	}
	if err := s.stream.Wait(own.event); err != nil {
		return s.dev.check(err)
	}
	if s.capture == nil && own.recorded != nil {
		s.joined = own.recorded
	}
	return nil
}

// own returns an open event of this device as what it is.
func (s *Stream) own(e backend.Event) (*event, error) {
	own, ok := e.(*event)
	if !ok || own.dev != s.dev {
		return nil, quant.Errorf(backend.ErrDevice, "event", "device", s.dev.info.String(), "another")
	}
	if own.closed.Load() {
		return nil, quant.Errorf(backend.ErrClosed, "event", "", "an open one", "closed")
	}
	return own, nil
}

// Elapsed implements backend.EventTimer: the time on the device between two
// events that were reached.
func (s *Stream) Elapsed(start, end backend.Event) (time.Duration, error) {
	if err := s.open(); err != nil {
		return 0, err
	}
	from, err := s.own(start)
	if err != nil {
		return 0, err
	}
	to, err := s.own(end)
	if err != nil {
		return 0, err
	}
	t, err := to.event.Since(from.event)
	return t, s.dev.check(err)
}

// The pauses between two looks at a stream that Sync waits for.
const shortestPause, longestPause = 5 * time.Microsecond, 50 * time.Microsecond

// Sync implements backend.Stream.
func (s *Stream) Sync(ctx context.Context) error {
	if err := s.open(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if ctx.Done() == nil {
		return s.dev.check(s.stream.Sync())
	}
	var timer *time.Timer
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		done, err := s.stream.Done()
		if err != nil || done {
			return s.dev.check(err)
		}
		if timer == nil {
			timer = time.NewTimer(pause)
			defer timer.Stop()
		} else {
			timer.Reset(pause)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// Close implements backend.Stream: it waits for the work of a stream of ours,
// and leaves the caller's own alone. It is ErrBusy, and closes nothing, while the
// stream records for another one.
func (s *Stream) Close() error {
	if s.capture == nil && s.recorded() != nil && s.dev.book.Lost() == nil && !s.closed.Load() {
		return quant.Errorf(backend.ErrBusy, s.dev.name(), "stream", "EndCapture of the other one first", "recording for another")
	}
	if s.closed.Swap(true) {
		return nil
	}
	if g := s.capture; g != nil { // what is recorded is thrown away
		if recorded, err := s.stream.EndCapture(); err == nil {
			_ = recorded.Close()
		}
		s.captured(nil)
		g.free()
	}
	var err error
	if !s.wrapped {
		err = s.stream.Sync()
	}
	err = errors.Join(err, s.stream.Close())
	s.dev.book.Count(func(a *backend.Alive) { a.Streams-- })
	return s.dev.check(err)
}

// event is a point in a stream.
type event struct {
	dev      *Device
	event    driver.Event
	recorded *graph // what it is a point in; nil: what the device does
	closed   atomic.Bool
}

func (e *event) Device() backend.Device { return e.dev }

func (e *event) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	err := e.dev.check(e.event.Close())
	e.dev.book.Count(func(a *backend.Alive) { a.Events-- })
	return err
}
