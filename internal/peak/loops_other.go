//go:build !amd64 && !arm64

package peak

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// Where there is no assembly memory is read, and a core kept busy, as plain Go
// does it, and no unit has a loop.
var (
	candidates []candidate
	readers    = []loop{{name: "8-byte loads", needs: []cpuid.FeatureID{}, run: sum}}
	probes     = []probing{{name: "sums from L1", needs: []cpuid.FeatureID{}, busy: sums, chain: chain}}
)

const chainTurn, probeTurn = 32, 64

func chain(turns uintptr) {
	a, b := uint64(0), uint64(turns)
	for range turns * chainTurn {
		a = a*3 + b // no sum that a compiler could know
	}
	if a == 1<<63 {
		sink = a
	}
}

var sink uint64 // never read: keeps the compiler from dropping loops

func sum(p *byte, n uintptr) {
	var a, b, c, d uint64
	words := unsafe.Slice((*uint64)(unsafe.Pointer(p)), n/8)
	for i := 0; i+3 < len(words); i += 4 {
		a, b, c, d = a+words[i], b+words[i+1], c+words[i+2], d+words[i+3]
	}
	if a+b+c+d == 1<<63 {
		if a == 1<<63 {
			sink = a
		}
	}
}

func sums(p *byte, turns uintptr) {
	for range turns {
		sum(p, readTurn)
	}
}
