//go:build !linux

package workers

// thisCPU matters only where memory nodes are known.
func thisCPU() int { return 0 }
