//go:build !linux || !amd64

package amx

// Allowed reports whether the process may use tiles: only Linux is known to give
// them.
func Allowed() bool { return false }
