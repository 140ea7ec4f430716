// Package packing does for every row of a layer's weights, on all threads, what a
// backend without a worker pool has to do, and reads and writes packed weights that are kept.
//
// What may not enter: anything that knows what a row is.
package packing

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Workers is how many goroutines Rows should have for n rows of which each
// wants at least least: at most GOMAXPROCS, and one.
func Workers(n, least int) int { return max(1, min(runtime.GOMAXPROCS(0), n/least)) }

// Rows calls do for every row from 0 to n−1, from that many goroutines, the
// caller's among them, and tells it the number of the goroutine. When ctx ends
// it stops early and returns the context's error.
func Rows(ctx context.Context, n, workers int, do func(worker, row int)) error {
	var next atomic.Int64
	work := func(worker int) {
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			do(worker, i)
		}
	}
	var wait sync.WaitGroup
	for worker := 1; worker < workers; worker++ {
		wait.Go(func() { work(worker) })
	}
	work(0)
	wait.Wait()
	return ctx.Err()
}
