// Package meter compiles a library that stands before oneDNN's and adds up the
// time inside of it, so that what a call takes beside oneDNN can be known. It wants a C
// compiler on linux.
//
// What may not enter: anything that is not a test's.
package meter
