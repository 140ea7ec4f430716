// Package ci is the room of the small programs that the Makefile runs: gotest
// (go test with a table of what was skipped), fuzzall (every fuzz target for a
// while), covergate (statement coverage), bochs (tests on an emulated CPU),
// ptxgate (CUDA kernels: source against PTX, registers on every architecture),
// total (the sum of all parts). They know the go command and nothing of the
// library but the table of CUDA kernels; the library imports none of them.
package ci
