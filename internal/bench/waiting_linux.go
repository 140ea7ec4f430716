package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// waiting tells how long the threads of the process have been ready to run
// while others had their CPUs: the time that other programs took from them.
type waiting struct {
	files []*os.File
	known []float64 // seconds, by file
	text  [64]byte
}

// newWaiting watches the threads that there are. What cannot be read counts for
// nothing.
func newWaiting() *waiting {
	w := &waiting{}
	found, _ := filepath.Glob("/proc/self/task/*/schedstat")
	for _, path := range found {
		if f, err := os.Open(path); err == nil {
			w.files, w.known = append(w.files, f), append(w.known, 0)
		}
	}
	return w
}

// seconds returns the sum over all threads.
func (w *waiting) seconds() float64 {
	sum := 0.0
	for i, f := range w.files {
		n, _ := f.ReadAt(w.text[:], 0) // a thread that has ended keeps what it had
		if fields := bytes.Fields(w.text[:n]); len(fields) == 3 {
			if ns, err := strconv.ParseInt(string(fields[1]), 10, 64); err == nil {
				w.known[i] = float64(ns) / 1e9
			}
		}
		sum += w.known[i]
	}
	return sum
}

func (w *waiting) close() {
	for _, f := range w.files {
		_ = f.Close() // only read
	}
}
