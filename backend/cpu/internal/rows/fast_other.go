//go:build !amd64

package rows

func hasAVX2() bool { return false }

func hasAVX512() bool { return false }

// fastRow is never called: no plan is fast.
func (p *Plan) fastRow(dst Dst, x, scratch []byte) int32 { return p.plainRow(dst, x, scratch) }
