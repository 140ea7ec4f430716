package conformance

import (
	"fmt"
	"math"
	"slices"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

func numericChecks() []check {
	return []check{
		{Info{"floor", "A backend accepts 4-bit symmetric weights in groups of 128 with exact activations in at least one type, and its results are right.", true}, checkFloor},
		{Info{"exact-cells", "Where every sum is exact in float32 (integer x, power-of-two scales), y equals the reference exactly, for every recipe, scheme and type.", true}, checkExactCells},
		{Info{"grid", "For every recipe, bits, zeros, group kind and type, y is within the error that the kernel states: round(ref−B) ≤ y ≤ round(ref+B).", false}, checkGrid},
		{Info{"codes", "Activation codes, scales and zero points equal the recipe's, bit for bit unless the kernel declares CodeSlack; rows below FlushBelow may count as zeros.", false}, checkCodes},
		{Info{"edges-m", "Every number of rows from 0 to MaxRows is right; M = 0 does nothing.", false}, checkEdgesM},
		{Info{"edges-n", "Every number of outputs is right: 1, round every tile size, primes.", false}, checkEdgesN},
		{Info{"edges-k", "Every number of features is right: 1, round every tile size, primes.", false}, checkEdgesK},
		{Info{"edges-group", "Every group size is right: 1, round every tile size, larger than K, and where it does not divide K.", false}, checkEdgesGroup},
		{Info{"act-order", "With act-order each feature uses the scale and zero of its own group, whatever the order and also where a group is not used.", false}, checkActOrder},
		{Info{"plain", "Plain float32, float16 and bfloat16 weights give right results.", false}, checkPlain},
		{Info{"bias", "The bias is added in float32 before the one rounding to the output type.", false}, checkBias},
		{Info{"large-x", "No finite x makes a finite y overflow on the way: products with codes may leave float32, y does not.", false}, checkLargeX},
		{Info{"nonfinite", "A row of x that holds NaN or an infinity gives a row of y that is not finite, and no other row notices.", false}, checkNonFinite},
	}
}

func checkFloor(r *rig) {
	accepted := false
	for _, t := range types {
		c := baseCell(r.o)
		c.x, c.y = t, t
		for _, c.exact = range []bool{true, false} {
			r.each(c, func(s *subject) {
				accepted = true
				r.judge(s, 3)
			})
		}
	}
	if accepted {
		return
	}
	c := baseCell(r.o)
	l := c.build()
	for _, k := range r.kernels {
		spec, err := backend.NewSpec(l, c.request())
		r.must(err, "NewSpec")
		r.fail(nil, "refused: %v", k.Supports(r.info, spec))
	}
	r.fail(nil, "no kernel accepts 4-bit symmetric weights in groups of 128 with exact activations in any type")
}

// recipes are what the grid goes through; Int8Group with two sizes.
func recipes() []quant.Recipe {
	var all []quant.Recipe
	for _, kind := range quant.Recipes() {
		all = append(all, quant.Recipe{Kind: kind})
	}
	return append(all, quant.Recipe{Kind: quant.Int8Group, Group: 32})
}

// gridCells returns recipes × bits × zeros × groups × types × bias × shapes.
func gridCells(o Options) []cell {
	groups := []struct {
		kind quant.GroupKind
		size int
	}{{quant.PerChannel, 0}, {quant.Uniform, 32}, {quant.Uniform, 128}, {quant.Ragged, 40}, {quant.ActOrder, 32}}
	shapes := [][3]int{{9, 96, 3}, {33, 200, 5}, {64, 257, 2}, {40, 512, 4}, {70, 600, 9}}
	bits := []int{4, 8, 2, 3, 5, 6, 7}
	rounds := 4
	if o.Small {
		rounds = 1
		groups = groups[:4:4]
		groups[2].kind = quant.ActOrder
		shapes = [][3]int{{5, 72, 3}, {9, 131, 5}}
		bits = bits[:4]
	}
	all := recipes()
	levels := []int{len(all), len(bits), 3, len(groups), len(types), len(types), len(types), 2, len(shapes)}
	var rows [][]int
	if o.Full {
		rows = product(levels[:8])
		for i := range rows {
			rows[i] = append(rows[i], i%len(shapes)) // sizes have checks of their own
		}
	} else {
		for round := range rounds {
			rows = append(rows, cover(levels, uint64(round))...)
		}
	}
	cells := make([]cell, 0, len(rows)+len(types))
	for i, v := range rows {
		g, shape := groups[v[3]], shapes[v[8]]
		cells = append(cells, cell{
			n: shape[0], k: shape[1], m: shape[2],
			recipe: all[v[0]], bits: bits[v[1]], zeros: zeroKind(v[2]), kind: g.kind, size: g.size,
			scales: types[v[4]], x: types[v[5]], y: types[v[6]], bias: v[7] == 1, seed: o.Seed + uint64(i),
		})
	}
	for _, t := range types {
		c := baseCell(o)
		c.x, c.y = t, t
		cells = append(cells, c)
	}
	return cells
}

func checkGrid(r *rig) {
	for _, c := range gridCells(r.o) {
		r.each(c, func(s *subject) { r.judge(s, s.m) })
	}
}

func checkExactCells(r *rig) {
	for _, c := range gridCells(r.o) {
		c.exact = true
		r.each(c, func(s *subject) { r.judge(s, s.m) })
	}
}

func checkCodes(r *rig) {
	quantized, shown := 0, 0
	for _, c := range gridCells(r.o) {
		if c.recipe.Kind == quant.Exact {
			continue
		}
		r.each(c, func(s *subject) {
			quantized++
			if coder, ok := s.layer.(backend.Coder); ok {
				shown++
				x := s.input(s.linear, s.m)
				if codes, scales, zeros, ok := r.compareCodes(s, coder, x); ok {
					r.judgeGiven(s, call{m: s.m, x: x}, codes, scales, zeros)
				}
				r.compareCodes(s, coder, oddRows(s, s.m))
			}
		})
	}
	if quantized > 0 && shown == 0 {
		r.skip("no layer implements backend.Coder")
	}
}

// oddRows returns rows that quantizers stumble over: zeros, one element, ties,
// subnormals, the largest numbers, NaN.
func oddRows(s *subject, m int) []float32 {
	t := s.spec.X
	k := s.spec.K
	x := make([]float32, m*k)
	for i := range m {
		row := x[i*k : (i+1)*k]
		switch i % 5 {
		case 0:
			row[k/2] = t.Round(-0.3)
		case 1:
			for j := range row {
				row[j] = float32(j%255-127) / 2 // half of the quotients are ties where the scale is 1
			}
			row[0] = 127
		case 2:
			for j := range row {
				row[j] = t.Round(float32(j%7-3) * float32(t.SmallestNormal()) / 4)
			}
		case 3:
			for j := range row {
				row[j] = t.Round(float32(j%3-1) * float32(t.MaxFinite()/4))
			}
		case 4:
			row[k-1] = float32(math.NaN())
		}
	}
	return x
}

// compareCodes holds the codes of x to the reference's and returns them.
func (r *rig) compareCodes(s *subject, coder backend.Coder, x []float32) (codes []int8, scales []float32, zeros []int32, ok bool) {
	m := len(x) / s.spec.K
	ref, err := reference.Run(s.linear, s.spec.Recipe, s.spec.X, x, m)
	r.must(err, "reference")
	codes, scales, zeros = make([]int8, m*s.spec.K), make([]float32, m*ref.Groups), make([]int32, m)
	o, err := r.operands(r.dev, r.st, s.layer, call{m: m, x: x})
	r.must(err, "memory")
	defer o.close()
	if err := coder.Codes(r.st, o.x.tensor, codes, scales, zeros); err != nil {
		r.fail(s, "Codes: %v", err)
		return nil, nil, nil, false
	}
	flushed, err := reference.Run(s.linear, s.spec.Recipe, s.spec.X, withoutTiny(x, s.spec.K, s.num.FlushBelow), m)
	r.must(err, "reference")
	for i := range m {
		wrong := wrongCode(s, ref, i, codes, scales, zeros)
		if wrong != "" && wrongCode(s, flushed, i, codes, scales, zeros) != "" {
			r.fail(s, "%s", wrong)
			return nil, nil, nil, false
		}
	}
	return codes, scales, zeros, true
}

// withoutTiny returns x with rows of zeros where all magnitudes are below
// what a kernel says that its unit flushes.
func withoutTiny(x []float32, k int, below float64) []float32 {
	out := slices.Clone(x)
	for row := range slices.Chunk(out, k) {
		if !slices.ContainsFunc(row, func(v float32) bool { return !(math.Abs(float64(v)) < below) }) {
			clear(row)
		}
	}
	return out
}

// wrongCode describes the first code, scale or zero point of a row that is not
// the reference's.
func wrongCode(s *subject, ref *reference.Result, row int, codes []int8, scales []float32, zeros []int32) string {
	for i := row * s.spec.K; i < (row+1)*s.spec.K; i++ {
		lo, hi := reference.Interval(s.spec.Recipe.Kind, ref.Codes[i], s.num.CodeSlack)
		if got := int(codes[i]); got < lo || got > hi {
			return fmt.Sprintf("code[%d,%d] is %d, want %d..%d", row, i%s.spec.K, got, lo, hi)
		}
	}
	for i := row * ref.Groups; i < (row+1)*ref.Groups; i++ {
		got, want := scales[i], ref.Scales[i]
		if math.Float32bits(got) != math.Float32bits(want) && (got == got || want == want) {
			return fmt.Sprintf("scale %d of row %d is %v, want %v", i%ref.Groups, row, got, want)
		}
	}
	if zeros[row] != ref.Zeros[row] {
		return fmt.Sprintf("zero point of row %d is %d, want %d", row, zeros[row], ref.Zeros[row])
	}
	return ""
}

// judgeGiven holds y to the reference computed from the kernel's own codes, so
// that a slack in them does not widen the bound.
func (r *rig) judgeGiven(s *subject, c call, codes []int8, scales []float32, zeros []int32) {
	ref, err := reference.RunGiven(s.linear, s.spec.Recipe, codes, scales, zeros, c.m)
	r.must(err, "reference")
	out, err := r.apply(s.layer, c)
	if err != nil {
		r.fail(s, "M %d: %v", c.m, err)
		return
	}
	slack := s.num.CodeSlack
	s.num.CodeSlack = 0
	r.against(s, ref, out)
	s.num.CodeSlack = slack
}

// edges are 1, the numbers round the tile sizes in use, and primes.
func edges(o Options) []int {
	if o.Small {
		return []int{1, 2, 7, 9, 16, 31, 33, 65}
	}
	e := []int{1, 2, 3, 5, 13, 37, 61, 127, 131, 251}
	for _, tile := range []int{8, 16, 32, 64} {
		e = append(e, tile-1, tile, tile+1)
	}
	return e
}

// edgeCells returns one exact cell for each recipe, and a plain one, to vary.
func edgeCells(o Options) []cell {
	var cells []cell
	for i, c := range sampleCells(o) {
		c.exact, c.x = true, types[i%len(types)]
		c.n, c.k, c.m, c.y = 10, 96, 3, dtype.F32
		c.size = 32
		cells = append(cells, c)
	}
	return cells
}

func checkEdgesM(r *rig) {
	sizes := edges(r.o)
	most := 0
	for _, m := range sizes {
		most = max(most, m)
	}
	for _, c := range edgeCells(r.o) {
		c.m = most
		r.each(c, func(s *subject) {
			for _, m := range sizes {
				r.judge(s, m)
			}
			r.noRows(s)
		})
	}
}

// noRows checks that M = 0 does nothing, with memory and without.
func (r *rig) noRows(s *subject) {
	s.note = "M = 0"
	defer func() { s.note = "" }()
	out, err := r.apply(s.layer, call{})
	r.wantNil(s, "M = 0", err)
	if err == nil && out.dst != "" {
		r.fail(s, "dst was written: %s", out.dst)
	}
	x := backend.Tensor{DType: s.spec.X, Cols: s.spec.K, Stride: s.spec.K}
	dst := backend.Tensor{DType: s.spec.Y, Cols: s.spec.N, Stride: s.spec.N}
	r.wantNil(s, "M = 0 without buffers", s.layer.Apply(r.st, dst, x, backend.Span{}))
}

func checkEdgesN(r *rig) {
	for _, c := range edgeCells(r.o) {
		for _, c.n = range edges(r.o) {
			r.each(c, func(s *subject) { r.judge(s, s.m) })
		}
	}
}

func checkEdgesK(r *rig) {
	for _, c := range edgeCells(r.o) {
		for _, c.k = range edges(r.o) {
			r.each(c, func(s *subject) { r.judge(s, s.m) })
		}
	}
}

func checkEdgesGroup(r *rig) {
	for _, c := range edgeCells(r.o) {
		if c.plain.Valid() || c.kind == quant.PerChannel {
			continue
		}
		for _, c.k = range []int{96, 131} {
			for _, c.size = range append(edges(r.o), 96, 128, 131, 132) {
				r.each(c, func(s *subject) { r.judge(s, s.m) })
			}
		}
	}
}

func checkActOrder(r *rig) {
	for i, c := range sampleCells(r.o) {
		if c.plain.Valid() {
			continue
		}
		for _, c.exact = range []bool{true, false} {
			c.kind, c.size, c.k = quant.ActOrder, 32, 160
			c.x, c.y = types[i%len(types)], dtype.F32
			r.each(c, func(s *subject) { r.judge(s, 4) })
		}
	}
	c := baseCell(r.o)
	c.kind, c.size, c.zeros, c.note = quant.ActOrder, 32, explicit, "group 1 is not used"
	r.firstTypeLinear(c, 0, func(c *cell) *quant.Linear { return withUnusedGroup(c.build()) }, func(s *subject) { r.judge(s, 4) })
}

// withUnusedGroup moves the features of group 1 to group 0.
func withUnusedGroup(l *quant.Linear) *quant.Linear {
	f := l.Weight.Form()
	index := f.Groups.Index(nil)
	for k, g := range index {
		if g == 1 {
			index[k] = 0
		}
	}
	groups, err := quant.IndexedGroups(index, f.Groups.Count())
	if err != nil {
		panic(err) // the entries are those of a right map
	}
	f.Groups = groups
	out := &quant.Linear{Name: l.Name, Recipe: l.Recipe, Bias: l.Bias, Transform: l.Transform}
	copyWeight(&out.Weight, &l.Weight, f)
	return out
}

// copyWeight fills dst with the numbers of src under a form of the same sizes.
func copyWeight(dst, src *quant.Weight, f quant.Form) {
	if err := dst.Reset(f); err != nil {
		panic(err) // the form is that of a right weight
	}
	for n := range f.N {
		copy(dst.Row(n), src.Row(n))
		copy(dst.ScaleRow(n), src.ScaleRow(n))
		copy(dst.ZeroRow(n), src.ZeroRow(n))
	}
}

func checkPlain(r *rig) {
	for _, w := range types {
		for _, t := range types {
			for i, y := range []dtype.DType{t, dtype.F32} {
				for _, exact := range []bool{true, false} {
					c := cell{n: 17, k: 75, m: 3, plain: w, x: t, y: y, bias: i == 1, exact: exact, seed: r.o.Seed}
					r.each(c, func(s *subject) { r.judge(s, s.m) })
				}
			}
			r.plainSubnormals(w, t)
		}
	}
}

// plainSubnormals has weights that are subnormal numbers, then x: a unit that
// flushes them, or aligns them as if they were normal, has to state what it loses.
func (r *rig) plainSubnormals(w, x dtype.DType) {
	c := cell{n: 17, k: 75, m: 3, plain: w, x: x, y: dtype.F32, tiny: true, seed: r.o.Seed}
	r.each(c, func(s *subject) { r.judge(s, s.m) })
	c.tiny = false
	r.each(c, func(s *subject) {
		in := s.input(s.linear, s.m)
		for i, v := range in {
			in[i] = s.spec.X.Round(v * subnormal(s.spec.X))
		}
		s.note = "x is subnormal"
		r.judgeCall(s, call{m: s.m, x: in})
	})
}

func checkBias(r *rig) {
	for i, c := range sampleCells(r.o) {
		c.bias = true
		for _, c.exact = range []bool{true, false} {
			r.firstType(c, i, func(s *subject) { r.judge(s, 4) })
		}
	}
}

func checkLargeX(r *rig) {
	large := map[dtype.DType]float32{dtype.F16: 1 << 15, dtype.BF16: 0x1p122, dtype.F32: 0x1p122}
	for i, c := range sampleCells(r.o) {
		r.firstType(c, i, func(s *subject) {
			x := s.input(s.linear, 4)
			for j, v := range x {
				x[j] = s.spec.X.Round(min(max(v, -1), 1) * large[s.spec.X])
			}
			s.note = "x is large"
			r.judgeCall(s, call{m: 4, x: x})
		})
	}
}

func checkNonFinite(r *rig) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for i, c := range sampleCells(r.o) {
		r.firstType(c, i, func(s *subject) {
			x := s.input(s.linear, 7)
			for row, v := range map[int]float32{1: nan, 3: inf, 4: -inf} {
				x[row*s.k+(row*29)%s.k] = v
			}
			s.note = fmt.Sprintf("rows 1, 3 and 4 hold %v, %v and %v", nan, inf, -inf)
			r.judgeCall(s, call{m: 7, x: x})
		})
	}
}
