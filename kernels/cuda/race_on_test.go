//go:build race

package cuda

// withRace is whether the race detector is compiled in.
const withRace = true
