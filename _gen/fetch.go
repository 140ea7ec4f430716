package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func init() {
	register(asmDir, "fetch", `
Maths: none. It asks the memory for lines that are soon to be read.

Registers: AX next line, CX lines left
`, func(f *file) {
		f.function("Fetch", "p, lines uintptr",
			"Fetch asks for so many lines of 64 bytes from p on, for the second cache, and waits for none.",
			"They need not be there.")
		f.MOVQ(operand.NewParamAddr("p", 0), reg.RAX)
		f.MOVQ(operand.NewParamAddr("lines", 8), reg.RCX)
		f.TESTQ(reg.RCX, reg.RCX)
		f.JZ(operand.LabelRef("done"))
		f.Label("line")
		f.PREFETCHT1(at(reg.RAX, 0))
		f.ADDQ(operand.Imm(64), reg.RAX)
		f.DECQ(reg.RCX)
		f.JNZ(operand.LabelRef("line"))
		f.Label("done")
		f.RET()
	})
	register(asmDir, "fetch_rows", `
Maths: none. It asks the memory for lines that are soon to be written.

Registers: AX next line, BX from row to row, CX rows left
`, func(f *file) {
		f.function("FetchRows", "p unsafe.Pointer, step, rows uintptr",
			"FetchRows asks for the line at p, and for one of each of the other rows, step bytes after each other,",
			"for the second cache, and waits for none. They need not be there.")
		f.MOVQ(operand.NewParamAddr("p", 0), reg.RAX)
		f.MOVQ(operand.NewParamAddr("step", 8), reg.RBX)
		f.MOVQ(operand.NewParamAddr("rows", 16), reg.RCX)
		f.Label("row")
		f.PREFETCHT1(at(reg.RAX, 0))
		f.ADDQ(reg.RBX, reg.RAX)
		f.DECQ(reg.RCX)
		f.JNZ(operand.LabelRef("row"))
		f.RET()
	})
}
