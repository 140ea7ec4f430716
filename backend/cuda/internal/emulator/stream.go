package emulator

import (
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
)

// stream does what it is told at once, or records it.
type stream struct {
	device    *device
	isDefault bool
	closed    bool
	rec       *recording // what it records, if that is live
}

func (s *stream) usable() error {
	if s.closed {
		return backend.ErrClosed
	}
	return s.device.usable()
}

// do runs f, or records it.
func (s *stream) do(f func() error) error {
	if err := s.usable(); err != nil {
		return err
	}
	if s.rec.live() {
		s.rec.add(s, f)
		return nil
	}
	return f()
}

// now runs f, which cannot be recorded.
func (s *stream) now(call string, f func() error) error {
	if err := s.usable(); err != nil {
		return err
	}
	if s.rec.live() {
		return captureError(call, 900, "the stream is being recorded")
	}
	return f()
}

func (s *stream) Handle() uintptr { return 0 }

func (s *stream) Upload(dst driver.Ptr, src []byte) error {
	return s.now("upload", func() error { return s.write(dst, src) })
}

func (s *stream) write(dst driver.Ptr, src []byte) error {
	return s.device.fail(fmt.Sprintf("upload of %d bytes", len(src)), s.device.machine.Write(uint64(dst), src))
}

func (s *stream) read(dst []byte, src driver.Ptr) error {
	return s.device.fail(fmt.Sprintf("download of %d bytes", len(dst)), s.device.machine.Read(dst, uint64(src)))
}

func (s *stream) Download(dst []byte, src driver.Ptr) error {
	return s.now("download", func() error { return s.read(dst, src) })
}

func (s *stream) UploadPinned(dst driver.Ptr, src []byte) error {
	return s.do(func() error { return s.write(dst, src) })
}

func (s *stream) DownloadPinned(dst []byte, src driver.Ptr) error {
	return s.do(func() error { return s.read(dst, src) })
}

func (s *stream) Copy(dst, src driver.Ptr, bytes int64) error {
	return s.do(func() error {
		return s.device.fail(fmt.Sprintf("copy of %d bytes", bytes), s.device.machine.Copy(uint64(dst), uint64(src), int(bytes)))
	})
}

func (s *stream) Fill8(dst driver.Ptr, value byte, bytes int64) error {
	return s.do(func() error {
		return s.device.fail(fmt.Sprintf("fill of %d bytes", bytes), s.device.machine.Fill(uint64(dst), int(bytes), value))
	})
}

func (s *stream) Launch(f driver.Function, l *driver.Launch) error {
	own, ok := f.(*function)
	if !ok || own.device != s.device {
		return fmt.Errorf("%w: launch of a function of another device", backend.ErrDevice)
	}
	if !s.rec.live() {
		if err := s.usable(); err != nil {
			return err
		}
		return own.launch(l)
	}
	kept := *l
	kept.Args = slices.Clone(l.Args)
	return s.do(func() error { return own.launch(&kept) })
}

func (s *stream) Record(e driver.Event) error {
	own, ok := e.(*event)
	if !ok || own.device != s.device {
		return fmt.Errorf("%w: event of another device", backend.ErrDevice)
	}
	if err := s.usable(); err != nil {
		return err
	}
	if s.rec.live() {
		own.record(s.rec.point(s))
		return nil
	}
	own.record(recorded{})
	return nil
}

func (s *stream) Wait(e driver.Event) error {
	own, ok := e.(*event)
	if !ok || own.device != s.device {
		return fmt.Errorf("%w: event of another device", backend.ErrDevice)
	}
	if err := s.usable(); err != nil {
		return err
	}
	return s.wait(own)
}

func (s *stream) Done() (bool, error) {
	err := s.now("query", func() error { return nil })
	return err == nil, err
}

func (s *stream) Sync() error { return s.now("sync", func() error { return nil }) }

func (s *stream) Close() error {
	if s.rec.live() && s.rec.origin == s {
		s.rec.end()
		s.device.record(-1)
	}
	s.closed = true
	return nil
}

// graph is recorded work.
type graph struct {
	device *device
	work   []func() error
	closed bool
}

func (g *graph) Launch(st driver.Stream) error {
	s, ok := st.(*stream)
	if !ok || s.device != g.device {
		return fmt.Errorf("%w: graph of another device", backend.ErrDevice)
	}
	if g.closed {
		return backend.ErrClosed
	}
	return s.do(func() error {
		for _, f := range g.work {
			if err := f(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (g *graph) Close() error { g.closed = true; return nil }
