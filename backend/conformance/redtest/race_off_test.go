//go:build !race

package redtest

const raceDetector = false
