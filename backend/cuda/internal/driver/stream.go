//go:build cuda && cgo && linux

package driver

/*
#cgo noescape bitlane_launch
#cgo nocallback bitlane_launch
#cgo noescape bitlane_upload
#cgo nocallback bitlane_upload
#cgo noescape bitlane_download
#cgo nocallback bitlane_download
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
)

// The array of parameters in C and the limit here are one number.
var _ = [1]struct{}{}[MaxArgs-C.BITLANE_MAX_ARGS]

type stream struct {
	context *context
	handle  uintptr
	wrapped bool // the caller's
	closed  bool
}

func (c *context) NewStream() (Stream, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	var handle C.uintptr_t
	if code := C.bitlane_stream_create(c.c(), &handle); code != 0 {
		return nil, newError("cuStreamCreate", int(code))
	}
	return &stream{context: c, handle: uintptr(handle)}, nil
}

func (c *context) WrapStream(handle uintptr) (Stream, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	return &stream{context: c, handle: handle, wrapped: true}, nil
}

func (s *stream) Handle() uintptr { return s.handle }

func (s *stream) c() C.uintptr_t { return C.uintptr_t(s.handle) }

func (s *stream) open() error {
	if s.closed {
		return backend.ErrClosed
	}
	return s.context.open()
}

func (s *stream) Upload(dst Ptr, src []byte) error {
	if err := s.open(); err != nil || len(src) == 0 {
		return err
	}
	p := (*C.uint8_t)(unsafe.SliceData(src))
	return failed("cuMemcpyHtoDAsync", C.bitlane_upload(s.context.c(), s.c(), C.uint64_t(dst), p, C.size_t(len(src))))
}

func (s *stream) Download(dst []byte, src Ptr) error {
	if err := s.open(); err != nil || len(dst) == 0 {
		return err
	}
	p := (*C.uint8_t)(unsafe.SliceData(dst))
	return failed("cuMemcpyDtoHAsync", C.bitlane_download(s.context.c(), s.c(), p, C.uint64_t(src), C.size_t(len(dst))))
}

func (s *stream) UploadPinned(dst Ptr, src []byte) error {
	if err := s.open(); err != nil || len(src) == 0 {
		return err
	}
	p, err := s.context.pinnedAt(src)
	if err != nil {
		return err
	}
	return failed("cuMemcpyHtoDAsync", C.bitlane_upload_pinned(s.context.c(), s.c(), C.uint64_t(dst), p, C.size_t(len(src))))
}

func (s *stream) DownloadPinned(dst []byte, src Ptr) error {
	if err := s.open(); err != nil || len(dst) == 0 {
		return err
	}
	p, err := s.context.pinnedAt(dst)
	if err != nil {
		return err
	}
	return failed("cuMemcpyDtoHAsync", C.bitlane_download_pinned(s.context.c(), s.c(), p, C.uint64_t(src), C.size_t(len(dst))))
}

func (s *stream) Copy(dst, src Ptr, bytes int64) error {
	if err := s.sized(bytes); err != nil || bytes == 0 {
		return err
	}
	return failed("cuMemcpyDtoDAsync", C.bitlane_copy(s.context.c(), s.c(), C.uint64_t(dst), C.uint64_t(src), C.size_t(bytes)))
}

func (s *stream) Fill8(dst Ptr, value byte, bytes int64) error {
	if err := s.sized(bytes); err != nil || bytes == 0 {
		return err
	}
	return failed("cuMemsetD8Async", C.bitlane_fill(s.context.c(), s.c(), C.uint64_t(dst), C.uint8_t(value), C.size_t(bytes)))
}

func (s *stream) sized(bytes int64) error {
	if bytes < 0 {
		return fmt.Errorf("%w: %d bytes", backend.ErrShape, bytes)
	}
	return s.open()
}

func (s *stream) Launch(f Function, l *Launch) error {
	kernel, ok := f.(*function)
	if !ok || !s.context.same(kernel.context) {
		return fmt.Errorf("%w: launch of a function of another context", backend.ErrDevice)
	}
	if err := s.open(); err != nil {
		return err
	}
	if len(l.Args) > MaxArgs {
		return fmt.Errorf("%w: launch of %s with %d parameters, at most %d", backend.ErrUnsupported, kernel.name, len(l.Args), MaxArgs)
	}
	code := C.bitlane_launch(s.context.c(), s.c(), kernel.handle(),
		C.uint32_t(l.Grid[0]), C.uint32_t(l.Grid[1]), C.uint32_t(l.Grid[2]),
		C.uint32_t(l.Block[0]), C.uint32_t(l.Block[1]), C.uint32_t(l.Block[2]),
		C.uint32_t(l.Shared), (*C.uint64_t)(unsafe.SliceData(l.Args)), C.int(len(l.Args)))
	if code == 0 {
		return nil
	}
	return newError(fmt.Sprintf("cuLaunchKernel of %s, grid %v, block %v, %d bytes of shared memory", kernel.name, l.Grid, l.Block, l.Shared), int(code))
}

func (s *stream) Done() (bool, error) {
	if err := s.open(); err != nil {
		return false, err
	}
	return reached("cuStreamQuery", C.bitlane_stream_query(s.context.c(), s.c()))
}

// reached is what the two queries return.
func reached(call string, code C.CUresult) (bool, error) {
	if code == codeNotReady {
		return false, nil
	}
	return code == 0, failed(call, code)
}

func (s *stream) Sync() error {
	if err := s.open(); err != nil {
		return err
	}
	return failed("cuStreamSynchronize", C.bitlane_stream_sync(s.context.c(), s.c()))
}

func (s *stream) Close() error {
	if s.closed {
		return nil
	}
	if err := s.context.open(); err != nil {
		return err
	}
	s.closed = true
	if s.wrapped {
		return nil
	}
	return failed("cuStreamDestroy", C.bitlane_stream_destroy(s.context.c(), s.c()))
}
