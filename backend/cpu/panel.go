package cpu

import (
	"math"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

const (
	tileColumns = 16 // outputs in a tile of a panel
	lineBytes   = 64 // the unit of a panel
	lineUnit    = 8  // features that segments are whole multiples of
	inBlock     = 4  // most segments of a block

	blockFeatures = 2 * runFeatures // most of a block, unless a segment is longer; a run is a block or more
)

// panelKind says which kernels read a panel.
type panelKind uint8

const (
	bytePanel  panelKind = iota // x as int8 codes
	wordPanel                   // x as int16 codes minus zero point
	floatPanel                  // x as float32
	pairPanel                   // the same panel, x as pairs of bfloat16
	tilePanel                   // the same but for segments of whole tiles, parts of x as float32 for a few rows and on tiles as pairs
)

// exact says that x is not codes.
func (k panelKind) exact() bool { return k >= floatPanel }

// pairs says that x is bfloat16, and multiplied as that.
func (k panelKind) pairs() bool { return k == pairPanel || k == tilePanel }

// unit is the features that segments are padded to a multiple of.
func (k panelKind) unit() int {
	if k == tilePanel {
		return asm.TilePairs
	}
	return lineUnit
}

// Lengths of sums in features. A longer group is several sums, each rounded
// and scaled: the depth stays small, and a run of blocks fits a cache.
const (
	longestSum   = 512 // of integers: 255·255·512 is far below 2^31
	longestPair  = 128 // under one correction as int16: 255·128 < 2^15
	longestChain = 128 // of exact products
)

// chainOf returns the longest chain of exact products for which the depth of
// all sums, chain + segments + 1, is below K/8 + 32 whatever K is.
func chainOf(k int) int {
	switch {
	case k >= 1024:
		return longestChain
	case k >= 512:
		return longestChain / 2
	}
	return longestChain / 4
}

// piece is a segment of a panel: features [lo, hi) in packed order.
type piece struct {
	lo, hi int32
	group  int32 // weight group
	at     int32 // where it begins in a prepared row
	ends   bool  // the integer sum ends with it
}

// panel places the packed weights of a Spec as the assembly kernels read them;
// package asm has the picture. It depends on the Spec alone.
type panel struct {
	kind     panelKind
	n, k     int
	bits     int         // of a code in a line, 4 or 8; 0: plain
	plain    dtype.DType // of plain weights
	form     asm.Form
	zero     int // the zero point, where form says that it is one
	zeroMost int // the largest
	perLine  int // features in a line

	pieces       []piece
	blocks       []asm.Block
	first        []int32 // each block's first piece, and the number of pieces
	offset       []int   // each block's first byte in a tile, and the bytes of a tile
	padded       int     // features of a prepared row
	parts        int     // rows of kernels that a row of x is: on tilePanel the bfloat16 that its values are sums of, or one
	tileFeatures int     // features of the tiles on which AMX multiplies many rows; 0: it does not
}

func newPanel(kind panelKind, s *backend.Spec) *panel {
	p := &panel{kind: kind, n: s.N, k: s.K, plain: s.Plain, form: panelForm(kind, s), zero: s.ZeroMin, zeroMost: s.ZeroMax}
	switch {
	case s.Plain.Valid():
		p.perLine = 4 / s.Plain.Size()
	case s.Bits <= 4:
		p.bits, p.perLine = 4, 8
	default:
		p.bits, p.perLine = 8, 4
	}
	if p.parts = 1; kind == tilePanel {
		p.parts = max(1, rows.PartsOf(s.X))
	}
	p.cut(s)
	p.stack()
	return p
}

// zerosFit reports whether all zero points are bytes.
func zerosFit(s *backend.Spec) bool { return s.ZeroMin >= 0 && s.ZeroMax <= math.MaxUint8 }

func panelForm(kind panelKind, s *backend.Spec) asm.Form {
	if s.Plain.Valid() {
		return asm.ScalesNone
	}
	form := asm.ScalesF32
	switch s.Scales {
	case dtype.F16:
		form = asm.ScalesF16
	case dtype.BF16:
		form = asm.ScalesBF16
	}
	switch {
	case kind == bytePanel && s.Recipe.Kind == quant.Int8TokenAsym:
		return form | asm.ZeroPairs
	case s.ZeroMin != s.ZeroMax:
		return form | asm.ZeroBytes
	}
	return form | asm.ZeroConstant
}

// cut divides K into pieces: each is of one weight group and one activation
// group and not longer than a sum.
func (p *panel) cut(s *backend.Spec) {
	sum, short := longestSum, longestSum
	switch {
	case p.kind == tilePanel:
		sum, short = longestChain, longestChain
	case p.kind.exact():
		sum = chainOf(p.k)
		short = sum
	case p.kind == bytePanel && p.form.ZeroBytesOf() > 0:
		short = longestPair
	}
	run := s.Recipe.ActGroup()
	if run == 0 {
		run = p.k
	}
	group := func(g, lo, hi int) {
		for from := lo; from < hi; from += run {
			end := min(hi, from+run)
			stop := min(end, from+sum)
			for at := from; at < end; {
				to := min(stop, at+short)
				p.pieces = append(p.pieces, piece{lo: int32(at), hi: int32(to), group: int32(g), ends: to == stop})
				if at = to; at == stop {
					stop = min(end, at+sum)
				}
			}
		}
	}
	if s.Plain.Valid() {
		group(0, 0, p.k)
		return
	}
	for g := range s.Groups.Count {
		group(g, s.Groups.Bound(g, p.k), s.Groups.Bound(g+1, p.k))
	}
}

// stack puts the pieces into blocks, up to four of equal length in each. A
// shorter one is padded where that takes fewer bytes than a block of its own.
func (p *panel) stack() {
	header := p.header()
	bytes := func(features int) int { return features / p.perLine * lineBytes }
	features := 0 // since sums last ended with a block
	for i := 0; i < len(p.pieces); {
		longest, n := 0, 0
		for n < inBlock && i+n < len(p.pieces) {
			size := p.pieces[i+n].padded(p.kind)
			most := max(longest, size)
			if n > 0 && (most*(n+1) > blockFeatures || bytes(most*(n+1)-longest*n-size) > header) {
				break
			}
			longest, n = most, n+1
		}
		if features += longest * n; features >= runFeatures {
			n = p.untilEnd(i, n) // so that a run of blocks can end here
		}
		if p.pieces[i+n-1].ends {
			features = 0
		}
		b := asm.Block{Lines: uint32(longest / p.perLine), Segments: uint8(n), Features: uint16(longest)}
		p.first = append(p.first, int32(i))
		last := 0
		if len(p.offset) > 0 {
			last = p.offset[len(p.offset)-1]
		} else {
			p.offset = append(p.offset, 0)
		}
		p.offset = append(p.offset, last+header+bytes(longest*n))
		for j := range n {
			p.pieces[i+j].at = int32(p.padded)
			p.padded += longest
			if p.pieces[i+j].ends {
				b.Ends |= 1 << j
			}
		}
		p.blocks = append(p.blocks, b)
		i += n
	}
	p.first = append(p.first, int32(len(p.pieces)))
}

// untilEnd shortens a block of n pieces to one that ends with a sum, if any of
// them does.
func (p *panel) untilEnd(first, n int) int {
	for i := n; i > 0; i-- {
		if p.pieces[first+i-1].ends {
			return i
		}
	}
	return n
}

func (s *piece) padded(k panelKind) int { return k.padded(int(s.hi - s.lo)) }

// padded is the features of a segment with its padding.
func (k panelKind) padded(features int) int { return up(features, k.unit()) * k.unit() }

// header is the bytes of a block before its lines.
func (p *panel) header() int {
	if p.bits == 0 {
		return 0
	}
	return inBlock * tileColumns * (p.form.ScaleBytes() + p.form.ZeroBytesOf())
}

func (p *panel) tiles() int { return up(p.n, tileColumns) }

// tileBytes is the bytes of a tile.
func (p *panel) tileBytes() int { return p.offset[len(p.offset)-1] }

// depth counts the roundings of the longest path from a product to y: its
// chain, or one for an integer sum; one for each sum that is added to y, one
// for each activation scale, one for each part but the first, and one for the bias.
func (p *panel) depth() int {
	if p.kind.exact() {
		chain := 0
		for _, s := range p.pieces {
			length := int(s.hi - s.lo)
			if p.kind == tilePanel { // half a tile in each of two chains, and what is added of each tile
				length = asm.TilePairs/2 + 1 + s.padded(p.kind)/asm.TilePairs
			}
			chain = max(chain, length)
		}
		return chain + len(p.pieces) + p.parts
	}
	return p.sums() + 4
}

// sums is the integer sums of a column, sumsOf those of some of its pieces.
func (p *panel) sums() int { return p.sumsOf(0, len(p.pieces)) }

func (p *panel) sumsOf(from, to int) (n int) {
	for _, s := range p.pieces[from:to] {
		if s.ends {
			n++
		}
	}
	return n
}

// sumLength is the features of an integer sum, on average.
func (p *panel) sumLength() int { return p.padded / max(1, p.sums()) }
