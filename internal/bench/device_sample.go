package bench

import (
	"context"
	"errors"
	"math"

	"github.com/bitlane/bitlane/backend"
)

// A deviceSample is work that is timed as one: recorded, where streams record.
type deviceSample struct {
	d     *deviceRun
	times int // that it does what it is made of
	work  func() error
	graph backend.Graph
}

// sample makes one that takes about leastTime. One of turns things is used each
// time that do is called, and all of them as often: what is launched again must
// find nothing of it in a cache.
func (d *deviceRun) sample(ctx context.Context, st backend.Stream, turns int, do func() error) (*deviceSample, error) {
	best := math.Inf(1)
	for range 3 {
		t, err := d.timed(ctx, do)
		if err != nil {
			return nil, err
		}
		best = min(best, t)
	}
	s := &deviceSample{d: d, times: turns * max(1, int(math.Ceil(leastTime/best/float64(turns))))}
	s.work = func() error {
		for range s.times {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}
	if recorder, ok := st.(backend.GraphCapture); ok {
		graph, err := record(recorder, s.work)
		if err != nil {
			return nil, err
		}
		s.graph = graph
		s.work = func() error { return graph.Launch(st) }
	}
	if _, err := d.timed(ctx, s.work); err != nil { // the first one may be slow
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// take returns the seconds of doing it once.
func (s *deviceSample) take(ctx context.Context) (float64, error) {
	t, err := s.d.timed(ctx, s.work)
	return t / float64(s.times), err
}

func (s *deviceSample) close() error {
	if s.graph == nil {
		return nil
	}
	return s.graph.Close()
}

// record records what do enqueues.
func record(st backend.GraphCapture, do func() error) (backend.Graph, error) {
	if err := st.BeginCapture(); err != nil {
		return nil, err
	}
	err := do()
	graph, ended := st.EndCapture()
	if err == nil {
		return graph, ended
	}
	if ended == nil {
		err = errors.Join(err, graph.Close())
	}
	return nil, err
}

// enqueue applies l to the first rows of x, without waiting.
func (c *Caller) enqueue(l backend.Layer, rows int) error {
	x, y := c.x, c.y
	x.Rows, y.Rows = rows, rows
	return l.Apply(c.st, y, x, c.ws)
}
