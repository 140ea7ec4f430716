// Package driver is what the backend asks of oneDNN: the library, engines,
// streams, memory and prepared linear layers. It mirrors the flat ABI of
// csrc/xpu, whose header says what each call does; the binding over
// internal/cabi is package onednn, and tests have a stand-in.
//
// A device pointer is a number, so that pointer + offset names a part of
// memory. Nothing here counts or locks: package device does.
package driver
