package conformance

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func negotiationChecks() []check {
	return []check{
		{Info{"names", "Kernels are listed without a device, in the same order every time, under names that are unique and obey the grammar.", true}, checkNames},
		{Info{"refusals", "A refusal is typed: it names its kernel, and in each reason the field, what it has and what is wanted; what a kernel does not know by name, it refuses.", true}, checkRefusals},
		{Info{"reasons", "A refusal lists every reason, not only the first.", false}, checkReasons},
		{Info{"supports-prepare", "Supports and Prepare agree: what is accepted is prepared as its Spec says, what is refused fails with the same refusal, and the answer is always the same.", true}, checkSupportsPrepare},
		{Info{"depth", "Numerics states a Depth of 1 to K/8 + 32, no negative error, and a FlushBelow of at most 2⁻³⁰; the kernels of the family cpu promise batch invariance.", false}, checkDepth},
	}
}

func checkNames(r *rig) {
	all := r.target.Backend.Kernels()
	if len(all) == 0 {
		r.fail(nil, "the backend lists no kernels")
	}
	var names []string
	for _, k := range all {
		if err := backend.CheckKernelName(k.Name()); err != nil {
			r.fail(nil, "%v", err)
		}
		if slices.Contains(names, k.Name()) {
			r.fail(nil, "two kernels are called %s", k.Name())
		}
		names = append(names, k.Name())
	}
	var again []string
	for _, k := range r.target.Backend.Kernels() {
		again = append(again, k.Name())
	}
	if !slices.Equal(names, again) {
		r.fail(nil, "Kernels lists %v, and then %v", names, again)
	}
}

// variant is a Spec with one thing changed.
type variant struct {
	name   string
	factor string // variants of one factor cannot be combined
	change func(*backend.Spec)
	never  bool // no layer has it: every kernel must refuse
}

// unknownType is an element type of the future.
const unknownType = dtype.DType(77)

// variants are single steps from the base cell's Spec.
func variants() []variant {
	v := []variant{
		{"activation recipe of the future", "recipe", func(s *backend.Spec) { s.Recipe.Kind = 200 }, true},
		{"group kind of the future", "groups", func(s *backend.Spec) { s.Groups.Kind = 200 }, true},
		{"x type of the future", "x", func(s *backend.Spec) { s.X = unknownType }, true},
		{"y type of the future", "y", func(s *backend.Spec) { s.Y = unknownType }, true},
		{"scale type of the future", "scales", func(s *backend.Spec) { s.Scales = unknownType }, true},
		{"no x type", "x", func(s *backend.Spec) { s.X = dtype.Invalid }, true},
		{"scales that are not finite", "finite", func(s *backend.Spec) { s.ScalesFinite = false }, true},
		{"1 bit", "bits", func(s *backend.Spec) { setBits(s, 1) }, true},
		{"9 bits", "bits", func(s *backend.Spec) { setBits(s, 9) }, true},
		{"asymmetric", "zeros", func(s *backend.Spec) { s.Symmetric, s.ZeroMin, s.ZeroMax = false, 0, 15 }, false},
		{"per channel", "groups", func(s *backend.Spec) { setGroups(s, quant.PerChannel, s.K, 1, s.K) }, false},
		{"groups of 32", "groups", func(s *backend.Spec) { setGroups(s, quant.Uniform, 32, s.K/32, 32) }, false},
		{"groups that do not divide K", "groups", func(s *backend.Spec) { setGroups(s, quant.Uniform, 48, (s.K+47)/48, 48) }, false},
		{"ragged groups", "groups", func(s *backend.Spec) { setGroups(s, quant.Ragged, 0, 9, 77) }, false},
		{"act-order", "groups", func(s *backend.Spec) { setGroups(s, quant.ActOrder, 0, s.K/128, 128) }, false},
		{"a bias", "bias", func(s *backend.Spec) { s.Bias = true }, false},
		{"K cut", "part", func(s *backend.Spec) { s.FullK, s.KRanges = 2*s.K, []quant.Range{{Start: s.K, End: 2 * s.K}} }, false},
	}
	for _, bits := range []int{2, 3, 5, 8} {
		v = append(v, variant{fmt.Sprintf("%d bits", bits), "bits", func(s *backend.Spec) { setBits(s, bits) }, false})
	}
	for _, t := range []dtype.DType{dtype.F32, dtype.F16} {
		v = append(v,
			variant{"x " + t.String(), "x", func(s *backend.Spec) { s.X = t }, false},
			variant{"y " + t.String(), "y", func(s *backend.Spec) { s.Y = t }, false},
			variant{"scales " + t.String(), "scales", func(s *backend.Spec) { s.Scales = t }, false})
	}
	for _, recipe := range recipes()[1:] {
		v = append(v, variant{recipe.String(), "recipe", func(s *backend.Spec) {
			s.Recipe = recipe
			if recipe.Kind == quant.Int4FlatQuant {
				s.Transform = &backend.TransformSpec{L: 16, R: s.K / 16, Type: dtype.F16, Clip: 1}
			}
		}, false})
	}
	return v
}

func setBits(s *backend.Spec, bits int) {
	s.Bits = bits
	if s.Symmetric {
		s.ZeroMin = 1 << (bits - 1)
		s.ZeroMax = s.ZeroMin
	}
}

func setGroups(s *backend.Spec, kind quant.GroupKind, size, count, longest int) {
	s.Groups = backend.GroupSpec{Kind: kind, Size: size, Count: count, Shortest: max(1, s.K-(count-1)*longest), Longest: longest}
}

// acceptedBase returns a Spec that k accepts, with the layer it is of.
func (r *rig) acceptedBase(k backend.Kernel) (spec backend.Spec, l *quant.Linear, found bool) {
	for i, c := range append(sampleCells(r.o), searchCells(r.o)...) {
		if i == len(r.bases) {
			r.bases = append(r.bases, c.build())
		}
		l := r.bases[i] // the same for every type
		for _, t := range types {
			c.x, c.y = t, t
			s, err := backend.NewSpec(l, c.request())
			r.must(err, "NewSpec")
			if k.Supports(r.info, s) == nil {
				return s, l, true
			}
		}
	}
	return spec, nil, false
}

func checkRefusals(r *rig) {
	for _, k := range r.kernels {
		base, l, found := r.acceptedBase(k)
		if !found {
			if !r.unsuited(k) {
				r.fail(nil, "kernel %s accepts no sample at all, and not for one reason that is in every refusal, as an instruction that the device lacks would be", k.Name())
			}
			continue
		}
		for _, v := range variants() {
			if v.never && base.Plain.Valid() && v.factor != "recipe" && v.factor != "x" && v.factor != "y" {
				continue // says nothing about plain weights
			}
			s := base
			v.change(&s)
			r.checkRefusal(k, v, s, l)
		}
	}
	for _, c := range gridCells(r.o) {
		spec, err := backend.NewSpec(c.build(), c.request())
		r.must(err, "NewSpec")
		for _, k := range r.kernels {
			r.typed(k, k.Supports(r.info, spec), c.short())
		}
	}
}

// unsuited reports whether k refuses every sample for the same reason, among
// others: that is one of the device, not of the layer.
func (r *rig) unsuited(k backend.Kernel) bool {
	var common []backend.Reason
	for i, c := range sampleCells(r.o) {
		c.x, c.y = types[0], types[0]
		spec, err := backend.NewSpec(c.build(), c.request())
		r.must(err, "NewSpec")
		refusal := k.Supports(r.info, spec)
		switch {
		case refusal == nil:
			return false
		case i == 0:
			common = slices.Clone(refusal.Reasons)
		}
		common = slices.DeleteFunc(common, func(reason backend.Reason) bool { return !slices.Contains(refusal.Reasons, reason) })
	}
	return len(common) > 0
}

func (r *rig) checkRefusal(k backend.Kernel, v variant, s backend.Spec, l *quant.Linear) {
	refusal := k.Supports(r.info, s)
	r.typed(k, refusal, v.name)
	if !v.never {
		return
	}
	if refusal == nil {
		r.fail(nil, "kernel %s accepts what it cannot know: %s", k.Name(), v.name)
		return
	}
	layer, err := k.Prepare(r.ctx, r.dev, l, s)
	if err == nil {
		_ = layer.Close()
	}
	r.wantErr(nil, "kernel "+k.Name()+": Prepare with "+v.name, err, backend.ErrUnsupported)
}

// typed checks the form of a refusal.
func (r *rig) typed(k backend.Kernel, refusal *backend.Refusal, about string) {
	if refusal == nil {
		return
	}
	if refusal.Kernel != k.Name() {
		r.fail(nil, "kernel %s, %s: the refusal is by %q", k.Name(), about, refusal.Kernel)
	}
	if len(refusal.Reasons) == 0 {
		r.fail(nil, "kernel %s, %s: the refusal has no reasons", k.Name(), about)
	}
	for _, reason := range refusal.Reasons {
		if reason.Field == "" || reason.Has == "" || reason.Wants == "" {
			r.fail(nil, "kernel %s, %s: the reason %+v lacks its field, what it has or what is wanted", k.Name(), about, reason)
		}
	}
}

func checkReasons(r *rig) {
	pairs := 0
	for _, k := range r.kernels {
		base, _, found := r.acceptedBase(k)
		if !found {
			continue
		}
		refused := map[string]*backend.Refusal{}
		for _, v := range variants() {
			s := base
			v.change(&s)
			if refusal := k.Supports(r.info, s); refusal != nil {
				refused[v.name] = refusal
			}
		}
		for _, a := range variants() {
			for _, b := range variants() {
				if a.factor >= b.factor || refused[a.name] == nil || refused[b.name] == nil {
					continue
				}
				pairs++
				s := base
				a.change(&s)
				b.change(&s)
				r.bothReasons(k, a, b, refused, k.Supports(r.info, s))
			}
		}
	}
	if pairs == 0 {
		r.skip("no kernel refuses two things that can come together")
	}
}

// bothReasons checks that the refusal of two changes names the fields of both.
func (r *rig) bothReasons(k backend.Kernel, a, b variant, refused map[string]*backend.Refusal, both *backend.Refusal) {
	if both == nil {
		r.fail(nil, "kernel %s refuses %s, and %s, but accepts both together", k.Name(), a.name, b.name)
		return
	}
	for _, v := range []variant{a, b} {
		for _, want := range refused[v.name].Reasons {
			if !slices.ContainsFunc(both.Reasons, func(got backend.Reason) bool { return got.Field == want.Field }) {
				r.fail(nil, "kernel %s, %s together with %s: the refusal does not name %q: %v", k.Name(), a.name, b.name, want.Field, both)
				return
			}
		}
	}
}

// agreementCells are cells of every sort: what the other checks prepare.
func agreementCells(o Options) []cell {
	cells := append(gridCells(o), sampleCells(o)...)
	for _, t := range types {
		cells = append(cells, cell{n: 9, k: 40, m: 2, plain: t, x: t, y: dtype.F32, seed: o.Seed})
	}
	return cells
}

func checkSupportsPrepare(r *rig) {
	for _, c := range agreementCells(r.o) {
		l := c.build()
		r.agree(&c, l)
		if c.recipe.Kind != quant.Int4FlatQuant {
			r.agree(&c, shard(l, quant.AxisK, 1))
		}
		r.agree(&c, shard(l, quant.AxisN, 2))
	}
}

func (r *rig) agree(c *cell, l *quant.Linear) {
	r.heed()
	spec, err := backend.NewSpec(l, c.request())
	r.must(err, "NewSpec")
	accepted := false
	for _, k := range r.kernels {
		s := &subject{cell: *c, kernel: k, linear: l, spec: spec}
		refusal := k.Supports(r.info, spec)
		if again := k.Supports(r.info, spec); !reflect.DeepEqual(refusal, again) {
			r.fail(s, "Supports says %v, and then %v", refusal.Err(), again.Err())
			continue
		}
		layer, err := k.Prepare(r.ctx, r.dev, l, spec)
		if refusal != nil {
			r.sameRefusal(s, refusal, layer, err)
			continue
		}
		accepted = true
		r.tally(func(c *Result) { c.Ran++ })
		if err != nil {
			r.fail(s, "Supports accepts it, but Prepare gives: %v", err)
			continue
		}
		if got := layer.Spec(); !got.Equal(&spec) {
			r.fail(s, "the layer's Spec is not the one that it was prepared for: %s, M %d", got.Scheme(), got.MaxRows)
		}
		_ = layer.Close()
	}
	if !accepted {
		r.tally(func(c *Result) { c.Refused++ })
	}
}

func (r *rig) sameRefusal(s *subject, want *backend.Refusal, layer backend.Layer, err error) {
	if err == nil {
		_ = layer.Close()
		r.fail(s, "Supports refuses it (%v), but Prepare makes a layer", want)
		return
	}
	var got *backend.Refusal
	if !errors.As(err, &got) || !reflect.DeepEqual(got, want) {
		r.fail(s, "Supports refuses it with %q, but Prepare with %q", want.Error(), err.Error())
	}
}

func checkDepth(r *rig) {
	for _, c := range agreementCells(r.o) {
		r.plan(c, func(s *subject) {
			n := s.num
			if n.Depth < 1 || n.Depth > s.k/8+32 {
				r.fail(s, "Depth is %d, want 1 to K/8 + 32 = %d", n.Depth, s.k/8+32)
			}
			if !(n.WeightRound >= 0) || !(n.FlushBelow >= 0) || n.CodeSlack < 0 {
				r.fail(s, "WeightRound %v, FlushBelow %v and CodeSlack %d may not be negative", n.WeightRound, n.FlushBelow, n.CodeSlack)
			}
			if n.FlushBelow > 0x1p-30 {
				r.fail(s, "FlushBelow is %v, want at most 2^-30 for numbers of ordinary size", n.FlushBelow)
			}
			if r.info.Family == "cpu" && !n.BatchInvariant {
				r.fail(s, "a kernel of the family cpu is to promise BatchInvariant")
			}
		})
	}
}
