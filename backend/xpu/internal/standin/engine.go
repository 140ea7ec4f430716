package standin

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
)

// Library is a library with some engines. Its zero value has none. It is safe
// for use by several goroutines, but for its fields.
type Library struct {
	Says    driver.Facts
	Engines int
	Kind    driver.Kind
	Memory  int64  // bytes of an engine; 0: no bound
	Impl    string // name of implementations; "ref:…" are reference ones

	// Implementation names that of a plan in place of Impl. It may be nil.
	Implementation func(*driver.Plan) string

	// Fault is asked before each call, by its name: "alloc", "apply". What it
	// returns fails the call. It may be nil.
	Fault func(call string) error

	// Idle makes Apply do nothing.
	Idle bool

	// Spoil changes each y before it is rounded. It may be nil.
	Spoil func(y float32) float32

	mu    sync.Mutex
	alive map[string]int
}

// Alive returns what lives: "engine", "stream", "memory", "layer", "binding".
func (l *Library) Alive() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]int{}
	for what, n := range l.alive {
		if n != 0 {
			all[what] = n
		}
	}
	return all
}

func (l *Library) count(what string, by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.alive == nil {
		l.alive = map[string]int{}
	}
	l.alive[what] += by
}

func (l *Library) fault(call string) error {
	if l.Fault == nil {
		return nil
	}
	return l.Fault(call)
}

func failed(call string, class driver.Class, format string, args ...any) error {
	return &driver.Error{Call: call, Class: class, Text: fmt.Sprintf(format, args...)}
}

// Facts implements driver.Library.
func (l *Library) Facts() driver.Facts { return l.Says }

// Open implements driver.Library.
func (l *Library) Open(kind driver.Kind, index int) (driver.Engine, error) {
	if err := l.fault("engine_create"); err != nil {
		return nil, err
	}
	if kind != l.Kind || index >= l.Engines {
		return nil, failed("engine_create", driver.NoEngine, "no engine %d of kind %d", index, kind)
	}
	l.count("engine", 1)
	return &engine{lib: l, memory: map[driver.Ptr][]byte{}}, nil
}

type engine struct {
	lib *Library

	mu     sync.Mutex
	live   int // of its streams, layers and memories
	used   int64
	memory map[driver.Ptr][]byte // by first byte
}

func (e *engine) Facts() driver.EngineFacts {
	return driver.EngineFacts{Kind: e.lib.Kind, Runtime: "Go"}
}

func (e *engine) born(what string) {
	e.lib.count(what, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.live++
}

func (e *engine) died(what string) {
	e.lib.count(what, -1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.live--
}

func (e *engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.live > 0 {
		return failed("engine_destroy", driver.Busy, "%d objects live", e.live)
	}
	e.lib.count("engine", -1)
	return nil
}

const alignment = 256

func (e *engine) Alloc(bytes int64) (driver.Memory, error) {
	if err := e.lib.fault("memory_alloc"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	if bytes < 1 || e.lib.Memory > 0 && e.used+bytes > e.lib.Memory {
		e.mu.Unlock()
		return nil, failed("memory_alloc", driver.OutOfMemory, "%d bytes", bytes)
	}
	all := make([]byte, bytes+alignment)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(all))) % alignment
	b := all[skip : int64(skip)+bytes : int64(skip)+bytes]
	p := driver.Ptr(uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	e.memory[p] = b
	e.used += bytes
	e.mu.Unlock()
	e.born("memory")
	return &memory{e, p}, nil
}

type memory struct {
	engine *engine
	ptr    driver.Ptr
}

func (m *memory) Pointer() driver.Ptr { return m.ptr }

func (m *memory) Close() error {
	e := m.engine
	e.mu.Lock()
	e.used -= int64(len(e.memory[m.ptr]))
	delete(e.memory, m.ptr)
	e.mu.Unlock()
	e.died("memory")
	return nil
}

// CheckPointer takes host memory, which must live on.
func (e *engine) CheckPointer(p driver.Ptr, bytes int64) error {
	if err := e.lib.fault("pointer_check"); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ours := e.memory[p]; !ours {
		e.memory[p] = unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&p))), bytes)
	}
	return nil
}

// at returns live memory.
func (e *engine) at(p driver.Ptr, bytes int64) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for first, b := range e.memory {
		if p >= first && uint64(p-first)+uint64(bytes) <= uint64(len(b)) {
			return b[p-first:][:bytes:bytes], nil
		}
	}
	return nil, failed("memory", driver.Failed, "%d bytes at %#x are not memory of the engine", bytes, p)
}

func (e *engine) NewStream() (driver.Stream, error) {
	if err := e.lib.fault("stream_create"); err != nil {
		return nil, err
	}
	e.born("stream")
	return &stream{engine: e}, nil
}

func (e *engine) WrapStream(queue uintptr) (driver.Stream, error) {
	return nil, failed("stream_wrap", driver.Unimplemented, "no queue %#x", queue)
}

// stream runs everything at once. Overlapping calls are an error of the
// caller, which the race detector finds in calls.
type stream struct {
	engine *engine
	calls  int
	bound  int
}

func (s *stream) begin(call string) error {
	s.calls++
	return s.engine.lib.fault(call)
}

func (s *stream) Upload(dst driver.Ptr, src []byte) error {
	if err := s.begin("upload"); err != nil {
		return err
	}
	b, err := s.engine.at(dst, int64(len(src)))
	copy(b, src)
	return err
}

func (s *stream) Download(dst []byte, src driver.Ptr) error {
	if err := s.begin("download"); err != nil {
		return err
	}
	b, err := s.engine.at(src, int64(len(dst)))
	copy(dst, b)
	return err
}

func (s *stream) Copy(dst, src driver.Ptr, bytes int64) error {
	if err := s.begin("copy"); err != nil {
		return err
	}
	from, err := s.engine.at(src, bytes)
	if err != nil {
		return err
	}
	to, err := s.engine.at(dst, bytes)
	copy(to, from)
	return err
}

func (s *stream) Wait() error { return s.begin("stream_wait") }

func (s *stream) Close() error {
	if s.bound > 0 {
		return failed("stream_destroy", driver.Busy, "%d bindings live", s.bound)
	}
	s.engine.died("stream")
	return nil
}
