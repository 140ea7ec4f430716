package peak

import "github.com/klauspost/cpuid/v2"

// Widest first; the last needs nothing that a processor of the architecture
// could lack.
var (
	readers = []loop{
		{name: "64-byte loads, fetched ahead", needs: []cpuid.FeatureID{cpuid.AVX512F, cpuid.AMXTILE}, run: ScanAheadAVX512}, // see docs/measurements/README.md
		{name: "64-byte loads", needs: []cpuid.FeatureID{cpuid.AVX512F}, run: ScanAVX512},
		{name: "32-byte loads", needs: []cpuid.FeatureID{cpuid.AVX2}, run: ScanAVX2},
		{name: "16-byte loads", needs: []cpuid.FeatureID{}, run: Scan},
	}
	probes = []probing{
		{name: "512-bit fma from L1", needs: []cpuid.FeatureID{cpuid.AVX512F, cpuid.FMA3}, wide: true, busy: BusyAVX512, chain: ChainAVX512},
		{name: "fma from L1", needs: []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3}, busy: BusyFMA, chain: Chain},
		{name: "sums from L1", needs: []cpuid.FeatureID{}, busy: Busy, chain: Chain},
	}
)

const chainTurn, probeTurn = 32, 16
