package asmcheck

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/arch/arm64/arm64asm"
)

// armEncoding is an instruction on vectors that the decoder of x/arch does not
// know. Vd is bits 0..4, Vn bits 5..9, and Vm bits 16..20.
type armEncoding struct {
	name        string
	mask, value uint32
	d, n, m     string // arrangements; "T4" and the like stand for a pair that bit 30, Q, chooses from
	indexed     bool   // Vm is an element, its index in bits 11 (high) and 21
	feature     string
}

// Arrangements that bit 30 chooses from, for Q = 0 and 1.
var armByQ = map[string][2]string{"S": {"2s", "4s"}, "B": {"8b", "16b"}, "H": {"4h", "8h"}}

const (
	armThree = 0xffe0fc00 // all but the three registers
	armLanes = armThree &^ (1 << 30)
	armTwo   = 0xfffffc00
	armIndex = 0xbfc0f400 // all but Q, L, Rm with its high bit, H, and two registers
	armFull  = armIndex | 1<<30
)

var armEncodings = []armEncoding{
	{"sdot", armLanes, 0x0e809400, "S", "B", "B", false, "ASIMDDP"},
	{"udot", armLanes, 0x2e809400, "S", "B", "B", false, "ASIMDDP"},
	{"sdot", armIndex, 0x0f80e000, "S", "B", "4b", true, "ASIMDDP"},
	{"udot", armIndex, 0x2f80e000, "S", "B", "4b", true, "ASIMDDP"},
	{"usdot", armLanes, 0x0e809c00, "S", "B", "B", false, "I8MM"},
	{"usdot", armIndex, 0x0f80f000, "S", "B", "4b", true, "I8MM"},
	{"sudot", armIndex, 0x0f00f000, "S", "B", "4b", true, "I8MM"},
	{"smmla", armThree, 0x4e80a400, "4s", "16b", "16b", false, "I8MM"},
	{"ummla", armThree, 0x6e80a400, "4s", "16b", "16b", false, "I8MM"},
	{"usmmla", armThree, 0x4e80ac00, "4s", "16b", "16b", false, "I8MM"},
	{"bfdot", armLanes, 0x2e40fc00, "S", "H", "H", false, "BF16"},
	{"bfdot", armIndex, 0x0f40f000, "S", "H", "2h", true, "BF16"},
	{"bfmmla", armThree, 0x6e40ec00, "4s", "8h", "8h", false, "BF16"},
	{"bfmlalb", armThree, 0x2ec0fc00, "4s", "8h", "8h", false, "BF16"},
	{"bfmlalt", armThree, 0x6ec0fc00, "4s", "8h", "8h", false, "BF16"},
	{"bfcvtn", armTwo, 0x0ea16800, "4h", "4s", "", false, "BF16"},
	{"bfcvtn2", armTwo, 0x4ea16800, "8h", "4s", "", false, "BF16"},
}

func (e armEncoding) decode(w uint32) instr {
	q := w >> 30 & 1
	reg := func(n uint32, arrangement string) string {
		if by, ok := armByQ[arrangement]; ok {
			arrangement = by[q]
		}
		return fmt.Sprintf("v%d.%s", n&31, arrangement)
	}
	args := []string{reg(w, e.d), reg(w>>5, e.n)}
	switch {
	case e.indexed:
		args = append(args, fmt.Sprintf("%s[%d]", reg(w>>16, e.m), w>>10&2|w>>21&1))
	case e.m != "":
		args = append(args, reg(w>>16, e.m))
	}
	return instr{op: e.name, args: args}
}

// armDecode decodes one instruction to the syntax of Arm's manual.
func armDecode(code []byte) (instr, use, error) {
	if len(code) != 4 {
		return instr{}, use{}, fmt.Errorf("%d bytes where an instruction has 4", len(code))
	}
	w := binary.LittleEndian.Uint32(code)
	for _, e := range armEncodings {
		if w&e.mask == e.value {
			return e.decode(w), use{needs: []string{e.feature}}, nil
		}
	}
	in, err := arm64asm.Decode(code)
	if err != nil {
		return instr{}, use{}, fmt.Errorf("%#08x is not an instruction that the decoders know", w)
	}
	op, args, _ := strings.Cut(arm64asm.GNUSyntax(in), " ")
	out := instr{op: op, args: splitArgs(args)}
	u, err := armManualUse(out)
	return out, u, err
}
