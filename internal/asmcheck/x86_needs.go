package asmcheck

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// use is what one instruction needs and touches.
type use struct {
	needs  []string // features beyond what every processor of the architecture has
	evex   bool     // an encoding, register or form of AVX-512
	sse    bool     // a legacy encoding that touches an X register
	avx    bool     // a VEX or EVEX encoding
	wide   bool     // touches a Y or Z register
	ret    bool
	zeroes bool // VZEROUPPER
}

var x86Register = regexp.MustCompile(`\b([XYZ])([0-9]|[12][0-9]|3[01])\b`)

// operands says which registers the operands of an amd64 instruction name.
type operands struct {
	x, y, z, mask, high bool // high: one of X16 to X31, or the wider ones of these numbers
}

func operandsOf(args []string) operands {
	var o operands
	for _, a := range args {
		for _, m := range x86Register.FindAllStringSubmatch(a, -1) {
			n, _ := strconv.Atoi(m[2])
			o.high = o.high || n >= 16
			o.x = o.x || m[1] == "X"
			o.y = o.y || m[1] == "Y"
			o.z = o.z || m[1] == "Z"
		}
		if len(a) == 2 && a[0] == 'K' && a[1] >= '0' && a[1] <= '7' {
			o.mask = true
		}
	}
	return o
}

// x86Use returns what an instruction of the Go assembler for amd64 needs.
func x86Use(op string, args []string) (use, error) {
	base, suffix, _ := strings.Cut(op, ".")
	if len(base) > 1 && base[0] == 'J' {
		args = nil // labels may look like registers
	}
	o := operandsOf(args)
	if need, ok := x86Scalar[base]; ok {
		u := use{ret: base == "RET", zeroes: base == "VZEROUPPER", sse: o.x, avx: base[0] == 'V'}
		if suffix != "" || o.y || o.z || o.mask || o.high {
			return use{}, fmt.Errorf("%s has no such form", op)
		}
		if need != "" {
			u.needs = []string{need}
		}
		return u, nil
	}
	v, ok := x86Vectors[base]
	if !ok {
		v, ok = x86Special(base, args)
	}
	if !ok {
		return use{}, fmt.Errorf("%w %s", errUnknown, base)
	}
	u := use{avx: true, wide: o.y || o.z}
	u.evex = suffix != "" || o.z || o.mask || o.high || v.vexX == "" && v.vexY == "" || evexOnly(base, args)
	need := v.evex
	switch {
	case u.evex:
	case o.y:
		need = v.vexY
	default:
		need = v.vexX
	}
	if need == "" {
		return use{}, fmt.Errorf("%s has no such form", op)
	}
	u.needs = []string{need}
	if u.evex && !v.scalar && !o.z {
		u.needs = append(u.needs, "AVX512VL")
	}
	return u, nil
}

// x86Special has the mnemonics whose VEX form depends on where the source is.
func x86Special(base string, args []string) (x86Vector, bool) {
	if len(args) == 0 {
		return x86Vector{}, false
	}
	memory := strings.Contains(args[0], "(")
	vector := x86Register.MatchString(args[0]) && !memory
	switch base {
	case "VBROADCASTSS", "VBROADCASTSD":
		v := x86Vector{"AVX", "AVX", "AVX512F", false}
		if !memory {
			v.vexX, v.vexY = "AVX2", "AVX2"
		}
		if base == "VBROADCASTSD" {
			v.vexX = ""
		}
		return v, true
	case "VPBROADCASTB", "VPBROADCASTW", "VPBROADCASTD", "VPBROADCASTQ":
		v := x86Vector{"AVX2", "AVX2", "AVX512F", false}
		if base == "VPBROADCASTB" || base == "VPBROADCASTW" {
			v.evex = "AVX512BW"
		}
		if !memory && !vector { // from a general register
			v.vexX, v.vexY = "", ""
		}
		return v, true
	}
	return x86Vector{}, false
}

// evexOnly reports forms of VEX instructions that only EVEX has: shifts of a
// memory operand by a constant.
func evexOnly(base string, args []string) bool {
	switch base {
	case "VPSLLW", "VPSLLD", "VPSLLQ", "VPSRLW", "VPSRLD", "VPSRLQ", "VPSRAW", "VPSRAD", "VPSLLDQ", "VPSRLDQ":
		return len(args) == 3 && strings.HasPrefix(args[0], "$") && strings.Contains(args[1], "(")
	}
	return false
}
