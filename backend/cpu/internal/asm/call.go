package asm

import "unsafe"

// Block describes one block of every tile of a panel.
type Block struct {
	Lines    uint32 // of each segment, 64 bytes each
	Segments uint8  // 1..4
	Ends     uint8  // bit i: the integer sum ends with segment i; the last segment of a run of blocks ends
	Features uint16 // of each segment with its padding; read by kernels over unpacked panels
}

// Form says how the headers of blocks are written: a scale type and a kind of
// zero points, added.
type Form uint64

const (
	ScalesF32 Form = iota
	ScalesF16
	ScalesBF16
	ScalesNone // plain weights

	scaleMask Form = 3
)

const (
	// ZeroConstant is one zero point for all. For integer kernels Side holds
	// int32 corrections, −z·Σ(q−zp).
	ZeroConstant Form = iota << 2
	// ZeroBytes is a uint8 zero point for each segment and column. For integer
	// kernels Side holds int16 pairs (−Σq, 0).
	ZeroBytes
	// ZeroPairs is, for each segment and column, an int16 zero point and the
	// int16 sum of the segment's codes; Side holds int16 pairs
	// (−Σ(q−zp), −zp), each sum over the features that are not padding.
	ZeroPairs

	zeroMask Form = 3 << 2
)

// Zeros returns the kind of zero points alone.
func (f Form) Zeros() Form { return f & zeroMask }

// ZeroBytesOf returns the bytes that a zero point has in a block's header.
func (f Form) ZeroBytesOf() int { return [...]int{0, 1, 4, 0}[f&zeroMask>>2] }

// ScaleBytes returns the bytes that a scale has in a block's header.
func (f Form) ScaleBytes() int { return [...]int{4, 2, 2, 0}[f&scaleMask] }

// Beyond is the bytes behind the last line of packed weights that kernels may read,
// of unpacked ones they read none:
// those that look codes of 4 bits up read lines from their second, third and fourth byte on.
const Beyond = 3

// Call is what a kernel works on: as many rows of x as its name says, and one
// tile of 16 columns, or two, over a run of blocks. All lengths are bytes.
type Call struct {
	W      unsafe.Pointer // first block of the tile; 64-byte aligned; see Beyond
	WStep  uintptr        // to the next tile, for kernels of 32 columns
	X      unsafe.Pointer // row 0 at the first feature of the first block
	XStep  uintptr        // from row to row
	Blocks *Block
	Count  uintptr        // blocks, at least 1
	Side   unsafe.Pointer // integer kernels: [rows][segments] corrections, 4 bytes each
	Scales unsafe.Pointer // integer kernels: [rows][segments] float32, nil: none
	SStep  uintptr        // from row to row of Side and Scales
	Y      *float32       // [rows][16 or 32] sums, which the call adds to
	YStep  uintptr        // from row to row
	Form   Form
	Zero   uint64  // exact kernels but those of unpacked panels, integer kernels of 16-bit x, DotW4AMX and UnpackW4AMX: the zero point of ZeroConstant
	Ahead  uintptr // kernels of one tile of packed weights, exact ones of two: how far ahead of what they read they fetch, whether it is there or not; 0: nothing but that. Those for AVX2 of more than three rows have their own distance
	Next   uintptr // kernels of 512 bits for two tiles but those named Rows, and of VNNI for 4-bit codes and four rows, or those named DotS8 and ten: from where they fetch lines, whether there or not, for the second cache while they multiply; they move it on

	// Kernels of tiles alone: DotW4AMX, GemmW4AMX, DotP4AMX, DotW8AMX, GemmAMX and GemmBF16AMX, and of each
	// another whose name ends in x2: it is of an even number of tiles of W, and of segments that all end
	// sums; so are DotW4AMXx3 and GemmW4AMXx3. The x of their segments is whole multiples of TileBytes, 64 or
	// 32; of those named Gemm 64. X is in tiles of 16 rows: so many bytes of each, then the next features
	// of the same rows; XStep is a 16th of the bytes from 16 rows to the next. Y, Side and Scales are as
	// for others, but that there are Tiles times 16 columns, WStep bytes from one tile of W to the next,
	// that DotP4AMX reads Side of ZeroPairs alone, DotW4AMX not that of ZeroConstant, those named Gemm
	// neither Side nor Scales, and but for those of W4 not Form.
	//
	// Rows are up to MostTileRows, of those named x3 33 to 48. Kernels of neither name have up to 16 or a multiple of
	// that; all do as they like with what X, Y, Side and Scales have beyond Rows up to the next multiple.
	Rows  uintptr
	Spare unsafe.Pointer // TileSpare of Tiles and all segments, 64-byte aligned
	// What is read soon, and SoonStep bytes behind it, 0: nothing: Share lines of both are fetched
	// with each sum of 16 rows by 16 columns, with GemmAMX and GemmBF16AMX with each tile of x that is
	// multiplied, with those named x2 twice with each two, from as far behind for each two tiles of W, whether they are there or not. UnpackW4AMX
	// and UnpackPairsW8AMX fetch from Soon on, too. DotW4AMX, GemmW4AMX, and DotW8AMX without a Share,
	// fetch the lines of each tile of columns, those of W4 named x2 or x3 of each two, with those of the
	// one before, and from Soon on with those of the last.
	Soon, SoonStep, Share uintptr

	Tiles, TileBytes uintptr

	// The first and the number of segments that are multiplied, or that UnpackPairsW8AMX
	// unpacks, of one block whose segments all end sums. X, Side and Scales are at the first. None, as always for GemmW4AMX and those of W4 named x2 or x3: all of all blocks.
	First, Segments uintptr

	// DotW4AMX, which can have parts of blocks and tiles of 32 features, too, though no layer asks
	// it to, and GemmW4AMX, and those named x2 or x3 of both: where each tile of weights of the call begins in a tile of columns, in bytes
	// from W on, and how many there are. GemmW4AMX has two numbers for each: the first, a multiple of 64, has
	// in its lowest bits how many lines lie from one of the tile's four to the next; the other is where
	// zero points of its segment are.
	Places     *uint32
	PlaceCount uintptr

	// Exact kernels of 512 bits named Rows: how far what they fetch goes on with each line of 64 bytes
	// that they read, and with a header of as many bytes in proportion. Less than 64 where several calls
	// read the same lines, and each fetches a share; more would leave out lines.
	Pace uintptr
}

// Pass moves the call on by n rows: X, and Side and Scales where there are some. It has more rows than n, and they
// are not in tiles.
func (c *Call) Pass(n uintptr) {
	c.X = unsafe.Add(c.X, n*c.XStep)
	if c.Side != nil {
		c.Side = unsafe.Add(c.Side, n*c.SStep)
	}
	if c.Scales != nil {
		c.Scales = unsafe.Add(c.Scales, n*c.SStep)
	}
}

// MostTileRows is the most rows of a call of kernels of tiles, TileRows how many go
// together and TileBytes the most bytes of each of them that do; TilePairs is the features
// of these where x is bfloat16.
const (
	TileRows     = 16
	TileBytes    = 64
	TilePairs    = TileBytes / 2
	MostTileRows = 16 * TileRows

	// LeastInTiles is what x by codes counts as 0 below. Tiles of bfloat16 take subnormal numbers for 0,
	// and vectors must do as they do. With codes they do without being told, as no subnormal number comes
	// about: each product of x, or of a part of it, with an integer, and each sum of them, is a multiple
	// of the smallest normal float32, or 0.
	LeastInTiles = 0x1p-119
)

// TileSpare is the bytes of Call.Spare for so many tiles of W and segments: twelve tiles
// of sums and corrections, four of weights, a configuration, and the scales and zeros
// of each segment.
func TileSpare(tiles, segments int) int {
	return (3+1)*4*TileRows*64 + 64 + tiles*segments*128
}
