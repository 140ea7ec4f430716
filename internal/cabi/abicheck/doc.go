// Package abicheck compares the C header of a shim with its declarations in Go:
// which functions, how many arguments, how wide; which constants, of what value;
// which structures, with which fields where. It also reads the Go code that
// calls them: every argument is converted as its kind wants it.
//
// It knows only the form of header that csrc has: enumerations with explicit
// values, structures of fixed-width integers and pointers, prototypes behind one
// marker. Anything else in a header is an error, so that nothing is overlooked.
//
// What may not enter: anything that is not a test's.
package abicheck
