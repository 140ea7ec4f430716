package cpu

import (
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
)

// forkTime is how many nanoseconds a thread works in the time that it takes to hand work to others that
// spin, and to wait for them: what takes no longer is done faster by the caller alone. Measured on Zen 5, M=1, g128,
// two threads beside one, weights from the second cache and from memory (times of one thread in us):
//
//	K x N         int8 W4                    bfloat16 by W4             float32 by W4
//	256 x 256     0.9: 1.99   3.1: 1.39      1.1: 1.79   3.3: 1.39      1.6: 1.20   3.8: 1.30
//	512 x 256     1.2: 1.68   4.6: 1.07      1.8: 1.34   4.5: 1.18      2.6: 0.97   5.1: 1.20
//	512 x 512     1.9: 1.19   6.0: 0.95      3.3: 0.95   6.2: 1.03      4.5: 0.87   7.0: 1.12
//	1024 x 512    2.9: 1.01   9.6: 0.88      6.7: 0.73   9.4: 0.91      8.2: 0.73  10.8: 0.98
//	1024 x 1024   5.3: 0.78  16.1: 0.84     12.9: 0.62  16.3: 0.83     15.9: 0.60  19.1: 0.78
const forkTime = 2300

// width is how many goroutines work of about so many nanoseconds deserves: one, if it takes less than a
// fork, else so many that each has half of that to do.
func (d *Device) width(ns float64) int {
	if ns < d.fork {
		return 1
	}
	return int(min(2+2*(ns-d.fork)/max(d.fork, 1), 1<<16))
}

// threads is how many threads work for so many goroutines is divided for: fewer have larger portions.
func (d *Device) threads(width int) int { return min(width, d.pool.Threads()) }

// What a thread takes for a product, in nanoseconds, roughly, and for how many rows of x reading a weight
// takes as long: those of the fastest kernels, so that a slow one is divided late and not too early.
const (
	productTime, readRows     = 0.003, 2
	productTimeGo, readRowsGo = 1, 3
)

// cost implements matrix.
func (w *product) cost(rows int) float64 {
	return float64(rows*w.parts+readRows) * float64(w.n) * float64(w.k) * productTime
}

// cost implements matrix.
func (w *weights) cost(rows int) float64 {
	return float64(rows+readRowsGo) * float64(w.n) * float64(w.k) * productTimeGo
}

// What a thread takes to prepare a feature, in nanoseconds, and for each feature of a row or column of a
// transform besides.
const (
	featureTime, transformTime     = 0.1, 0.01
	featureTimeGo, transformTimeGo = 5, 1
)

// costOfRow is about how many nanoseconds a thread takes to prepare a row.
func costOfRow(s *backend.Spec, isa rows.ISA) float64 {
	feature, transform := featureTime, transformTime
	if isa == rows.Go {
		feature, transform = featureTimeGo, transformTimeGo
	}
	if t := s.Transform; t != nil {
		feature += transform * float64(t.L+t.R)
	}
	return feature * float64(s.K)
}

// costOfFronts is about how many nanoseconds a thread takes to prepare so many rows.
func (l *layer) costOfFronts(rows int) (ns float64) {
	for _, f := range l.fronts {
		ns += float64(rows) * f.cost
	}
	return ns
}

// costOfParts is the same for the products.
func (l *layer) costOfParts(rows int) (ns float64) {
	for i := range l.parts {
		ns += l.parts[i].cost(rows)
	}
	return ns
}
