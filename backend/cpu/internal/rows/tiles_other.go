//go:build !amd64

package rows

func hasAVX512() bool { return false }

// These are never called.
func dropSmallAVX512([]float32, float32) uint32 { return 0 }

func tilesAVX512([]byte, []float32, *Halves) {}
