//go:build !race

package linear

// withRace is whether the race detector is compiled in.
const withRace = false
