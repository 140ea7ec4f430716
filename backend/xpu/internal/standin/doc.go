// Package standin is a oneDNN in Go, for tests: memory with bounds, the sums of
// package linear's documentation in plain loops, faults on demand. It shows that
// packing, planning and lifetimes are right, and nothing of oneDNN.
package standin
