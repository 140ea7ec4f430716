//go:build amd64 || arm64

package workers

// pause tells the processor that the thread spins: PAUSE or YIELD. It takes a
// few to 150 cycles.
//
//go:noescape
func pause()
