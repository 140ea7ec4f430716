//go:build !amd64 && !arm64

package rows

// isFast reports whether rows of an instruction set are made with assembly.
func (i ISA) isFast() bool { return false }

// fastRow is never called: no plan is fast.
func (p *Plan) fastRow(dst Dst, x, scratch []byte) int32 { return p.plainRow(dst, x, scratch) }
