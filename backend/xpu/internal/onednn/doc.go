// Package onednn binds package driver to oneDNN: through the shim of csrc/xpu,
// which package cabi reaches by cgo or, with CGO_ENABLED=0, loads as a library. Both
// have one path of calls. What it says where there is no oneDNN is untagged.
package onednn
