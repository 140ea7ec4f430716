//go:build amd64 || arm64

package cpu

import "example.com/good/backend/cpu/internal/asm"

// both runs one row twice; on arm64 it needs nothing.
//
//asmcheck:needs AVX2,FMA3,F16C
func both(c *asm.Call) {
	dotWide(c)
	dotWide(c)
}
