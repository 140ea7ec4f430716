package bench

import "os"

// A Reading measures how fast memory is read, for a program that takes turns
// with others. It is used by the goroutine that made it, which must be locked
// to its thread and is bound to the first CPU.
type Reading struct {
	m   *machine
	w   work
	mem *arenas
}

// NewReading reads with one thread on each CPU, from memory larger than four
// last-level caches, in huge pages where the system has them.
func NewReading(cpus []int) (*Reading, error) {
	cache, known := lastLevelCache(os.DirFS("/"), cpus[0])
	if !known {
		cache = unknownCache
	}
	mem, err := newArenas(coldCaches * cache)
	if err != nil {
		return nil, err
	}
	m, _ := newMachine(cpus, mem)
	return &Reading{m, m.readWork(readLimit), mem}, nil
}

// Sample reads for about 100 µs and returns GB/s, of all threads together.
func (r *Reading) Sample() float64 {
	s, _ := r.w.do() // has no error to return
	return s.speed() / 1e9
}

// Bytes returns how much memory is read before any of it is read again.
func (r *Reading) Bytes() int64 { return int64(len(r.mem.huge)) }

// Close frees memory and threads.
func (r *Reading) Close() {
	r.m.close()
	r.mem.close()
}
