package cpu

// matrix is the packed weights of a layer and how they are multiplied. It is
// immutable: several goroutines may multiply with one.
type matrix interface {
	// outputs is N.
	outputs() int

	// portions is in how many parts the products with so many rows of x are
	// divided for so many threads. The division changes no bit of the results.
	portions(rows, threads int) int

	// cost is about how many nanoseconds one thread takes for the products with so many rows of x.
	cost(rows int) float64

	// readsFrom is the first of the prepared rows of as many rows of x, counted as kernels
	// count them, that a portion reads as it is: all before may be read in tiles alone.
	readsFrom(rows, threads int) int

	// multiply computes one portion of them for the rows of the call. Two
	// workers of a call have different numbers and scratch memory.
	multiply(c *call, p *part, worker, portion int)
}
