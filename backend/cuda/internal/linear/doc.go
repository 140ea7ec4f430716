// Package linear is the kernels of CUDA devices as the contract has them: what
// they support, how weights are packed for them, and how an Apply is launched.
// The device code is in kernels/cuda, whose doc.go draws the layout and states
// the sums; devices and memory are package device's.
//
// # Ways through a layer
//
// Where one ends and the next begins is in Points, which a caller may move.
//
//	rows of x   launches
//	1 to 32     stream: weights once, K in slices; then finish adds the slices
//	more        tile: blocks of outputs and tokens, all of K in each; gather before
//	            where x is not in packed order, or not aligned
//
// The kernels named rounded are for many rows: from rounded-rows on they expand
// some outputs after the others to plain numbers of x's type and tile those, which
// does the work of unpacking once and not for every block of tokens. Weights are
// rounded by it.
//
// The kernels named invariant take the first way for any number of rows, with
// the same slices, so that a row of y has the same bits whatever else is in the
// call; so do layers of many small groups, whose sums over all of K would be too
// long. Those named gather read x through a map of features: act-order, groups
// that are not whole units of 32 features.
package linear
