package driver

// Type is a type of elements, in oneDNN's numbers. 0 is none.
type Type int64

// The types of elements.
const (
	F16  Type = 1
	BF16 Type = 2
	F32  Type = 3
	S32  Type = 4
	S8   Type = 5
	U8   Type = 6
	S4   Type = 11
	U4   Type = 12
)

// Activations is what becomes of x.
type Activations int64

// The ways of x into the product.
const (
	Exact    Activations = 0 // as it is, turned into Compute
	TokenXPU Activations = 1 // rows to s8 by the recipe int8-token-xpu
	Token    Activations = 2 // rows to s8 by the recipe int8-token
)

// ZeroKind is how zero points of weights are given.
type ZeroKind int64

// The kinds of zero points.
const (
	NoZeros      ZeroKind = 0 // codes are the values
	ScalarZero   ZeroKind = 1 // one everywhere
	GroupedZeros ZeroKind = 2 // [K/Group, N] of ZeroType
)

// Plan is a linear layer as it is prepared,
//
//	y[m, n] = Σ_k x[m, k] · (w[k, n] − zero) · scale + bias[n]
//
// with weights that are contiguous along K. Columns of x from XCols on count
// as zeros.
type Plan struct {
	Activations   Activations
	X, Y, Compute Type // Compute: what x is turned into for Exact, else 0
	XCols         int  // 1 … K
	YCols         int  // 1 … N
	K, N          int
	Group         int  // divides K; K itself for one group
	Slice         int  // Exact: features of a sum in float32, which the next slice is added to; 0: K
	Weight        Type // U4, S8, or F32: plain weights, without scales and zero points
	Stride        int  // elements from one output's weights to the next one's
	Scale         Type // 0: none
	ZeroKind      ZeroKind
	ZeroType      Type // of GroupedZeros and ScalarZero
	Zero          int  // of ScalarZero
	Bias          Type // 0: none
	MaxRows       int
	Codes         bool // Quantize is wanted

	RefuseReference bool // ErrReference where oneDNN has nothing but a reference implementation
}
