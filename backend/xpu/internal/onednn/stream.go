//go:build xpu && linux

package onednn

import (
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/internal/cabi"
	"github.com/bitlane/bitlane/internal/cabi/xpu"
)

// stream is a queue. frame serves its calls, and those of its bindings, one
// after the other.
type stream struct {
	shim   *xpu.Shim
	handle uintptr
	frame  *cabi.Frame
}

func (s *stream) Upload(dst driver.Ptr, src []byte) error {
	return failure("upload", s.shim.Upload(s.frame, s.handle, uintptr(dst), src))
}

func (s *stream) Download(dst []byte, src driver.Ptr) error {
	return failure("download", s.shim.Download(s.frame, s.handle, dst, uintptr(src)))
}

func (s *stream) Copy(dst, src driver.Ptr, bytes int64) error {
	return failure("copy", s.shim.Copy(s.frame, s.handle, uintptr(dst), uintptr(src), bytes))
}

func (s *stream) Wait() error { return failure("stream_wait", s.shim.StreamWait(s.frame, s.handle)) }

func (s *stream) Close() error {
	return failure("stream_destroy", s.shim.StreamDestroy(s.frame, s.handle))
}
