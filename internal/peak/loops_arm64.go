package peak

import "github.com/klauspost/cpuid/v2"

var (
	readers = []loop{{name: "32-byte loads", needs: []cpuid.FeatureID{}, run: ScanNEON}}
	probes  = []loop{{name: "fma from L1", needs: []cpuid.FeatureID{}, run: BusyNEON}}
)

func chain(turns uintptr) { Chain(turns) }

const chainTurn, probeTurn = 32, 16
