package linear

import (
	"iter"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/kernels/cuda"
	"github.com/bitlane/bitlane/quant"
)

const (
	unitFeatures = cuda.Unit         // features of a unit, which has one scale for each output
	brickOutputs = cuda.BrickOutputs // outputs of a brick, which is so many times a unit
	mapEntry     = 4                 // bytes of an entry of the map, and of unit to group
	deviceAlign  = 256

	// stepRoundings is what the tensor core's sum of a step, sixteen products
	// onto a sum, is counted as: products are aligned to the largest and cut in
	// two halves of eight, each with the sum before it, one bit below float32
	// (sm_80; later ones keep more): 2·(9+2) cuts.
	stepRoundings = 22
)

// plan is how a Spec is packed by a kernel.
type plan struct {
	bits       int // of packed codes: 2, 3, 4 or 8; 16: plain weights
	n, np      int // outputs, and with the padding to whole bricks
	k          int
	units      int
	groups     int
	gather     bool // x is read through a map
	fine       bool // every step is scaled by itself
	deep       bool // units are so many that all rows are streamed, whose sums are shorter
	zeroMoves  bool // zero points differ: they are stored
	zero       int  // the one zero point otherwise
	scales     dtype.DType
	x          dtype.DType
	rounded    bool // there are tables for weights that are rounded
	exponent   int  // these are 2^-exponent times as large
	at         layout
	brickBytes int
}

// layout is where the parts of a layer begin in its memory, in bytes.
type layout struct {
	bricks, scales, zeros, groups, features, bias, total int64
	roundedScales, roundedGroups                         int64
}

// packedBits is the bits of a packed code, 16 for plain weights.
func packedBits(s *backend.Spec) int {
	switch {
	case s.Plain.Valid():
		return 16
	case s.Bits > 4:
		return 8
	}
	return s.Bits
}

// groupsOf is how K is divided; plain weights are one group with a scale of 1.
func groupsOf(s *backend.Spec) backend.GroupSpec {
	if s.Plain.Valid() {
		return backend.GroupSpec{Kind: quant.PerChannel, Size: s.K, Count: 1, Shortest: s.K, Longest: s.K}
	}
	return s.Groups
}

// straight reports whether x is read as it is: groups in order, of whole units
// but for the end of the last one.
func straight(s *backend.Spec) bool {
	g := groupsOf(s)
	return g.Kind <= quant.Uniform && (g.Longest%unitFeatures == 0 || g.Count == 1)
}

func newPlan(s *backend.Spec, gather, rounded bool) *plan {
	p := &plan{
		bits: packedBits(s), n: s.N, k: s.K, groups: groupsOf(s).Count, gather: gather,
		zeroMoves: s.ZeroMin != s.ZeroMax, zero: s.ZeroMin, scales: s.Scales, x: s.X, rounded: rounded,
	}
	if s.Plain.Valid() {
		p.scales = dtype.F32
	}
	p.np = (p.n + brickOutputs - 1) / brickOutputs * brickOutputs
	p.units = unitsOf(s)
	for _, way := range []struct{ fine, deep bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		if p.fine, p.deep = way.fine, way.deep; p.depth() <= mostRoundings(s) {
			break
		}
	}
	p.brickBytes = cuda.BrickBytes(p.bits)
	if rounded {
		p.exponent = exponentOf(s)
	}
	p.lay(s)
	return p
}

// unitsOf counts the units of a Spec, without walking through groups of one
// length.
func unitsOf(s *backend.Spec) int {
	up := func(features int) int { return (features + unitFeatures - 1) / unitFeatures }
	g := groupsOf(s)
	if g.Bounds == nil {
		longest := min(max(g.Longest, 1), s.K)
		return s.K/longest*up(longest) + up(s.K%longest)
	}
	units := 0
	for i := range g.Count {
		units += up(g.Bound(i+1, s.K) - g.Bound(i, s.K))
	}
	return units
}

// unit is features [lo, hi) in the order of the groups, of one group.
type unit struct{ lo, hi, group int }

// eachUnit yields the units in order.
func eachUnit(s *backend.Spec) iter.Seq2[int, unit] {
	return func(yield func(int, unit) bool) {
		at, groups := 0, groupsOf(s)
		for g := range groups.Count {
			end := groups.Bound(g+1, s.K)
			for lo := groups.Bound(g, s.K); lo < end; lo += unitFeatures {
				if !yield(at, unit{lo, min(end, lo+unitFeatures), g}) {
					return
				}
				at++
			}
		}
	}
}

func (p *plan) lay(s *backend.Spec) {
	at := int64(0)
	part := func(bytes int64) int64 {
		from := at
		at += (bytes + deviceAlign - 1) / deviceAlign * deviceAlign
		return from
	}
	perGroup := int64(p.groups) * int64(p.np)
	p.at.bricks = part(int64(p.np/brickOutputs) * int64(p.units) * int64(p.brickBytes))
	p.at.scales = part(perGroup * int64(p.scales.Size()))
	if p.zeroMoves {
		p.at.zeros = part(2 * perGroup)
	}
	p.at.groups = part(int64(p.units) * mapEntry)
	if p.gather {
		p.at.features = part(int64(p.units) * unitFeatures * mapEntry)
	}
	if s.Bias {
		p.at.bias = part(4 * int64(p.np))
	}
	if p.rounded {
		p.at.roundedScales = part(4 * int64(p.np))
		p.at.roundedGroups = part(int64(p.units) * mapEntry)
	}
	p.at.total = at
}

// depth counts the roundings of the longest path to y: a chain of steps on the
// tensor core, one for each scale or two where steps are scaled apart, one for each
// run and slice that is added, one for the bias. Adding runs and slices never
// counts more than the units that they make a chain shorter.
func (p *plan) depth() int {
	chain, scales := 2*stepRoundings, p.units
	if p.deep {
		scales = 0
		for slices := range p.mostSlices() {
			slice := (p.units + slices) / (slices + 1)
			run := (slice + streamRuns - 1) / streamRuns
			scales = max(scales, run+(slice+run-1)/run-1+slices)
		}
	}
	if p.fine {
		chain, scales = stepRoundings, 2*scales
	}
	if p.rounded {
		scales++ // of a weight, before it is rounded
	}
	return chain + scales + 2
}

// mostRoundings is the largest depth that a kernel may have.
func mostRoundings(s *backend.Spec) int { return s.K/8 + 32 }
