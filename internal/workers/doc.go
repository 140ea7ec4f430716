// Package workers is a pool of goroutines for the parallel loops of a CPU
// backend: a loop is cut into chunks, which the caller and the workers claim
// one by one.
//
// The caller takes part and never waits for a worker that has not claimed a
// chunk: a worker that the machine does not schedule costs nothing. Idle
// workers are parked. A loop allocates nothing, several callers may run loops
// at once, and which goroutine runs a chunk must not matter to its result.
//
// Nothing about tensors or numerics enters this package.
package workers
