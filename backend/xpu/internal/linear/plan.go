package linear

import (
	"runtime"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

const (
	partAlign    = 256 // of the parts of a layer's memory
	channelAlign = 32  // features that a layer of one group is padded to
	packedPiece  = 4 << 20
)

// plan is how a Spec is packed, and what oneDNN is asked for.
type plan struct {
	n, k, kp int // kp: with the padding to whole groups
	group    int
	groups   int
	nibbles  bool // two codes in a byte
	plain    bool // float32 instead of codes
	middle   int  // taken off codes and zero points
	scale    int  // bytes of a scale
	bias     bool
	exact    bool
	at       layout
	driver   driver.Plan
}

// layout is where the parts of a layer begin in its memory, in bytes.
type layout struct{ codes, scales, zeros, bias, total int64 }

// types are the types of elements as oneDNN counts them.
var types = [...]driver.Type{dtype.F16: driver.F16, dtype.BF16: driver.BF16, dtype.F32: driver.F32}

// quantizers are the recipes that the shim makes of oneDNN's primitives.
var quantizers = map[quant.RecipeKind]driver.Activations{quant.Int8TokenXPU: driver.TokenXPU, quant.Int8Token: driver.Token}

// groupSize is the features of a group of s, 0 for one group of all of K.
// Plain weights have none, whatever s says of groups.
func groupSize(s *backend.Spec) int {
	if g := &s.Groups; !s.Plain.Valid() && g.Kind == quant.Uniform && g.Size > 0 && g.Size < s.K {
		return g.Size
	}
	return 0
}

// wholeGroups is K with the padding.
func wholeGroups(s *backend.Spec) int {
	if size := groupSize(s); size > 0 {
		return up(s.K, size)
	}
	return up(s.K, channelAlign)
}

// plan is what k makes of a Spec that it supports. reference says that a
// reference implementation will do.
func (k *kernel) plan(s *backend.Spec, reference bool) *plan {
	p := &plan{n: s.N, k: s.K, nibbles: !k.plain && k.most <= 4, plain: k.plain, middle: k.middle(s), bias: s.Bias, exact: !k.codes}
	p.kp = wholeGroups(s)
	p.group = p.kp
	if size := groupSize(s); size > 0 {
		p.group = size
	}
	p.groups = p.kp / p.group
	d := &p.driver
	*d = driver.Plan{
		X: types[s.X], Y: types[s.Y], XCols: p.k, YCols: p.n, K: p.kp, N: p.n, Group: p.group, Stride: p.kp,
		Weight: driver.S8, MaxRows: s.MaxRows, RefuseReference: !reference,
	}
	switch {
	case p.plain:
		d.Weight = driver.F32
	case p.nibbles:
		d.Weight = driver.U4
	}
	if !p.plain {
		p.scale, d.Scale = s.Scales.Size(), types[s.Scales]
	}
	switch {
	case p.exact:
		d.Compute, d.Slice = driver.F32, sliceOf(p.k, p.kp, p.group)
	default:
		d.Activations, d.Codes = quantizers[s.Recipe.Kind], true
	}
	switch zero := s.ZeroMin - p.middle; {
	case p.plain:
	case s.ZeroMin != s.ZeroMax:
		d.ZeroKind, d.ZeroType = driver.GroupedZeros, driver.S8
	case zero != 0 || p.nibbles: // 4-bit codes are unsigned: one with no zero points at all is not what oneDNN is used with
		d.ZeroKind, d.ZeroType, d.Zero = driver.ScalarZero, driver.S8, zero
	}
	if s.Bias {
		d.Bias = driver.F32
	}
	p.place()
	return p
}

// place lays out the parts.
func (p *plan) place() {
	at := int64(0)
	next := func(bytes int64) int64 {
		begin := at
		at = (at + bytes + partAlign - 1) &^ (partAlign - 1)
		return begin
	}
	p.at.codes = next(int64(p.n) * int64(p.rowBytes()))
	p.at.scales = next(int64(p.groups) * int64(p.n) * int64(p.scale))
	p.at.zeros = at
	if p.driver.ZeroKind == driver.GroupedZeros {
		next(int64(p.groups) * int64(p.n))
	}
	p.at.bias = at
	if p.bias {
		next(4 * int64(p.n))
	}
	p.at.total = at
}

// rowBytes is the bytes of the codes of an output.
func (p *plan) rowBytes() int {
	switch {
	case p.plain:
		return 4 * p.kp
	case p.nibbles:
		return p.kp / 2
	}
	return p.kp
}

func up(n, to int) int { return (n + to - 1) / to * to }

// mostRoundings is the longest sum that a kernel may have: conformance's K/8+32.
func mostRoundings(k int) int { return k/8 + 32 }

// exactRoundings is the roundings of an exact layer's product in slices: the
// weight times its scale, the product, each addition within the slice and of
// slices, the bias.
func exactRoundings(kp, slice int) int { return 1 + 1 + slice + (kp+slice-1)/slice + 1 }

// sliceOf returns the features of a slice: a divisor or a multiple of the
// group, so that a slice has whole groups or a part of one; the longest with which
// the sum is short enough, whole multiples of 128 before others, whose parts of memory begin at
// multiples of 64 bytes.
func sliceOf(k, kp, group int) int {
	fits := func(l int) bool { return exactRoundings(kp, l) <= mostRoundings(k) }
	best := leastGroup
	better := func(l int) {
		if !fits(l) || l%leastGroup != 0 && l != group {
			return
		}
		if whole := l%128 == 0; whole == (best%128 == 0) && l > best || whole && best%128 != 0 {
			best = l
		}
	}
	for l := group; l <= kp && l <= up(mostRoundings(k), group); l += group {
		better(l)
	}
	for l := leastGroup; l < group && l <= mostRoundings(k); l += leastGroup {
		if group%l == 0 {
			better(l)
		}
	}
	return best
}

// depth counts the roundings of the longest way from an input to y.
func (p *plan) depth() int {
	if p.exact {
		return exactRoundings(p.kp, p.driver.Slice)
	}
	// The sum of a group as float32, its product with the scale, the sum over
	// groups, the row's scale, the bias.
	return 1 + 1 + p.groups + 1 + 1
}

// estimate is about the workspace of calls of MaxRows rows, without what oneDNN
// wants for itself: x as float32 twice, codes, scales, y.
func (p *plan) estimate() int64 {
	rows := int64(p.driver.MaxRows)
	part := func(bytes int64) int64 { return (bytes + partAlign - 1) &^ (partAlign - 1) }
	total := part(4*rows*int64(p.kp)) + part(4*rows*int64(p.n))
	if !p.exact {
		total += part(4*rows*int64(p.kp)) + part(rows*int64(p.kp)) + 4*part(4*rows)
	}
	return total
}

// pieceRows is how many outputs are packed before they are sent.
func (p *plan) pieceRows() int {
	return max(1, min(packedPiece/p.rowBytes(), p.n))
}

// staging is the host memory that packing takes.
func (p *plan) staging() int64 {
	workers := int64(runtime.GOMAXPROCS(0))
	return int64(p.pieceRows())*int64(p.rowBytes()) + p.at.total - p.at.scales + workers*int64(p.k)
}
