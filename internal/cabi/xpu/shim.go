//go:build linux && xpu

package xpu

import (
	"fmt"
	"unsafe"

	"github.com/bitlane/bitlane/internal/cabi"
)

// Shim is the functions of bitlane_xpu.h, where their contract is. Those that can
// fail return an *Error. It is safe for use by several goroutines, each with
// frames of its own.
type Shim struct {
	table *cabi.Table
	Path  string // the library's file, "" where it is linked into the binary
}

// Open finds the shim: linked into the binary where that was built with cgo, else
// by cabi.Load. It loads no oneDNN: see LibraryOpen.
func Open() (*Shim, error) {
	address, path, err := find()
	if err != nil {
		return nil, err
	}
	table, err := cabi.NewTable(Functions, address)
	if err != nil {
		return nil, fmt.Errorf("%s is not the libbitlane_xpu.so of this program, but another file or version: %w; make csrc builds it", path, err)
	}
	s := &Shim{table: table, Path: path}
	if abi := s.call(cabi.NewFrame(), fnABI); int32(abi) != ABI {
		return nil, fmt.Errorf("%s speaks version %d of the interface, the program %d: build both from one commit", path, int32(abi), ABI)
	}
	return s, nil
}

func (s *Shim) call(f *cabi.Frame, fn int, args ...uintptr) uintptr {
	return s.table.Call(f, fn, args...)
}

// check turns the result of a function into an error.
func check(f *cabi.Frame, result uintptr) error {
	if class := Class(int32(result)); class != OK {
		return &Error{class, f.String()}
	}
	return nil
}

// Conversions of arguments, named as the kinds of package cabi: a test reads them.
func asI32(v int32) uintptr   { return uintptr(v) }
func asI64(v int64) uintptr   { return uintptr(v) }
func asPtr(v uintptr) uintptr { return v }

func text(f *cabi.Frame) uintptr     { return f.Text() }
func textSize(f *cabi.Frame) uintptr { return f.TextBytes() }

// LibraryOpen loads oneDNN: path, or what the system's loader finds if path is "".
func (s *Shim) LibraryOpen(f *cabi.Frame, path string) (uintptr, error) {
	defer f.Drop()
	var name uintptr
	if path != "" {
		c := append([]byte(path), 0)
		name = f.Keep(0, unsafe.Pointer(&c[0]))
	}
	// The loader's text belongs to a thread: the shim reads it in the same call.
	r := s.call(f, fnLibraryOpen, asPtr(name), asPtr(f.Out(0)), text(f), textSize(f))
	return f.Result(0), check(f, r)
}

// LibraryClose closes a library without engines.
func (s *Shim) LibraryClose(f *cabi.Frame, library uintptr) error {
	return check(f, s.call(f, fnLibraryClose, asPtr(library), text(f), textSize(f)))
}

// LibraryInfo returns what a library says about itself, and its commit.
func (s *Shim) LibraryInfo(f *cabi.Frame, library uintptr) (LibraryFacts, string) {
	defer f.Drop()
	facts := new(LibraryFacts)
	s.call(f, fnLibraryInfo, asPtr(library), asPtr(f.Keep(0, unsafe.Pointer(facts))), text(f), textSize(f))
	return *facts, f.String()
}

// LibraryAlive returns what is alive of a library.
func (s *Shim) LibraryAlive(f *cabi.Frame, library uintptr) Counts {
	defer f.Drop()
	counts := new(Counts)
	s.call(f, fnLibraryAlive, asPtr(library), asPtr(f.Keep(0, unsafe.Pointer(counts))))
	return *counts
}

// NeededSymbols returns the symbols that a library must have.
func (s *Shim) NeededSymbols(f *cabi.Frame) []string {
	var names []string
	for {
		p := s.call(f, fnNeededSymbol, asI64(int64(len(names))))
		if p == 0 {
			return names
		}
		names = append(names, goString(p))
	}
}

// goString copies a C string, which is not Go's memory.
func goString(p uintptr) string {
	base := *(*unsafe.Pointer)(unsafe.Pointer(&p))
	n := 0
	for *(*byte)(unsafe.Add(base, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(base), n))
}

// EngineCreate makes an engine.
func (s *Shim) EngineCreate(f *cabi.Frame, library uintptr, kind int32, index int64) (uintptr, error) {
	r := s.call(f, fnEngineCreate, asPtr(library), asI32(kind), asI64(index), asPtr(f.Out(0)), text(f), textSize(f))
	return f.Result(0), check(f, r)
}

// EngineWrap makes an engine on the caller's device and context.
func (s *Shim) EngineWrap(f *cabi.Frame, library uintptr, kind int32, driver, device, context uintptr) (uintptr, error) {
	r := s.call(f, fnEngineWrap, asPtr(library), asI32(kind), asPtr(driver), asPtr(device), asPtr(context), asPtr(f.Out(0)), text(f), textSize(f))
	return f.Result(0), check(f, r)
}

// EngineDestroy ends an engine without children.
func (s *Shim) EngineDestroy(f *cabi.Frame, engine uintptr) error {
	return check(f, s.call(f, fnEngineDestroy, asPtr(engine), text(f), textSize(f)))
}

// EngineInfo returns what an engine says about itself.
func (s *Shim) EngineInfo(f *cabi.Frame, engine uintptr) EngineFacts {
	defer f.Drop()
	facts := new(EngineFacts)
	s.call(f, fnEngineInfo, asPtr(engine), asPtr(f.Keep(0, unsafe.Pointer(facts))))
	return *facts
}

// StreamCreate makes a stream.
func (s *Shim) StreamCreate(f *cabi.Frame, engine uintptr) (uintptr, error) {
	r := s.call(f, fnStreamCreate, asPtr(engine), asPtr(f.Out(0)), text(f), textSize(f))
	return f.Result(0), check(f, r)
}

// StreamWrap makes a stream on the caller's queue.
func (s *Shim) StreamWrap(f *cabi.Frame, engine, queue uintptr) (uintptr, error) {
	r := s.call(f, fnStreamWrap, asPtr(engine), asPtr(queue), asPtr(f.Out(0)), text(f), textSize(f))
	return f.Result(0), check(f, r)
}

// StreamQueue returns the queue under a stream.
func (s *Shim) StreamQueue(f *cabi.Frame, stream uintptr) (uintptr, error) {
	r := s.call(f, fnStreamQueue, asPtr(stream), asPtr(f.Out(0)), text(f), textSize(f))
	return f.Result(0), check(f, r)
}

// StreamWait waits for all work of a stream.
func (s *Shim) StreamWait(f *cabi.Frame, stream uintptr) error {
	return check(f, s.call(f, fnStreamWait, asPtr(stream), text(f), textSize(f)))
}

// StreamDestroy waits for a stream without bindings and ends it.
func (s *Shim) StreamDestroy(f *cabi.Frame, stream uintptr) error {
	return check(f, s.call(f, fnStreamDestroy, asPtr(stream), text(f), textSize(f)))
}

// MemoryAlloc returns memory of the engine's device and its device pointer.
func (s *Shim) MemoryAlloc(f *cabi.Frame, engine uintptr, bytes int64) (memory, pointer uintptr, err error) {
	r := s.call(f, fnMemoryAlloc, asPtr(engine), asI64(bytes), asPtr(f.Out(0)), asPtr(f.Out(1)), text(f), textSize(f))
	return f.Result(0), f.Result(1), check(f, r)
}

// MemoryFree frees memory.
func (s *Shim) MemoryFree(f *cabi.Frame, memory uintptr) { s.call(f, fnMemoryFree, asPtr(memory)) }

// PointerCheck checks a pointer of the caller's.
func (s *Shim) PointerCheck(f *cabi.Frame, engine, pointer uintptr, bytes int64) error {
	return check(f, s.call(f, fnPointerCheck, asPtr(engine), asPtr(pointer), asI64(bytes), text(f), textSize(f)))
}

// Upload copies src to the device.
func (s *Shim) Upload(f *cabi.Frame, stream, dst uintptr, src []byte) error {
	if len(src) == 0 {
		return nil
	}
	r := s.call(f, fnUpload, asPtr(stream), asPtr(dst), asPtr(f.Keep(0, unsafe.Pointer(&src[0]))), asI64(int64(len(src))), text(f), textSize(f))
	f.Drop()
	return check(f, r)
}

// Download copies from the device to dst.
func (s *Shim) Download(f *cabi.Frame, stream uintptr, dst []byte, src uintptr) error {
	if len(dst) == 0 {
		return nil
	}
	r := s.call(f, fnDownload, asPtr(stream), asPtr(f.Keep(0, unsafe.Pointer(&dst[0]))), asPtr(src), asI64(int64(len(dst))), text(f), textSize(f))
	f.Drop()
	return check(f, r)
}

// Copy copies between device pointers.
func (s *Shim) Copy(f *cabi.Frame, stream, dst, src uintptr, bytes int64) error {
	return check(f, s.call(f, fnCopy, asPtr(stream), asPtr(dst), asPtr(src), asI64(bytes), text(f), textSize(f)))
}

// LayerPrepare makes a layer. It sets plan.Bytes.
func (s *Shim) LayerPrepare(f *cabi.Frame, engine uintptr, plan *Plan) (uintptr, error) {
	defer f.Drop()
	plan.Bytes = int64(unsafe.Sizeof(*plan))
	r := s.call(f, fnLayerPrepare, asPtr(engine), asPtr(f.Keep(0, unsafe.Pointer(plan))), asPtr(f.Out(0)), text(f), textSize(f))
	return f.Result(0), check(f, r)
}

// LayerDestroy ends a layer without bindings.
func (s *Shim) LayerDestroy(f *cabi.Frame, layer uintptr) error {
	return check(f, s.call(f, fnLayerDestroy, asPtr(layer), text(f), textSize(f)))
}

// LayerWorkspace returns the bytes of workspace of a call.
func (s *Shim) LayerWorkspace(f *cabi.Frame, layer uintptr, rows int64) int64 {
	return int64(s.call(f, fnLayerWorkspace, asPtr(layer), asI64(rows)))
}

// LayerBucket returns a bucket's facts and what its matmul is called, false behind the last.
func (s *Shim) LayerBucket(f *cabi.Frame, layer uintptr, index int64) (BucketFacts, string, bool) {
	defer f.Drop()
	facts := new(BucketFacts)
	r := s.call(f, fnLayerBucket, asPtr(layer), asI64(index), asPtr(f.Keep(0, unsafe.Pointer(facts))), text(f), textSize(f))
	return *facts, f.String(), Class(int32(r)) == OK
}

// Bind ties a layer to a stream and to its weights.
func (s *Shim) Bind(f *cabi.Frame, layer, stream, weights, scales, zeros, bias uintptr) (uintptr, error) {
	r := s.call(f, fnBind, asPtr(layer), asPtr(stream), asPtr(weights), asPtr(scales), asPtr(zeros), asPtr(bias), asPtr(f.Out(0)), text(f), textSize(f))
	return f.Result(0), check(f, r)
}

// Unbind ends a binding.
func (s *Shim) Unbind(f *cabi.Frame, binding uintptr) { s.call(f, fnUnbind, asPtr(binding)) }

// Apply enqueues y = layer(x).
func (s *Shim) Apply(f *cabi.Frame, binding, x uintptr, xStride int64, y uintptr, yStride, rows int64, workspace uintptr, bytes int64) error {
	return check(f, s.call(f, fnApply, asPtr(binding), asPtr(x), asI64(xStride), asPtr(y), asI64(yStride), asI64(rows), asPtr(workspace), asI64(bytes), text(f), textSize(f)))
}

// Quantize enqueues the codes and scales of x.
func (s *Shim) Quantize(f *cabi.Frame, binding, x uintptr, xStride int64, codes, scales uintptr, rows int64, workspace uintptr, bytes int64) error {
	return check(f, s.call(f, fnQuantize, asPtr(binding), asPtr(x), asI64(xStride), asPtr(codes), asPtr(scales), asI64(rows), asPtr(workspace), asI64(bytes), text(f), textSize(f)))
}

// ApplyCodes enqueues y of codes and scales.
func (s *Shim) ApplyCodes(f *cabi.Frame, binding, codes, scales, y uintptr, yStride, rows int64, workspace uintptr, bytes int64) error {
	return check(f, s.call(f, fnApplyCodes, asPtr(binding), asPtr(codes), asPtr(scales), asPtr(y), asI64(yStride), asI64(rows), asPtr(workspace), asI64(bytes), text(f), textSize(f)))
}
