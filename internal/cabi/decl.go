package cabi

// Kind is the type of an argument or a result in C.
type Kind int

// The kinds that a shim's functions have. Values go through registers of 64
// bits: an I32 is widened by its sign.
const (
	Void Kind = iota
	I32       // int32_t
	I64       // int64_t
	Size      // size_t
	Ptr       // any pointer
)

// String returns the kind as C spells it.
func (k Kind) String() string {
	return [...]string{"void", "int32_t", "int64_t", "size_t", "pointer"}[k]
}

// Func is one function of a shim.
type Func struct {
	Name   string
	Result Kind
	Args   []Kind
}

// MaxArgs bounds the arguments of a function.
const MaxArgs = 12
