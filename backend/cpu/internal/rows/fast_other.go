//go:build !amd64

package rows

func hasAVX2() bool { return false }

func hasAVX512() bool { return false }

// fastRow is never called: no plan is fast.
func (p *Plan) fastRow(dst Dst, x, scratch []byte) int32 { return p.plainRow(dst, x, scratch) }

// Neither are these.
func dropSmallAVX512([]float32, float32) uint32 { return 0 }

func tilesAVX512([]byte, []float32, *Halves) {}
