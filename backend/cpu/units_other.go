//go:build !amd64 && !arm64

package cpu

// tiers is empty: all that is known of other architectures is Go.
var tiers []tier

// units is empty: there is no assembly for this architecture.
var units []*unit
