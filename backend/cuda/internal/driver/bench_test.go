//go:build cuda && cgo && linux

package driver

import (
	"runtime"
	"testing"
	"unsafe"

	"gorgonia.org/cu"
)

// What a call costs on the host. On the stand-in, whose launches take a lock
// and memory, it is what stands between Go and the driver.

func benchContext(b *testing.B) *context {
	system, err := System()
	must(err)
	ctx, err := system.Open(0, 0)
	must(err)
	b.Cleanup(func() { must(ctx.Close()) })
	return ctx.(*context)
}

func BenchmarkLaunch(b *testing.B) {
	ctx := benchContext(b)
	s, err := ctx.NewStream()
	must(err)
	m, err := ctx.Load("kernels.ptx", []byte(kernels))
	must(err)
	add, err := m.Function("add")
	must(err)
	p, err := ctx.Alloc(4)
	must(err)
	l := &Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{32, 1, 1}, Args: []uint64{uint64(p), 1}}
	drained := func(b *testing.B, n *int) {
		if *n++; *n%256 == 0 {
			b.StopTimer()
			must(s.Sync())
			b.StartTimer()
		}
	}
	b.Run("one call in C", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		for range b.N {
			must(s.Launch(add, l))
			drained(b, &n)
		}
	})
	b.Run("package cu", func(b *testing.B) {
		b.ReportAllocs()
		n := 0
		own := s.(*stream)
		handle := *(*cu.Stream)(unsafe.Pointer(&own.handle))
		current := *(*cu.CUContext)(unsafe.Pointer(&ctx.handle))
		for range b.N {
			runtime.LockOSThread()
			must(cu.PushCurrentCtx(current))
			must(add.(*function).function.Launch(1, 1, 1, 32, 1, 1, 0, handle, []unsafe.Pointer{unsafe.Pointer(&l.Args[0]), unsafe.Pointer(&l.Args[1])}))
			_, err := cu.PopCurrentCtx()
			must(err)
			runtime.UnlockOSThread()
			drained(b, &n)
		}
	})
	must(s.Sync())
	must(ctx.Free(p))
	must(m.Close())
	must(s.Close())
}

func BenchmarkContext(b *testing.B) {
	ctx := benchContext(b)
	s, err := ctx.NewStream()
	must(err)
	b.Run("push, query, pop in C", func(b *testing.B) {
		for range b.N {
			_, err := s.Done()
			must(err)
		}
	})
	b.Run("push, ask, pop with cu", func(b *testing.B) {
		for range b.N {
			_, _, err := ctx.Mem()
			must(err)
		}
	})
	must(s.Close())
}
