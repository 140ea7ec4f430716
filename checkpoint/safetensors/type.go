package safetensors

import (
	"slices"
	"strings"

	"github.com/bitlane/bitlane/dtype"
)

// Type is an element type as a header spells it: "F32", "BF16", "I32".
type Type string

// The element types of the format.
const (
	BOOL       Type = "BOOL"
	F4         Type = "F4" // two elements in a byte
	F6E2M3     Type = "F6_E2M3"
	F6E3M2     Type = "F6_E3M2"
	U8         Type = "U8"
	I8         Type = "I8"
	F8E5M2     Type = "F8_E5M2"
	F8E4M3     Type = "F8_E4M3"
	F8E8M0     Type = "F8_E8M0"
	F8E4M3FNUZ Type = "F8_E4M3FNUZ"
	F8E5M2FNUZ Type = "F8_E5M2FNUZ"
	I16        Type = "I16"
	U16        Type = "U16"
	F16        Type = "F16"
	BF16       Type = "BF16"
	I32        Type = "I32"
	U32        Type = "U32"
	F32        Type = "F32"
	C64        Type = "C64"
	F64        Type = "F64"
	I64        Type = "I64"
	U64        Type = "U64"
)

// types is in the reference's order, which the writer sorts by, descending.
var types = [...]struct {
	name Type
	bits int
}{
	{BOOL, 8}, {F4, 4}, {F6E2M3, 6}, {F6E3M2, 6}, {U8, 8}, {I8, 8},
	{F8E5M2, 8}, {F8E4M3, 8}, {F8E8M0, 8}, {F8E4M3FNUZ, 8}, {F8E5M2FNUZ, 8},
	{I16, 16}, {U16, 16}, {F16, 16}, {BF16, 16}, {I32, 32}, {U32, 32}, {F32, 32},
	{C64, 64}, {F64, 64}, {I64, 64}, {U64, 64},
}

// Types lists every element type, in the order that the writer sorts by.
func Types() []Type {
	out := make([]Type, len(types))
	for i, t := range types {
		out[i] = t.name
	}
	return out
}

// typeNames lists the element types for a message.
func typeNames() string {
	var names []string
	for _, t := range Types() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

func (t Type) index() int {
	return slices.IndexFunc(types[:], func(e struct {
		name Type
		bits int
	}) bool {
		return e.name == t
	})
}

// Bits returns the bits of one element, 0 for an unknown type.
func (t Type) Bits() int {
	if i := t.index(); i >= 0 {
		return types[i].bits
	}
	return 0
}

// DType returns the floating-point type that t is, or false where package
// dtype has none.
func (t Type) DType() (dtype.DType, bool) {
	switch t {
	case F32:
		return dtype.F32, true
	case F16:
		return dtype.F16, true
	case BF16:
		return dtype.BF16, true
	}
	return dtype.Invalid, false
}

// TypeOf returns the element type that d is here, "" for one that is not valid.
func TypeOf(d dtype.DType) Type {
	switch d {
	case dtype.F32:
		return F32
	case dtype.F16:
		return F16
	case dtype.BF16:
		return BF16
	}
	return ""
}
