//go:build cuda && cgo && linux

package driver

//#include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/bitlane/bitlane/backend"
)

// logBytes is room for the messages of the driver's compiler.
const logBytes = 16 << 10

type module struct {
	context *context
	name    string
	handle  uintptr // 0 after Close
}

func (c *context) Load(name string, ptx []byte) (Module, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	image := make([]byte, len(ptx)+1) // ends with a zero byte
	copy(image, ptx)
	log := make([]byte, logBytes)
	var handle C.uintptr_t
	code := C.bitlane_load(c.c(), (*C.uint8_t)(&image[0]), (*C.char)(unsafe.Pointer(&log[0])), logBytes, &handle)
	if code != 0 {
		err := newError("cuModuleLoadDataEx of "+name, int(code))
		err.Detail = C.GoString((*C.char)(unsafe.Pointer(&log[0])))
		return nil, err
	}
	return &module{context: c, name: name, handle: uintptr(handle)}, nil
}

func (m *module) Function(name string) (Function, error) {
	if m.handle == 0 {
		return nil, backend.ErrClosed
	}
	f := &function{context: m.context, name: name}
	err := m.context.run("cuModuleGetFunction of "+name+" in "+m.name, func() (err error) {
		f.function, err = (*(*cu.Module)(unsafe.Pointer(&m.handle))).Function(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (m *module) Close() error {
	if m.handle == 0 {
		return nil
	}
	if err := m.context.open(); err != nil {
		return err
	}
	handle := m.handle
	m.handle = 0
	return failed("cuModuleUnload of "+m.name, C.bitlane_unload(m.context.c(), C.uintptr_t(handle)))
}

type function struct {
	context  *context
	name     string
	function cu.Function
}

func (f *function) Name() string { return f.name }

func (f *function) handle() C.uintptr_t { return *(*C.uintptr_t)(unsafe.Pointer(&f.function)) }

func (f *function) Attributes() (Attributes, error) {
	var a Attributes
	err := f.context.run("cuFuncGetAttribute of "+f.name, func() (err error) {
		for _, one := range []struct {
			attribute cu.FunctionAttribute
			to        *int
		}{
			{cu.NumRegs, &a.Registers},
			{cu.SharedSizeBytes, &a.SharedBytes},
			{cu.LocalSizeBytes, &a.LocalBytes},
			{cu.ConstSizeBytes, &a.ConstantBytes},
			{cu.FnMaxThreadsPerBlock, &a.MaxThreads},
			{cu.PtxVersion, &a.PTXVersion},
			{cu.BinaryVersion, &a.BinaryVersion},
		} {
			if *one.to, err = f.function.Attribute(one.attribute); err != nil {
				return err
			}
		}
		return nil
	})
	return a, err
}

func (f *function) AllowShared(bytes int) error {
	if err := f.context.open(); err != nil {
		return err
	}
	code := C.bitlane_allow_shared(f.context.c(), f.handle(), C.int(bytes))
	if code == 0 {
		return nil
	}
	return newError(fmt.Sprintf("cuFuncSetAttribute of %s to %d bytes of shared memory", f.name, bytes), int(code))
}

func (f *function) BlocksPerSM(threads, shared int) (blocks int, err error) {
	err = f.context.run("cuOccupancyMaxActiveBlocksPerMultiprocessor of "+f.name, func() (err error) {
		blocks, err = f.function.MaxActiveBlocksPerMultiProcessor(threads, int64(shared))
		return err
	})
	return blocks, err
}
