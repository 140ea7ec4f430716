// Package xpu is the C that stands between bitlane and oneDNN: a shim with the
// flat interface of bitlane_xpu.h, so that cgo can link it and CGO_ENABLED=0 can
// load it as libbitlane_xpu.so (make csrc). It includes no header of oneDNN and
// loads libdnnl.so.3 at run time. Package fake, beside it, is a stand-in for that
// library, for tests.
//
// Go talks to the shim through internal/cabi/xpu, which declares the same
// interface; nothing else imports this package.
//
//	error.c      texts of errors
//	library.c    loading, versions, symbols
//	engine.c     engines and streams
//	memory.c     memory and copies of parts of it
//	plan.c       what a plan may say
//	layer.c      a plan's primitives for every bucket of rows: bucket.c, matmul.c, quantizer.c
//	binding.c    memory objects of a layer on a stream
//	apply.c      calls
//
// What may not enter: text of oneDNN's headers, and arithmetic that could be in Go.
package xpu
