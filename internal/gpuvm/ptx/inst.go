package ptx

// lanes is the number of threads of a warp; full has their bits.
const (
	lanes = 32
	full  = ^uint32(0)
)

// A vreg is one register of all lanes of a warp. Bits above the register's
// width are zero.
type vreg = [lanes]uint64

// An execFn executes one instruction for the lanes in w.active.
type execFn func(w *warp, in *inst)

// A propFn gives the undefined bits of a result from the values and undefined
// bits of the sources; nil means all of them.
type propFn func(in *inst, v, u *[3]uint64) uint64

// An inst is a decoded instruction. Operands are indexes into the warp's
// registers; immediates have become registers of constants.
type inst struct {
	exec     execFn
	f1       func(a uint64) uint64
	f2       func(a, b uint64) uint64
	f3       func(a, b, c uint64) uint64
	cmp      func(a, b uint64) bool
	prop     propFn
	d, a     int32
	b, c     int32
	p, q     int32 // predicates beside the operands; -1: none
	pNot     bool
	guard    int32 // -1: none
	guardNot bool
	width    uint8 // bits of the result
	yields   bool  // a good place to switch warps
	target   int32
	reconv   int32 // where the sides of a branch meet; -1: at the exit
	line     int32
	index    int32 // in the entry
	imm      int64
	dv       []int32
	av, bv   []int32
	cv       []int32
	targets  []int32
	mem      *memInfo
	mma      *mmaInfo
	text     string
	flow     flow
	typ      Type
	boolop   uint8
}

type flow uint8

const (
	straight flow = iota
	branch
	branchTable
	exit
)
