package conformance

import (
	"math"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

func partChecks() []check {
	return []check{
		{Info{"shard-n", "Each rank's rows of a layer cut along N give what the reference gives for that part.", false}, checkShardN},
		{Info{"shard-k", "Each rank's features of a layer cut along K give what the reference gives for that part, also where the cut is inside a group and with act-order, and for exact activations the parts sum to the whole.", false}, checkShardK},
		{Info{"group", "A group of layers that share x gives the bits of the single layers, refuses layers that do not fit together, and holds its members.", false}, checkGroup},
	}
}

const ranks = 3

func shard(l *quant.Linear, axis quant.Axis, rank int) *quant.Linear {
	part, err := l.Shard(axis, rank, ranks)
	if err != nil {
		panic(err) // a cell of the suite is wrong
	}
	return part
}

func checkShardN(r *rig) {
	for i, c := range sampleCells(r.o) {
		c.y = dtype.F32
		for rank := range ranks {
			r.firstTypeLinear(c, i, func(c *cell) *quant.Linear { return shard(c.build(), quant.AxisN, rank) }, func(s *subject) { r.judge(s, 3) })
		}
	}
}

// shardKCells cut groups in the middle: K is no multiple of groups × ranks.
func shardKCells(o Options) []cell {
	var cells []cell
	for i, c := range sampleCells(o) {
		if c.recipe.Kind == quant.Int4FlatQuant {
			continue // a transform cannot be cut
		}
		c.k, c.size, c.y, c.x, c.bias = 200, 32, dtype.F32, types[i%len(types)], true
		cells = append(cells, c)
		if c.recipe.Kind == quant.Exact && !c.plain.Valid() {
			c.kind = quant.PerChannel
			cells = append(cells, c)
			c.kind = quant.ActOrder
			cells = append(cells, c)
		}
	}
	return cells
}

func checkShardK(r *rig) {
	const m = 3
	for _, c := range shardKCells(r.o) {
		whole := c.build()
		x := c.input(whole, m)
		sums := map[string]*partSum{}
		for rank := range ranks {
			part := shard(whole, quant.AxisK, rank)
			r.eachLinear(c, part, func(s *subject) {
				in := columns(x, c.k, part.KRanges)
				out, err := r.apply(s.layer, call{m: m, x: in})
				if err != nil {
					r.fail(s, "%v", err)
					return
				}
				ref, err := reference.Run(part, s.spec.Recipe, s.spec.X, in, m)
				r.must(err, "reference")
				r.against(s, ref, out)
				if s.spec.Recipe.Kind == quant.Exact {
					sum := sums[s.kernel.Name()]
					if sum == nil {
						sum = &partSum{y: make([]float64, len(out.y)), bound: make([]float64, len(out.y))}
						sums[s.kernel.Name()] = sum
					}
					sum.add(s, ref, out)
				}
			})
		}
		r.compareSums(c, whole, x, m, sums)
	}
}

// partSum adds up the outputs of the ranks and what each may be off.
type partSum struct {
	last     *subject
	parts    int
	y, bound []float64
}

func (p *partSum) add(s *subject, ref *reference.Result, out outcome) {
	p.last, p.parts = s, p.parts+1
	for i, y := range out.y {
		p.y[i] += float64(y)
		p.bound[i] += ref.Bound(i/ref.N, i%ref.N, s.bound()) + math.Abs(float64(y))*0x1p-24
	}
}

func (r *rig) compareSums(c cell, whole *quant.Linear, x []float32, m int, sums map[string]*partSum) {
	for _, sum := range sums {
		if sum.parts < ranks {
			continue
		}
		ref, err := reference.Run(whole, c.recipe, c.x, x, m)
		r.must(err, "reference")
		for i, y := range sum.y {
			if math.Abs(y-ref.Y[i]) > sum.bound[i] {
				r.fail(sum.last, "the sum over %d ranks of y[%d,%d] is %v, want %v ± %.3g of the whole layer", ranks, i/ref.N, i%ref.N, y, ref.Y[i], sum.bound[i])
				break
			}
		}
	}
}

// columns returns the features in ranges of every row of x [., k].
func columns(x []float32, k int, ranges []quant.Range) []float32 {
	var out []float32
	for row := 0; row < len(x); row += k {
		for _, rg := range ranges {
			out = append(out, x[row+rg.Start:row+rg.End]...)
		}
	}
	return out
}

func checkGroup(r *rig) {
	grouper, ok := r.dev.(backend.Grouper)
	if !ok {
		r.skip("the device does not implement backend.Grouper")
	}
	for i, c := range sampleCells(r.o) {
		r.firstType(c, i, func(s *subject) { r.groupOf(grouper, s) })
	}
	r.groupRefuses(grouper)
}

// groupOf groups s, a narrower layer and a wider one of the same kernel.
func (r *rig) groupOf(grouper backend.Grouper, first *subject) {
	const m = 3
	x := first.input(first.linear, m)
	members := []*subject{first}
	for i, n := range []int{first.n/2 + 1, first.n + 5} {
		s := *first
		s.n, s.seed = n, first.seed+uint64(i)+100
		s.linear = s.build()
		s.linear.Transform = first.linear.Transform
		spec, err := backend.NewSpec(s.linear, s.request())
		r.must(err, "NewSpec")
		if s.spec = spec; s.kernel.Supports(r.info, spec) != nil || !r.prepare(&s) {
			return
		}
		defer func() { _ = s.layer.Close() }()
		members = append(members, &s)
	}
	layers := make([]backend.Layer, len(members))
	want := make([][]byte, m)
	for i, s := range members {
		layers[i] = s.layer
		out, err := r.apply(s.layer, call{m: m, x: x})
		if err != nil {
			r.fail(s, "%v", err)
			return
		}
		row := len(out.bits) / m
		for j := range want {
			want[j] = append(want[j], out.bits[j*row:(j+1)*row]...)
		}
	}
	group, err := grouper.Group(layers...)
	if err != nil {
		r.fail(first, "Group: %v", err)
		return
	}
	defer func() { _ = group.Close() }()
	whole := *first
	whole.note = "as the first of a group of three"
	whole.spec = group.Spec()
	total := 0
	for _, s := range members {
		total += s.n
	}
	if whole.spec.N != total {
		r.fail(&whole, "Spec of the group has N = %d, want the sum %d", whole.spec.N, total)
		return
	}
	out, err := r.apply(group, call{m: m, x: x})
	if err != nil {
		r.fail(&whole, "%v", err)
		return
	}
	var all []byte
	for _, row := range want {
		all = append(all, row...)
	}
	r.sameBits(&whole, "group and single layers", out.bits, all)
	r.wantErr(&whole, "Close of a member before its group", first.layer.Close(), backend.ErrBusy)
	r.wantNil(&whole, "Close of the group", group.Close())
	r.wantNil(&whole, "Close of the group again", group.Close())
	_, err = r.apply(group, call{m: m, x: x})
	r.wantErr(&whole, "Apply of a closed group", err, backend.ErrClosed)
	_, err = r.apply(first.layer, call{m: m, x: x})
	r.wantNil(&whole, "Apply of a member after its group was closed", err)
}

// groupRefuses groups layers of different K.
func (r *rig) groupRefuses(grouper backend.Grouper) {
	r.one(func(a *subject) {
		b := *a
		b.k += 8
		b.linear = b.build()
		spec, err := backend.NewSpec(b.linear, b.request())
		r.must(err, "NewSpec")
		if b.spec = spec; b.kernel.Supports(r.info, spec) != nil || !r.prepare(&b) {
			return
		}
		defer func() { _ = b.layer.Close() }()
		g, err := grouper.Group(a.layer, b.layer)
		if err == nil {
			_ = g.Close()
		}
		r.wantErr(&b, "Group of layers of different K", err, backend.ErrUnsupported)
	})
}
