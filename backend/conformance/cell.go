package conformance

import (
	"fmt"
	"math/rand/v2"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// types are the activation types, in the order in which a check tries them.
var types = []dtype.DType{dtype.BF16, dtype.F16, dtype.F32}

// zeroKind is how a cell's zero points are given.
type zeroKind uint8

const (
	symmetric zeroKind = iota // implied
	explicit                  // 0..2^bits−1
	wide                      // up to 2^bits, as GPTQ v1's stored zero plus one reaches unmasked
)

// cell is one combination to test: everything that a layer and a request are
// made of. The same cell gives the same layer every time.
type cell struct {
	n, k, m int // m is MaxRows too

	plain  dtype.DType // Invalid: integer codes
	bits   int
	zeros  zeroKind
	kind   quant.GroupKind
	size   int // of a Uniform group; about the length of the others
	scales dtype.DType

	recipe quant.Recipe
	x, y   dtype.DType
	bias   bool

	tiny  bool   // plain weights are subnormal numbers
	exact bool   // numbers whose sums are exact in float32, see exactRows
	note  string // what is special, for the description
	seed  uint64
}

// rng returns the cell's source of random numbers for one purpose.
func (c *cell) rng(purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(c.seed, purpose)) }

const (
	forWeight uint64 = iota + 1
	forInput
)

func (c *cell) request() backend.Request {
	return backend.Request{Recipe: &c.recipe, X: c.x, Y: c.y, MaxRows: c.m}
}

// short describes a cell before there is a Spec of it.
func (c *cell) short() string {
	return fmt.Sprintf("%d-bit %v %v, %v, N %d, K %d, seed %d", c.bits, c.plain, c.kind, c.recipe, c.n, c.k, c.seed)
}

// describe names everything that it takes to find the cell again.
func describe(kernel string, c *cell, s *backend.Spec) string {
	d := fmt.Sprintf("%s, %s, x %v, y %v, N %d, K %d, M %d", kernel, s.Scheme(), s.X, s.Y, s.N, s.K, c.m)
	if !s.Plain.Valid() {
		d += fmt.Sprintf(", scales %v, groups of %d..%d", s.Scales, s.Groups.Shortest, s.Groups.Longest)
	}
	if s.Transform != nil {
		d += fmt.Sprintf(", transform %dx%d", s.Transform.L, s.Transform.R)
	}
	if s.Bias {
		d += ", bias"
	}
	if s.NRanges != nil {
		d += fmt.Sprintf(", rows %v of %d", s.NRanges, s.FullN)
	}
	if s.KRanges != nil {
		d += fmt.Sprintf(", features %v of %d", s.KRanges, s.FullK)
	}
	if c.exact {
		d += ", exact sums"
	}
	if c.tiny {
		d += ", subnormal weights"
	}
	if c.note != "" {
		d += ", " + c.note
	}
	return d + fmt.Sprintf(", seed %d", c.seed)
}

// groups builds the cell's group map.
func (c *cell) groups(rng *rand.Rand) quant.Groups {
	size := min(max(c.size, 1), c.k)
	var g quant.Groups
	var err error
	switch c.kind {
	case quant.PerChannel:
		return quant.OneGroup(c.k)
	case quant.Uniform:
		g, err = quant.UniformGroups(c.k, size)
	case quant.Ragged:
		bounds := []int32{0}
		for at := 0; at < c.k; {
			at = min(at+1+rng.IntN(2*size), c.k)
			bounds = append(bounds, int32(at))
		}
		g, err = quant.RaggedGroups(bounds)
	default:
		index := make([]int32, c.k)
		for i, k := range rng.Perm(c.k) {
			index[k] = int32(i / size)
		}
		g, err = quant.IndexedGroups(index, (c.k+size-1)/size)
	}
	if err != nil {
		panic(err) // a cell of the suite is wrong
	}
	return g
}

// build makes the cell's layer.
func (c *cell) build() *quant.Linear {
	rng := c.rng(forWeight)
	l := &quant.Linear{Name: "conformance", Recipe: c.recipe}
	form := quant.Form{N: c.n, K: c.k, Plain: c.plain}
	if !c.plain.Valid() {
		form.Bits, form.Scales, form.Zeros = c.bits, c.scales, c.zeros != symmetric
		form.Groups = c.groups(rng)
	}
	if err := l.Weight.Reset(form); err != nil {
		panic(err) // a cell of the suite is wrong
	}
	if c.plain.Valid() {
		c.fillPlain(rng, &l.Weight)
	} else {
		c.fillCodes(rng, &l.Weight)
	}
	if c.bias {
		l.ResizeBias(c.n)
		for n := range l.Bias {
			if c.exact {
				l.Bias[n] = float32(rng.IntN(41)-20) * c.unit(n)
			} else {
				l.Bias[n] = float32(rng.NormFloat64())
			}
		}
	}
	if c.recipe.Kind == quant.Int4FlatQuant {
		l.Transform = c.transform(rng)
	}
	return l
}

// unit is the smallest scale of row n in an exact cell: all its sums are
// multiples of it.
func (c *cell) unit(n int) float32 { return 1 / float32(int(16)<<(n%4)) }

func (c *cell) fillCodes(rng *rand.Rand, w *quant.Weight) {
	codes := make([]uint8, c.k)
	groups := w.Groups().Count()
	for n := range c.n {
		for k := range codes {
			codes[k] = uint8(rng.Uint64()) & (1<<c.bits - 1) // rng.IntN(1<<c.bits), in half the time
		}
		w.PackRow(n, codes)
		zeros := w.ZeroRow(n)
		for g := range groups {
			if c.exact {
				w.SetScale(n, g, c.unit(n)*float32(int(1)<<rng.IntN(3)))
			} else {
				w.SetScale(n, g, float32(0.5+rng.Float64())/64)
			}
			if zeros != nil {
				zeros[g] = int16(rng.IntN(1 << c.bits))
			}
		}
		if c.zeros == wide {
			zeros[rng.IntN(groups)] = 1 << c.bits
		}
	}
}

func (c *cell) fillPlain(rng *rand.Rand, w *quant.Weight) {
	for n := range c.n {
		row := w.Row(n)
		for k := range c.k {
			v := float32(rng.NormFloat64() / 16)
			if c.exact {
				v = float32(rng.IntN(65)-32) * c.unit(n)
			}
			if c.tiny {
				v *= subnormal(c.plain)
			}
			c.plain.Put(row, k, v)
		}
	}
}

// subnormal is what makes numbers around 1 subnormal ones of the type, of which
// some bits are left.
func subnormal(t dtype.DType) float32 {
	if t == dtype.F16 {
		return 0x1p-18
	}
	return 0x1p-128
}

// transform returns factors as near to each other as K allows. In an exact
// cell they permute the features.
func (c *cell) transform(rng *rand.Rand) *quant.Transform {
	l := 1
	for d := 2; d*d <= c.k; d++ {
		if c.k%d == 0 {
			l = d
		}
	}
	t := &quant.Transform{L: l, R: c.k / l, Type: dtype.F16, Clip: 0.875}
	if c.exact {
		t.Clip = 1
	}
	factor := func(n int) []float32 {
		p := make([]float32, n*n)
		if c.exact {
			for i, j := range rng.Perm(n) {
				p[i*n+j] = 1
			}
			return p
		}
		norm := 1 / sqrt(n)
		for i := range p {
			p[i] = t.Type.Round(float32(rng.NormFloat64() * norm))
		}
		return p
	}
	t.P1, t.P2 = factor(t.L), factor(t.R)
	return t
}

// baseCell is the cell that no backend may refuse in every type: 4 bits, groups
// of 128, symmetric, exact activations.
func baseCell(o Options) cell {
	c := cell{n: 150, k: 640, m: 8, bits: 4, kind: quant.Uniform, size: 128, scales: dtype.F16, x: dtype.BF16, y: dtype.BF16, seed: o.Seed}
	if o.Small {
		c.n, c.k = 9, 256
	}
	return c
}

// searchCells is where a kernel for few layers may find one that it takes.
func searchCells(o Options) (cells []cell) {
	for _, recipe := range recipes() {
		for bits := 2; bits <= 8; bits++ {
			for _, kind := range []quant.GroupKind{quant.Uniform, quant.ActOrder} {
				c := baseCell(o)
				c.recipe, c.bits, c.kind, c.zeros = recipe, bits, kind, explicit
				cells = append(cells, c)
			}
		}
	}
	return cells
}

// sampleCells returns one cell of each kind of layer, for checks that ask how
// a layer behaves rather than what it computes. The base comes first.
func sampleCells(o Options) []cell {
	base := baseCell(o)
	with := func(change func(*cell)) cell {
		c := base
		change(&c)
		return c
	}
	cells := []cell{
		base,
		with(func(c *cell) { c.zeros, c.size, c.bias = explicit, 32, true }),
		with(func(c *cell) { c.bits, c.zeros, c.kind = 3, explicit, quant.ActOrder }),
		with(func(c *cell) { c.plain = dtype.BF16 }),
		with(func(c *cell) { c.recipe.Kind, c.size = quant.Int8TokenAsym, 32 }),
		with(func(c *cell) { c.recipe.Kind, c.bits, c.kind, c.bias = quant.Int8Token, 8, quant.PerChannel, true }),
		with(func(c *cell) { c.recipe.Kind = quant.Int8TokenXPU }),
		with(func(c *cell) { c.recipe.Kind, c.bits = quant.Int8TokenAscend, 8 }),
		with(func(c *cell) { c.recipe.Kind, c.size = quant.Int8Group, 64 }),
		with(func(c *cell) { c.recipe.Kind, c.kind = quant.Int4FlatQuant, quant.PerChannel }),
		with(func(c *cell) { c.bits, c.size = 8, 64 }),
		with(func(c *cell) { c.recipe.Kind, c.bits = quant.Int4FlatQuant, 8 }),
		with(func(c *cell) { c.recipe.Kind, c.kind = quant.Int4TokenAscend, quant.PerChannel }),
	}
	for i := range cells {
		cells[i].seed += uint64(i)
	}
	return cells
}
