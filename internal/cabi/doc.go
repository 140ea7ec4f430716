// Package cabi calls the C shims of csrc. A shim's functions are in one table,
// whichever way they came into the process:
//
//   - linked by cgo, where the binary is built with cgo and the shim's tag;
//   - loaded from libbitlane_<name>.so (make csrc) with CGO_ENABLED=0, by Load;
//
// and there is one way to call them, Table.Call, which allocates nothing.
//
// Package abicheck compares a shim's C header with its declarations in Go, which
// are in a package of their own: cabi/xpu.
//
// What may not enter: anything about one vendor, and purego outside of files
// with a shim's tag. A build without tags links no dynamic loader.
package cabi
