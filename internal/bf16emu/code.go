package bf16emu

import (
	"encoding/binary"
	"errors"
)

// site is one VDPBF16PS x, w, sum on Z registers.
type site struct {
	size   int // bytes
	sum, w int
	x      int    // register, -1: memory
	bcst   bool   // memory: one dword for all lanes
	xb     byte   // memory: the bits X and B of the prefix, as they are there
	rm     []byte // memory: ModRM and what follows it
}

var errForm = errors.New("a form of VDPBF16PS that is not emulated")

// decode reads the instruction at the start of code. found is false for any
// other one.
func decode(code []byte) (s site, found bool, err error) {
	if len(code) < 6 || code[0] != 0x62 || code[1]&0x0f != 2 || code[2]&0x87 != 6 || code[4] != 0x52 {
		return s, false, nil
	}
	if code[3]&0xe7 != 0x40 { // a mask, or another length
		return s, true, errForm
	}
	bit := func(b byte, at int) int { return int(^b >> at & 1) }
	mod, rm := code[5]>>6, int(code[5]&7)
	s.sum = bit(code[1], 4)<<4 | bit(code[1], 7)<<3 | int(code[5]>>3&7)
	s.w = bit(code[3], 3)<<4 | int(^code[2]>>3&15)
	s.x, s.bcst, s.size = -1, code[3]&0x10 != 0, 6
	if mod == 3 {
		s.x = bit(code[1], 6)<<4 | bit(code[1], 5)<<3 | rm
		if s.bcst || s.sum == s.x || s.sum == s.w {
			err = errForm
		}
		return s, true, err
	}
	if rm == 4 {
		s.size++
	}
	switch {
	case mod == 0 && rm == 5, rm == 4 && len(code) > 6 && code[6]&7 == 4 && bit(code[1], 5) == 0, s.sum == s.w:
		return s, true, errForm // relative to RIP, or to the stack
	case mod == 1:
		s.size++
	case mod == 2:
		s.size += 4
	}
	if len(code) < s.size {
		return s, true, errForm
	}
	s.xb, s.rm = code[1]&0x60, code[5:s.size]
	return s, true, nil
}

const (
	savedMXCSR = 192
	stack      = 256 // without the address to return to

	// Round to nearest, all exceptions masked, subnormal numbers are 0 when
	// they are read and when they are the result.
	mxcsr = 0x1f80 | 1<<6 | 1<<15
)

// assembler collects code for the address at.
type assembler struct {
	code []byte
	at   uint64
}

func (a *assembler) bytes(b ...byte) { a.code = append(a.code, b...) }

func (a *assembler) dword(v int) { a.code = binary.LittleEndian.AppendUint32(a.code, uint32(v)) }

// prefix is an EVEX prefix for Z registers; xb are its bits X and B.
func (a *assembler) prefix(opmap, pp byte, reg, v int, xb byte) {
	not := func(n, bit, at int) byte { return byte(1-n>>bit&1) << at }
	a.bytes(0x62, not(reg, 3, 7)|not(reg, 4, 4)|xb|opmap, byte(15-v&15)<<3|4|pp, 2<<5|not(v, 4, 3))
}

// registers is an instruction whose operands are all registers.
func (a *assembler) registers(opmap, pp, op byte, reg, v, rm int) {
	a.prefix(opmap, pp, reg, v, byte(1-rm>>4&1)<<6|byte(1-rm>>3&1)<<5)
	a.bytes(op, byte(3<<6|reg&7<<3|rm&7))
}

const map0F, map0F38, none, pp66 = 1, 2, 0, 1

// shift is VPSRLD or VPSLLD $16, from, to.
func (a *assembler) shift(left bool, from, to int) {
	digit := 2
	if left {
		digit = 6
	}
	a.registers(map0F, pp66, 0x72, digit, to, from)
	a.bytes(16)
}

// upper makes to the upper halves of from as float32, lower the lower ones.
func (a *assembler) upper(from, to int) {
	a.shift(false, from, to)
	a.shift(true, to, to)
}

func (a *assembler) lower(from, to int) { a.shift(true, from, to) }

// fma is VFMADD231PS y, x, sum.
func (a *assembler) fma(y, x, sum int) { a.registers(map0F38, pp66, 0xb8, sum, x, y) }

// saved moves Z register n to, or from, 64 bytes of the stack.
func (a *assembler) saved(op byte, n, slot int) {
	a.prefix(map0F, none, n, 0, 0x60)
	a.bytes(op, byte(1<<6|n&7<<3|4), 0x24, byte(slot))
}

// stackPointer is LEAQ n(SP), SP, which leaves the flags as they are.
func (a *assembler) stackPointer(n int) {
	a.bytes(0x48, 0x8d, 0xa4, 0x24)
	a.dword(n)
}

// emulate is the code that is called in the place of s. The word mxcsr lies at
// constant.
func (a *assembler) emulate(s site, constant uint64) {
	const load, store, broadcast, move = 0x10, 0x11, 0x58, 0x28
	var free []int
	for n := 0; len(free) < 3; n++ {
		if n != s.sum && n != s.w && n != s.x {
			free = append(free, n)
		}
	}
	left, right, x := free[0], free[1], free[2]
	a.stackPointer(-stack)
	a.bytes(0x0f, 0xae, 0x9c, 0x24) // STMXCSR
	a.dword(savedMXCSR)
	for slot, n := range free {
		a.saved(store, n, slot)
	}
	a.bytes(0x0f, 0xae, 0x15) // LDMXCSR, relative to what follows
	a.dword(int(int64(constant) - int64(a.at) - int64(len(a.code)) - 4))
	switch {
	case s.x >= 0:
		a.registers(map0F, none, move, x, 0, s.x)
	default:
		if s.bcst {
			a.prefix(map0F38, pp66, x, 0, s.xb)
			a.bytes(broadcast)
		} else {
			a.prefix(map0F, none, x, 0, s.xb)
			a.bytes(load)
		}
		a.bytes(s.rm[0]&^(7<<3) | byte(x&7<<3))
		a.bytes(s.rm[1:]...) // short displacements have the same units
	}
	a.upper(x, left)
	a.upper(s.w, right)
	a.fma(left, right, s.sum)
	a.lower(x, left)
	a.lower(s.w, right)
	a.fma(left, right, s.sum)
	for slot, n := range free {
		a.saved(load, n, slot)
	}
	a.bytes(0x0f, 0xae, 0x94, 0x24) // LDMXCSR
	a.dword(savedMXCSR)
	a.stackPointer(stack)
	a.bytes(0xc3)
}
