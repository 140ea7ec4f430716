package peak

import "github.com/klauspost/cpuid/v2"

var (
	readers = []loop{{name: "32-byte loads", needs: []cpuid.FeatureID{}, run: ScanNEON}}
	probes  = []probing{{name: "fma from L1", needs: []cpuid.FeatureID{}, busy: BusyNEON, chain: Chain}}
)

const chainTurn, probeTurn = 32, 16
