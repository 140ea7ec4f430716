//go:build race

package redtest

// raceDetector makes every mutant many times slower.
const raceDetector = true
