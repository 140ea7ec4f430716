package device

import (
	"fmt"
	"sync/atomic"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/quant"
)

// graph is recorded work and the layers in it.
type graph struct {
	dev       *Device
	graph     driver.Graph
	recording bool     // guarded by the device's mu, as is
	layers    []*Layer // while it records: several streams may
	closed    atomic.Bool
}

// recorded is the graph that s records, because its capture began or because s
// has waited for an event of one, which CUDA takes as joining it; nil: none.
func (s *Stream) recorded() *graph {
	if s.capture != nil || s.joined == nil {
		return s.capture
	}
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	if !s.joined.recording {
		s.joined = nil
	}
	return s.joined
}

// hold keeps l open for the graph that s records, if it records one.
func (s *Stream) hold(l *Layer) {
	g := s.recorded()
	if g == nil {
		return
	}
	l.retain()
	g.dev.mu.Lock()
	defer g.dev.mu.Unlock()
	g.layers = append(g.layers, l)
}

// BeginCapture implements backend.GraphCapture.
func (s *Stream) BeginCapture() error {
	if err := s.open(); err != nil {
		return err
	}
	if s.recorded() != nil {
		return quant.Errorf(backend.ErrBusy, s.dev.name(), "stream", "EndCapture first", "recording already")
	}
	if err := s.stream.BeginCapture(); err != nil {
		return s.dev.check(fmt.Errorf("%s: %w", s.dev.name(), err))
	}
	s.captured(&graph{dev: s.dev})
	return nil
}

// captured changes what s records, nil for nothing.
func (s *Stream) captured(g *graph) {
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	switch {
	case s.capture == nil && g != nil:
		s.dev.captures++
		g.recording = true
	case s.capture != nil && g == nil:
		s.dev.captures--
		s.capture.recording = false
	}
	s.capture = g
}

// EndCapture implements backend.GraphCapture. The graph holds its layers: their
// Close is ErrBusy before that of the graph. Streams that have joined by waiting for
// an event of this one record no more, and what they recorded must have been waited for.
func (s *Stream) EndCapture() (backend.Graph, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	g := s.capture
	if g == nil {
		return nil, quant.Errorf(backend.ErrShape, s.dev.name(), "stream", "BeginCapture first", "not recording")
	}
	var err error
	g.graph, err = s.stream.EndCapture()
	s.captured(nil)
	if err != nil {
		g.free()
		return nil, s.dev.check(fmt.Errorf("%s: %w", s.dev.name(), err))
	}
	g.dev.book.CountOther("graphs", 1)
	return g, nil
}

func (g *graph) free() {
	for _, l := range g.layers {
		l.release()
	}
	g.layers = nil
}

func (g *graph) Launch(st backend.Stream) error {
	s, ok := st.(*Stream)
	if !ok || s.dev != g.dev {
		return quant.Errorf(backend.ErrDevice, "stream", "device", g.dev.info.String(), "another")
	}
	if g.closed.Load() {
		return quant.Errorf(backend.ErrClosed, "graph", "", "an open one", "closed")
	}
	if err := s.open(); err != nil {
		return err
	}
	return g.dev.check(g.graph.Launch(s.stream))
}

// Close waits for launches that are enqueued, as the layers are free after it.
// It is ErrBusy, and closes nothing, while a stream of the device records.
func (g *graph) Close() error {
	if g.closed.Load() {
		return nil
	}
	if err := g.dev.idle("graph"); err != nil {
		return err
	}
	if g.closed.Swap(true) {
		return nil
	}
	err := g.dev.check(g.graph.Close())
	g.free()
	g.dev.book.CountOther("graphs", -1)
	return err
}
