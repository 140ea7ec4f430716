package dtype

import (
	"fmt"
	"math"
)

// DType names an element type. The zero value is Invalid.
type DType uint8

// The element types.
const (
	Invalid DType = iota
	F32           // IEEE 754 binary32
	F16           // IEEE 754 binary16
	BF16          // bfloat16: the upper half of a binary32
)

// Size returns the bytes of one element, 0 for an invalid type.
func (d DType) Size() int {
	switch d {
	case F32:
		return 4
	case F16, BF16:
		return 2
	}
	return 0
}

// Valid reports whether d is one of the element types.
func (d DType) Valid() bool { return d >= F32 && d <= BF16 }

// String returns "float32", "float16" or "bfloat16".
func (d DType) String() string {
	switch d {
	case F32:
		return "float32"
	case F16:
		return "float16"
	case BF16:
		return "bfloat16"
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// Parse reads a type's name as config files and command lines spell it:
// "float32", "fp32", "f32", and likewise for float16, and "bfloat16", "bf16",
// each also with a leading "torch.". Case is ignored.
func Parse(s string) (DType, error) {
	switch lower(s) {
	case "float32", "fp32", "f32", "float":
		return F32, nil
	case "float16", "fp16", "f16", "half":
		return F16, nil
	case "bfloat16", "bf16":
		return BF16, nil
	}
	return Invalid, fmt.Errorf("dtype: unknown element type %q: want float32, float16 or bfloat16", s)
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	if len(b) > 6 && string(b[:6]) == "torch." {
		b = b[6:]
	}
	return string(b)
}

// UnmarshalText reads what MarshalText writes.
func (d *DType) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = Invalid
		return nil
	}
	t, err := Parse(string(text))
	if err == nil {
		*d = t
	}
	return err
}

// MarshalText writes the type's name, nothing for Invalid.
func (d DType) MarshalText() ([]byte, error) {
	if d == Invalid {
		return nil, nil
	}
	return []byte(d.String()), nil
}

// MaxFinite returns the largest finite value of d.
func (d DType) MaxFinite() float64 {
	switch d {
	case F32:
		return math.MaxFloat32
	case F16:
		return 65504
	case BF16:
		return 0x1.fep127
	}
	return 0
}

// SmallestNormal returns the smallest positive normal value of d.
func (d DType) SmallestNormal() float64 {
	switch d {
	case F32, BF16:
		return 0x1p-126
	case F16:
		return 0x1p-14
	}
	return 0
}

// Epsilon returns the distance from 1 to the next larger value of d.
func (d DType) Epsilon() float64 {
	switch d {
	case F32:
		return 0x1p-23
	case F16:
		return 0x1p-10
	case BF16:
		return 0x1p-7
	}
	return 0
}
