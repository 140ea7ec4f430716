//go:build cgo || !xpu

package xpucpu_test

// linked says that tests need no library of the shim.
const linked = true
