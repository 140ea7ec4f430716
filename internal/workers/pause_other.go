//go:build !amd64 && !arm64

package workers

// pause takes a moment.
//
//go:noinline
func pause() {}
