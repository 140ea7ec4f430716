package ptx

// A Type is a PTX fundamental or packed type.
type Type uint8

// The types that registers, parameters and instructions have here.
const (
	NoType Type = iota
	B8
	B16
	B32
	B64
	U8
	U16
	U32
	U64
	S8
	S16
	S32
	S64
	F16
	BF16
	F16x2
	BF16x2
	F32
	F64
	Pred
)

type class uint8

const (
	untyped class = iota
	unsigned
	signed
	float
	predicate
)

var typeInfo = [...]struct {
	name  string
	size  int
	class class
}{
	NoType: {"", 0, untyped},
	B8:     {"b8", 1, untyped}, B16: {"b16", 2, untyped}, B32: {"b32", 4, untyped}, B64: {"b64", 8, untyped},
	U8: {"u8", 1, unsigned}, U16: {"u16", 2, unsigned}, U32: {"u32", 4, unsigned}, U64: {"u64", 8, unsigned},
	S8: {"s8", 1, signed}, S16: {"s16", 2, signed}, S32: {"s32", 4, signed}, S64: {"s64", 8, signed},
	F16: {"f16", 2, float}, BF16: {"bf16", 2, float}, F16x2: {"f16x2", 4, float}, BF16x2: {"bf16x2", 4, float},
	F32: {"f32", 4, float}, F64: {"f64", 8, float}, Pred: {"pred", 0, predicate},
}

// Size gives the bytes of a value in memory; 0 for Pred.
func (t Type) Size() int { return typeInfo[t].size }

// String gives the name as PTX writes it, without the dot.
func (t Type) String() string { return typeInfo[t].name }

func (t Type) class() class { return typeInfo[t].class }
func (t Type) width() uint  { return uint(t.Size()) * 8 }

func (t Type) signed() bool { return t.class() == signed }

var typeByName = func() map[string]Type {
	m := map[string]Type{}
	for t := B8; t <= Pred; t++ {
		m[t.String()] = t
	}
	return m
}()

// fits says whether a register declared as reg may be an operand of type op:
// sizes are equal, or the register is wider where wide is set (ld, st, cvt), and
// an integer instruction takes no float register nor the reverse.
func fits(reg, op Type, wide bool) bool {
	if reg == Pred || op == Pred {
		return reg == op
	}
	if reg.Size() != op.Size() && !(wide && reg.Size() > op.Size()) {
		return false
	}
	a, b := reg.class(), op.class()
	return a == untyped || b == untyped || (a == float) == (b == float) && (a != float || reg == op)
}

// mask has the low n bits set, n from 0 to 64.
func mask(n uint) uint64 {
	if n >= 64 {
		return ^uint64(0)
	}
	return 1<<n - 1
}

// extend reads the low n bits of v as a signed number.
func extend(v uint64, n uint) int64 { return int64(v<<(64-n)) >> (64 - n) }
