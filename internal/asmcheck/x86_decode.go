package asmcheck

import (
	"encoding/binary"
	"fmt"
)

// x86Encoding is an instruction that the Go assembler cannot spell. All take
// three operands, or two where one is said to be unused.
type x86Encoding struct {
	name    string
	evex    bool
	prefix  byte // the field pp: 1 is 66, 2 is F3, 3 is F2
	opcode  byte // in the map 0F38, with W = 0
	two     bool // the field vvvv is unused, and the result is half as wide
	feature string
}

var x86Encodings = []x86Encoding{
	{"VPDPBUSD", false, 1, 0x50, false, "AVXVNNI"},
	{"VPDPBUSDS", false, 1, 0x51, false, "AVXVNNI"},
	{"VPDPWSSD", false, 1, 0x52, false, "AVXVNNI"},
	{"VPDPWSSDS", false, 1, 0x53, false, "AVXVNNI"},
	{"VDPBF16PS", true, 2, 0x52, false, "AVX512BF16"},
	{"VCVTNE2PS2BF16", true, 3, 0x72, false, "AVX512BF16"},
	{"VCVTNEPS2BF16", true, 2, 0x72, true, "AVX512BF16"},
}

// x86Fields are the fields of a VEX or EVEX prefix that the encodings use,
// with the inverted ones turned back.
type x86Fields struct {
	evex            bool
	r, x, b         int // high bits of ModRM.reg, SIB.index and ModRM.rm or SIB.base
	reg16, vvvv     int // EVEX: bit 4 of ModRM.reg; the whole second source
	opmap, pp, w, l byte
	broadcast       bool
}

// x86Decode decodes bytes as one of x86Encodings, strictly: every field must
// have the value that the assembler would give it.
func x86Decode(code []byte) (instr, use, error) {
	f, rest, err := x86Prefix(code)
	if err != nil {
		return instr{}, use{}, err
	}
	if f.opmap != 2 || f.w != 0 {
		return instr{}, use{}, fmt.Errorf("map %d with W %d: only map 0F38 with W 0 is known", f.opmap, f.w)
	}
	if len(rest) < 2 {
		return instr{}, use{}, fmt.Errorf("ends too soon")
	}
	if isTile(f, rest[0]) {
		return x86DecodeTile(f, rest[0], rest[1:])
	}
	for _, e := range x86Encodings {
		if e.evex == f.evex && e.prefix == f.pp && e.opcode == rest[0] {
			return e.decode(f, rest[1:])
		}
	}
	return instr{}, use{}, fmt.Errorf("opcode %#02x with prefix %d is not one of those that are written by hand", rest[0], f.pp)
}

func (e x86Encoding) decode(f x86Fields, rest []byte) (instr, use, error) {
	bits := 128 << f.l
	source := bits // bytes of memory are loaded for this width
	if f.broadcast {
		source = 32
	}
	rm, memory, err := x86Operand(f, rest, bits, source/8)
	if err != nil {
		return instr{}, use{}, err
	}
	if !memory && f.broadcast {
		return instr{}, use{}, fmt.Errorf("the broadcast bit with a register")
	}
	reg := f.reg16<<4 | f.r<<3 | int(rest[0]>>3&7)
	in := instr{op: e.name}
	if e.two {
		if f.vvvv != 0 {
			return instr{}, use{}, fmt.Errorf("the unused register field is %d", f.vvvv)
		}
		in.args = []string{rm, x86Vreg(max(bits/2, 128), reg)}
		if memory && bits < 512 {
			in.op += map[int]string{128: "X", 256: "Y"}[bits]
		}
	} else {
		in.args = []string{rm, x86Vreg(bits, f.vvvv), x86Vreg(bits, reg)}
	}
	if f.broadcast {
		in.op += ".BCST"
	}
	u := use{needs: []string{e.feature}, evex: e.evex, avx: true, wide: bits > 128}
	if e.evex && bits < 512 {
		u.needs = append(u.needs, "AVX512VL")
	}
	return in, u, nil
}

func x86Vreg(bits, n int) string {
	return fmt.Sprintf("%s%d", map[int]string{128: "X", 256: "Y", 512: "Z"}[bits], n)
}

// x86Prefix reads a three-byte VEX or a four-byte EVEX prefix.
func x86Prefix(c []byte) (f x86Fields, rest []byte, err error) {
	bit := func(b byte, i int) int { return int(b >> i & 1) }
	switch {
	case len(c) > 3 && c[0] == 0xc4:
		f = x86Fields{opmap: c[1] & 0x1f, pp: c[2] & 3, w: c[2] >> 7, l: c[2] >> 2 & 1}
		f.r, f.x, f.b = 1-bit(c[1], 7), 1-bit(c[1], 6), 1-bit(c[1], 5)
		f.vvvv = int(^c[2] >> 3 & 15)
		return f, c[3:], nil
	case len(c) > 4 && c[0] == 0x62:
		if c[1]&8 != 0 || c[2]&4 == 0 {
			return f, nil, fmt.Errorf("reserved bits of the EVEX prefix have the wrong value")
		}
		if c[3]&0x87 != 0 {
			return f, nil, fmt.Errorf("a mask or zeroing: not decoded")
		}
		f = x86Fields{evex: true, opmap: c[1] & 7, pp: c[2] & 3, w: c[2] >> 7, l: c[3] >> 5 & 3, broadcast: c[3]&0x10 != 0}
		if f.l == 3 {
			return f, nil, fmt.Errorf("reserved vector length")
		}
		f.r, f.x, f.b = 1-bit(c[1], 7), 1-bit(c[1], 6), 1-bit(c[1], 5)
		f.reg16 = 1 - bit(c[1], 4)
		f.vvvv = int(^c[2]>>3&15) | (1-bit(c[3], 3))<<4
		return f, c[4:], nil
	}
	return f, nil, fmt.Errorf("neither a three-byte VEX nor an EVEX prefix")
}

var x86General = [16]string{"AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"}

// x86Operand reads the operand of ModRM.rm: a vector register of the given
// width, or memory. unit is what EVEX multiplies one-byte displacements by.
// Nothing may follow, and the displacement must have its shortest form.
func x86Operand(f x86Fields, c []byte, bits, unit int) (text string, memory bool, err error) {
	mod, rm := c[0]>>6, int(c[0]&7)
	c = c[1:]
	if mod == 3 {
		if len(c) != 0 {
			return "", false, fmt.Errorf("%d bytes too many", len(c))
		}
		n := f.b<<3 | rm
		if f.evex {
			n |= f.x << 4
		} else if f.x != 0 {
			return "", false, fmt.Errorf("the bit for an index with a register")
		}
		return x86Vreg(bits, n), false, nil
	}
	base, index := f.b<<3|rm, ""
	if rm == 4 {
		if len(c) == 0 {
			return "", true, fmt.Errorf("ends too soon")
		}
		sib := c[0]
		c = c[1:]
		base = f.b<<3 | int(sib&7)
		if i := f.x<<3 | int(sib>>3&7); i != 4 {
			index = fmt.Sprintf("(%s*%d)", x86General[i], 1<<(sib>>6))
		} else if sib>>6 != 0 {
			return "", true, fmt.Errorf("a scale without an index")
		} else if base&7 != 4 {
			return "", true, fmt.Errorf("a SIB byte that is not needed")
		}
	} else if f.x != 0 {
		return "", true, fmt.Errorf("the bit for an index without an index")
	}
	if mod == 0 && base&7 == 5 {
		return "", true, fmt.Errorf("an address without a base register")
	}
	disp, err := x86Displacement(f.evex, mod, base, c, unit)
	if err != nil {
		return "", true, err
	}
	if disp != 0 {
		text = fmt.Sprint(disp)
	}
	return text + "(" + x86General[base] + ")" + index, true, nil
}

func x86Displacement(evex bool, mod byte, base int, c []byte, unit int) (int, error) {
	if want := [3]int{0, 1, 4}[mod]; len(c) != want {
		return 0, fmt.Errorf("%d bytes where a displacement of %d is due", len(c), want)
	}
	if !evex {
		unit = 1
	}
	switch mod {
	case 1:
		d := int(int8(c[0])) * unit
		if d == 0 && base&7 != 5 {
			return 0, fmt.Errorf("a displacement of 0 written out")
		}
		return d, nil
	case 2:
		d := int(int32(binary.LittleEndian.Uint32(c)))
		if d%unit == 0 && d/unit == int(int8(d/unit)) {
			return 0, fmt.Errorf("a long displacement of %d where a short one would do", d)
		}
		return d, nil
	}
	return 0, nil
}
