//go:build !amd64 && !arm64

package cpu

// units is empty: there is no assembly for this architecture.
var units []*unit
