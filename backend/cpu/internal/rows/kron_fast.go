//go:build amd64 || arm64

package rows

import (
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
)

// fastApply is quant.Transform.Apply. It returns the transformed row, float32
// values followed by zeros to a multiple of 64 bytes, and the scratch after it.
//
//asmcheck:needs AVX2,FMA3,F16C
func (k *kron) fastApply(xt dtype.DType, x, scratch []byte) (out, rest []byte) {
	n := k.L * k.R
	out, scratch = cut(scratch, align(n*4))
	between, scratch := cut(scratch, panels(k.R)*k.L*panelBytes)
	last, rest := cut(scratch, k.L*panelBytes)

	wide := view[float32](out, n)
	if whole := n / step; whole > 0 {
		rowWiden(&wide[0], &x[0], uintptr(whole), uintptr(elementOf(xt)))
	}
	for i := n / step * step; i < n; i++ {
		wide[i] = xt.At(x, i)
	}
	clear(out[n*4:])

	panel := uintptr(k.L * panelBytes) // of what is in between
	p := asm.Product{CStep: panelBytes, A: &wide[0], AStep: uintptr(k.R) * 4, K: uintptr(k.R), Rows: uintptr(k.L)}
	p.CNext, p.BNext = panel, uintptr(k.R*panelBytes)
	for j := 0; j < panels(k.R); {
		p.C = first(between[j*int(panel):])
		p.B = &k.p2[j*k.R*panelColumns]
		j += k.fastProduct(&p, panels(k.R)-j)
	}
	if xt != dtype.F32 {
		rowRound(first(between), steps(between), uintptr(elementOf(xt)))
	}

	p = asm.Product{CStep: uintptr(k.R) * 4, A: &k.P1[0], AStep: uintptr(k.L) * 4, K: uintptr(k.L), Rows: uintptr(k.L)}
	p.CNext, p.BNext = panelBytes, panel
	j, whole := 0, k.R/panelColumns
	for j < whole {
		p.C = first(out[j*panelBytes:])
		p.B = first(between[j*int(panel):])
		j += k.fastProduct(&p, whole-j)
	}
	if columns := k.R - whole*panelColumns; columns > 0 {
		p.C, p.CStep = first(last), panelBytes
		p.B = first(between[j*int(panel):])
		k.fastProduct(&p, 1)
		for i := range k.L {
			copy(out[(i*k.R+whole*panelColumns)*4:][:columns*4], last[i*panelBytes:])
		}
	}
	rowRound(first(out), steps(out), uintptr(asm.ElementF16))
	return out, rest
}

func first(b []byte) *float32 { return (*float32)(unsafe.Pointer(&b[0])) }

// steps is the steps of float32 in b.
func steps(b []byte) uintptr { return uintptr(len(b) / (4 * step)) }
