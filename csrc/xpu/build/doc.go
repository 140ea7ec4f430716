// Package build compiles C of csrc/xpu for tests: the shim as a library or with
// a program around it. It wants a C compiler on linux. Testing says which oneDNN
// tests run on.
//
// What may not enter: anything that is not a test's.
package build
