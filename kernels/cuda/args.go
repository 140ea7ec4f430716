package cuda

import "math"

// Kinds of number that a kernel learns at launch.
const (
	KindF16  = 0
	KindBF16 = 1
	KindF32  = 2
)

// LayerArgs are the arguments of Stream and Tile kernels, in the kernels' order.
// Pointers are device addresses, 0 where said; K, N, M and the like fit 31 bits.
type LayerArgs struct {
	X              uint64 // [M][XStride], 16-bit elements; Tile: 16-byte aligned
	XStride        int    // elements; Tile: a multiple of 8
	M, K, N, Np    int    // tokens; features of a row of x that exist; outputs; outputs padded to 32
	Units          int    // units of 32 packed features
	Weights        uint64 // bricks [Np/32][Units], 16-byte aligned
	Scales         uint64 // [groups][Np] of ScaleKind, 16-byte aligned
	ScaleKind      int
	Zeros          uint64 // int16 [groups][Np], 16-byte aligned; 0: all are Zero
	Zero           int
	UnitGroup      uint64 // int32 [Units]
	Map            uint64 // int32 [32·Units], 16-byte aligned, for kernels with Mapped; else 0
	Bias           uint64 // float32 [N], or 0
	Y              uint64 // [M][YStride] of YKind
	YStride, YKind int
	Sums           uint64 // float32 [slices][M][Np]; 0 if the grid has one slice
	Fine           bool   // scale each half of a unit on its own
	SliceUnits     int    // units of a slice, gridDim.y slices
	RunUnits       int    // Stream: units of a run, blockDim.y runs; RunUnits·runs ≥ SliceUnits
}

// Slots appends one 8-byte slot for each argument.
func (a *LayerArgs) Slots(dst []uint64) []uint64 {
	fine := uint64(0)
	if a.Fine {
		fine = 1
	}
	return append(dst, a.X, word(a.XStride), word(a.M), word(a.K), word(a.N), word(a.Np), word(a.Units), a.Weights, a.Scales,
		word(a.ScaleKind), a.Zeros, word(a.Zero), a.UnitGroup, a.Map, a.Bias, a.Y, word(a.YStride), word(a.YKind), a.Sums,
		fine, word(a.SliceUnits), word(a.RunUnits))
}

// FinishArgs are the arguments of the kernel "finish", in its order.
type FinishArgs struct {
	Sums           uint64 // as LayerArgs has it
	Slices         int
	M, N, Np       int
	Bias           uint64 // float32 [N], or 0
	Y              uint64
	YStride, YKind int
}

// Slots appends one 8-byte slot for each argument.
func (a *FinishArgs) Slots(dst []uint64) []uint64 {
	return append(dst, a.Sums, word(a.Slices), word(a.M), word(a.N), word(a.Np), a.Bias, a.Y, word(a.YStride), word(a.YKind))
}

// GatherArgs are the arguments of the kernel "gather", in its order.
type GatherArgs struct {
	X       uint64 // [M][XStride], 16-bit elements
	XStride int
	K       int    // features of a row of x; read without a Map only
	Units   int    // units of 32 packed features
	Map     uint64 // int32 [32·Units], 16-byte aligned; 0: x is padded and aligned, no more
	Out     uint64 // [M][32·Units], 16-byte aligned
}

// Slots appends one 8-byte slot for each argument.
func (a *GatherArgs) Slots(dst []uint64) []uint64 {
	return append(dst, a.X, word(a.XStride), word(a.K), word(a.Units), a.Map, a.Out)
}

// ExpandArgs are the arguments of the kernel "expand", in its order. It writes the
// grid's rows of bricks, 32 outputs each, from FirstRow on: as bricks of 16 bits,
// [rows][Units], or as rows of 32·Units features in packed order.
type ExpandArgs struct {
	Weights   uint64 // as LayerArgs has them, and all up to Units
	Scales    uint64
	ScaleKind int
	Zeros     uint64
	Zero      int
	UnitGroup uint64
	Np, Units int
	FirstRow  int
	Shrink    float32 // what each number is multiplied with besides: a power of two
	Out       uint64  // 16-byte aligned
	OutStride int     // 0: bricks; else elements from one output to the next, a multiple of 8
}

// ExpandUnits is how many units a block of "expand" writes.
const ExpandUnits = 32

// Slots appends one 8-byte slot for each argument.
func (a *ExpandArgs) Slots(dst []uint64) []uint64 {
	return append(dst, a.Weights, a.Scales, word(a.ScaleKind), a.Zeros, word(a.Zero), a.UnitGroup, word(a.Np), word(a.Units), word(a.FirstRow),
		uint64(math.Float32bits(a.Shrink)), a.Out, word(a.OutStride))
}

// word is a 32-bit argument in its slot.
func word(v int) uint64 { return uint64(uint32(int32(v))) }
