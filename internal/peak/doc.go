// Package peak holds what measures the limits of a processor: loops that do
// nothing but one kind of product, a loop that reads memory, additions that
// count cycles, and a probe that any disturbance of a core makes slower. They
// take no time themselves: the caller has the clock.
//
// All loops may run on several threads at once, with memory of their own.
// None can be interrupted by Go's scheduler: keep a call under a millisecond.
//
// What was measured, and what to make of it, is package bench's.
package peak

//go:generate go -C ../../_gen run . -only internal/peak
