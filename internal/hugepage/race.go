//go:build race

package hugepage

const raceDetector = true
