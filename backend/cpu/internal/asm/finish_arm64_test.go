package asm

import (
	"testing"

	"github.com/bitlane/bitlane/dtype"
)

func TestFinishNEON(t *testing.T) {
	testFinish(t, map[dtype.DType]func(*Output){dtype.F32: FinishF32NEON, dtype.F16: FinishF16NEON, dtype.BF16: FinishBF16NEON})
}
