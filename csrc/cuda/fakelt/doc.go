// Package fakelt builds a stand-in for libcublasLt from the C in src, for tests of
// what calls it: of package cublaslt and of the CUDA backend's driver. It wants a
// C compiler on linux, and in the process the stand-in for the driver, of package
// fake, whose streams do its products and whose memory holds its matrices.
//
// It refuses whatever the library's documentation does not promise: attributes of
// another size, layouts that do not fit, an algorithm that it did not hand out for
// this product, too little or unaligned workspace, a context that is not the
// handle's. It writes rubbish to the workspace, adds in float32 in one order, and
// counts what is alive. It shows nothing about speed, nor about which algorithms
// there are.
//
// To a heuristic it offers four algorithms: the first splits K although it was
// asked not to, the second does not take fewer than 8 rows.
//
// The variable BITLANE_FAKE_CUBLASLT tells it what to be, NAME=NUMBER with commas
// in between: version (10000*major + 100*minor + patch level, 120903), create (the
// status of cublasLtCreate), heuristic (the status of a heuristic), offers (how
// many algorithms, 4), refuse (a number of rows that no algorithm takes).
//
// What may not enter: anything that is not a test's.
package fakelt
