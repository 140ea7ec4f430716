//go:build cuda && cgo && linux

package driver

//#include "shim.h"
import "C"

import (
	"fmt"

	"github.com/bitlane/bitlane/backend"
)

type graph struct {
	context *context
	handle  C.uintptr_t // an instantiated graph; 0 after Close
}

func (s *stream) BeginCapture() error {
	if err := s.open(); err != nil {
		return err
	}
	return failed("cuStreamBeginCapture", C.bitlane_capture_begin(s.context.c(), s.c()))
}

func (s *stream) EndCapture() (Graph, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	g := &graph{context: s.context}
	if code := C.bitlane_capture_end(s.context.c(), s.c(), &g.handle); code != 0 {
		return nil, newError("cuStreamEndCapture", int(code))
	}
	return g, nil
}

func (g *graph) Launch(to Stream) error {
	s, ok := to.(*stream)
	if !ok || !g.context.same(s.context) {
		return fmt.Errorf("%w: launch of a graph in a stream of another context", backend.ErrDevice)
	}
	if err := s.open(); err != nil {
		return err
	}
	if g.handle == 0 {
		return backend.ErrClosed
	}
	return failed("cuGraphLaunch", C.bitlane_graph_launch(g.context.c(), s.c(), g.handle))
}

func (g *graph) Close() error {
	if g.handle == 0 {
		return nil
	}
	if err := g.context.open(); err != nil {
		return err
	}
	handle := g.handle
	g.handle = 0
	return failed("cuGraphExecDestroy", C.bitlane_graph_destroy(g.context.c(), handle))
}
