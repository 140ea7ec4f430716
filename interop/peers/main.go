// Command peers is bitlane's side of the comparison with other libraries, which
// run.py drives: see there. It reads one JSON object per line and answers each
// with one:
//
//	{"do": "prepare", "k", "n", "bits", "group", "activations", "dtype", "rows"}
//	    copies of a layer, larger than the caches together, for up to so many rows
//	    → {"kernel", "copies", "cold", "device", "tier", "memory"}
//	{"do": "run", "rows", "seconds"}
//	    Apply on all copies in turn for that long, at least once
//	    → {"times": [seconds of one Apply, on average over the copies]}
//	{"do": "read", "seconds"}
//	    reads memory that no cache holds for that long → {"gbps": [of each sample]}
//
// An answer with "error" says why there is none.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/bench"
	"github.com/bitlane/bitlane/quant"
)

func main() {
	cpus := flag.String("cpus", "0", "logical CPUs, one thread each")
	flag.Parse()
	if err := run(*cpus); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(list string) error {
	var cpus []int
	for _, word := range strings.Split(list, ",") {
		c, err := strconv.Atoi(word)
		if err != nil {
			return fmt.Errorf("-cpus is %q, want numbers", list)
		}
		cpus = append(cpus, c)
	}
	runtime.LockOSThread()
	runtime.GOMAXPROCS(2*len(cpus) + 2) // the device's threads and those that read, see package bench
	ctx := context.Background()
	reading, err := bench.NewReading(cpus)
	if err != nil {
		return err
	}
	defer reading.Close()
	dev, err := bitlane.Open(ctx, "cpu", backend.OpenOptions{Threads: len(cpus), CPUs: cpus})
	if err != nil {
		return err
	}
	s := &side{ctx: ctx, dev: dev, reading: reading}
	lines, answers := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var q request
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return err
		}
		answer, err := s.answer(&q)
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	s.release()
	if err := dev.Close(); err != nil {
		return err
	}
	return lines.Err()
}

type request struct {
	Do          string
	K, N        int
	Bits, Group int
	Activations string
	DType       string
	Rows        int
	Seconds     float64
}

// side holds one layer at a time.
type side struct {
	ctx     context.Context
	dev     backend.Device
	reading *bench.Reading
	stack   *bench.Stack
	caller  *bench.Caller
}

func (s *side) answer(q *request) (any, error) {
	switch q.Do {
	case "prepare":
		return s.prepare(q)
	case "run":
		return s.run(q.Rows, q.Seconds)
	case "read":
		var speeds []float64
		for start := time.Now(); len(speeds) == 0 || time.Since(start).Seconds() < q.Seconds; {
			speeds = append(speeds, s.reading.Sample())
		}
		return map[string]any{"gbps": speeds}, nil
	}
	return nil, fmt.Errorf("no request %q", q.Do)
}

func (s *side) prepare(q *request) (any, error) {
	s.release()
	recipe, err := quant.ParseRecipe(q.Activations)
	if err != nil {
		return nil, err
	}
	t, err := dtype.Parse(q.DType)
	if err != nil {
		return nil, err
	}
	f := bench.Form{Bits: q.Bits, Group: q.Group, Recipe: recipe, X: t}
	if s.stack, err = bench.NewStack(s.ctx, s.dev, bench.Shape{K: q.K, N: q.N}, f, "", q.Rows, s.reading.Bytes()); err != nil {
		return nil, err
	}
	if s.caller, err = s.stack.Caller(s.dev); err != nil {
		return nil, err
	}
	runtime.GC()
	debug.SetGCPercent(-1) // a collection is nobody's speed; little is allocated from here on
	i := s.dev.Info()
	return map[string]any{"kernel": s.stack.Kernel.Name(), "copies": s.stack.Copies(), "cold": s.stack.Cold, "device": i.Name, "tier": i.Tier, "memory": i.Memory}, nil
}

func (s *side) run(rows int, seconds float64) (any, error) {
	if s.stack == nil || rows < 1 || rows > s.stack.Spec.MaxRows {
		return nil, fmt.Errorf("no layer for %d rows", rows)
	}
	var times []float64
	for start := time.Now(); len(times) == 0 || time.Since(start).Seconds() < seconds; {
		began := time.Now()
		for range s.stack.Copies() {
			if err := s.caller.Turn(s.ctx, s.stack, rows); err != nil {
				return nil, err
			}
		}
		times = append(times, time.Since(began).Seconds()/float64(s.stack.Copies()))
	}
	return map[string]any{"times": times}, nil
}

// release frees the layer, if there is one.
func (s *side) release() {
	debug.SetGCPercent(100)
	if s.caller != nil {
		_ = s.caller.Close()
	}
	if s.stack != nil {
		_ = s.stack.Close()
	}
	s.caller, s.stack = nil, nil
}
