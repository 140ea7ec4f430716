//go:build xpu && linux

package onednn

import (
	"fmt"

	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/internal/cabi"
	"github.com/bitlane/bitlane/internal/cabi/xpu"
)

// library is a loaded oneDNN.
type library struct {
	shim   *xpu.Shim
	handle uintptr
	facts  driver.Facts
}

func newLibrary(shim *xpu.Shim, handle uintptr, path string) *library {
	says, commit := shim.LibraryInfo(cabi.NewFrame(), handle)
	return &library{shim: shim, handle: handle, facts: driver.Facts{
		Major: int(says.Major), Minor: int(says.Minor), Patch: int(says.Patch), Commit: commit, Path: path,
		CPURuntime: runtimeName(says.CPURuntime), GPURuntime: runtimeName(says.GPURuntime), OpenMP: says.CPURuntime == xpu.RuntimeOMP,
	}}
}

var runtimes = map[int64]string{
	xpu.RuntimeNone: "none", xpu.RuntimeSeq: "sequential", xpu.RuntimeOMP: "OpenMP", xpu.RuntimeTBB: "TBB", xpu.RuntimeThreadpool: "thread pool",
	xpu.RuntimeOpenCL: "OpenCL", xpu.RuntimeSYCL: "SYCL", xpu.RuntimeLevelZero: "Level Zero",
}

func runtimeName(number int64) string {
	if name, ok := runtimes[number]; ok {
		return name
	}
	return fmt.Sprintf("run-time %d", number)
}

func (l *library) Facts() driver.Facts { return l.facts }

func (l *library) Open(kind driver.Kind, index int) (driver.Engine, error) {
	f := cabi.NewFrame()
	handle, err := l.shim.EngineCreate(f, l.handle, int32(kind), int64(index))
	if err != nil {
		return nil, failure("engine_create", err)
	}
	says := l.shim.EngineInfo(f, handle)
	return &engine{shim: l.shim, handle: handle, facts: driver.EngineFacts{Kind: kind, Runtime: runtimeName(says.Runtime), HostMemory: says.HostMemory == 1}}, nil
}

type engine struct {
	shim   *xpu.Shim
	handle uintptr
	facts  driver.EngineFacts
}

func (e *engine) Facts() driver.EngineFacts { return e.facts }

func (e *engine) Close() error {
	return failure("engine_destroy", e.shim.EngineDestroy(cabi.NewFrame(), e.handle))
}

func (e *engine) Alloc(bytes int64) (driver.Memory, error) {
	handle, pointer, err := e.shim.MemoryAlloc(cabi.NewFrame(), e.handle, bytes)
	if err != nil {
		return nil, failure("memory_alloc", err)
	}
	return &memory{e.shim, handle, driver.Ptr(pointer)}, nil
}

func (e *engine) CheckPointer(p driver.Ptr, bytes int64) error {
	return failure("pointer_check", e.shim.PointerCheck(cabi.NewFrame(), e.handle, uintptr(p), bytes))
}

func (e *engine) NewStream() (driver.Stream, error) {
	f := cabi.NewFrame()
	handle, err := e.shim.StreamCreate(f, e.handle)
	if err != nil {
		return nil, failure("stream_create", err)
	}
	return &stream{shim: e.shim, handle: handle, frame: f}, nil
}

func (e *engine) WrapStream(queue uintptr) (driver.Stream, error) {
	f := cabi.NewFrame()
	handle, err := e.shim.StreamWrap(f, e.handle, queue)
	if err != nil {
		return nil, failure("stream_wrap", err)
	}
	return &stream{shim: e.shim, handle: handle, frame: f}, nil
}

type memory struct {
	shim    *xpu.Shim
	handle  uintptr
	pointer driver.Ptr
}

func (m *memory) Pointer() driver.Ptr { return m.pointer }

func (m *memory) Close() error {
	m.shim.MemoryFree(cabi.NewFrame(), m.handle)
	return nil
}
