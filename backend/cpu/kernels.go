package cpu

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/peak"
	"github.com/bitlane/bitlane/quant"
)

// kernels is what the backend offers, best first: those of each unit, then
// those in plain Go, which refuse nothing that a loader can produce.
var kernels = tableOf(ordered(units, tuningOf(peak.ThisCore())))

// ordered returns the units, best first on a processor: where it does no more exact
// products on pairs of bfloat16 than on float32, a unit of pairs comes behind the next
// one that takes any x. Its kernels can still be named.
func ordered(units []*unit, t *tuned) []*unit {
	units = slices.Clone(units)
	for i := 1; i < len(units) && t.floatsFirst; i++ {
		if u := units[i]; units[i-1].exact == (offer{true, pairPanel}) && u.exact == (offer{true, floatPanel}) {
			units[i-1], units[i] = u, units[i-1]
			break
		}
	}
	return units
}

func tableOf(units []*unit) (all []*kernel) {
	for _, u := range units {
		add := func(name string, offered bool, k kernel) {
			if offered {
				k.name, k.unit = "cpu_"+name+"_"+u.name, u
				all = append(all, &k)
			}
		}
		add("w4g_a8", u.four.is, kernel{act: int8Codes, least: 2, most: 4})
		add("w8g_a8", u.eight.is, kernel{act: int8Codes, least: 5, most: 8})
		add("w4g_a4", u.four.is, kernel{act: int4Codes, least: 2, most: 4})
		add("w8g_a4", u.eight.is, kernel{act: int4Codes, least: 5, most: 8})
		add("w4g_a16", u.exact.is, kernel{act: exact, least: 2, most: 4})
		add("w8g_a16", u.exact.is, kernel{act: exact, least: 5, most: 8})
		add("wx_a16", u.exact.is, kernel{act: exact, plain: true})
	}
	return append(all,
		&kernel{name: "cpu_wxg_a16_go", act: exact, least: 2, most: 8},
		&kernel{name: "cpu_wx_a16_go", act: exact, plain: true},
		&kernel{name: "cpu_wxg_a8_go", act: int8Codes, least: 2, most: 8},
		&kernel{name: "cpu_wxg_a4_go", act: int4Codes, least: 2, most: 8})
}

// activations says what the rows of x are prepared to.
type activations uint8

const (
	exact     activations = iota // float32 values
	int8Codes                    // int8 or int4 codes, or int16 code − zero point, and scales
	int4Codes                    // the same after FlatQuant's transform
)

func (a activations) String() string {
	return [...]string{"exact", "an int8 recipe", quant.Int4FlatQuant.String()}[a]
}

// fix says how a caller gets these activations.
func (a activations) fix() string {
	return [...]string{
		"ask for exact activations",
		"allow one, int8-group for accuracy",
		"needs a checkpoint with FlatQuant's transforms",
	}[a]
}

// activationsOf returns what a recipe asks for, false for an unknown one.
func activationsOf(r quant.Recipe) (activations, bool) {
	switch r.Kind {
	case quant.Exact:
		return exact, true
	case quant.Int8TokenAsym, quant.Int8Token, quant.Int8TokenXPU, quant.Int8TokenAscend, quant.Int8Group, quant.Int4TokenAscend:
		return int8Codes, true
	case quant.Int4FlatQuant:
		return int4Codes, true
	}
	return 0, false
}

// kernel is one kernel of a unit, or in plain Go.
type kernel struct {
	name        string
	act         activations
	plain       bool // plain weights, otherwise integer codes
	least, most int  // bits of codes
	unit        *unit
}

var _ backend.Kernel = (*kernel)(nil)

func (k *kernel) Name() string { return k.name }

func (k *kernel) Supports(i backend.DeviceInfo, s backend.Spec) (r *backend.Refusal) {
	if i.Family != "cpu" {
		r = r.Add(k.name, "device", i.Family, "cpu", "")
	}
	if k.unit != nil {
		if missing := k.unit.missing(i.Features); missing != nil {
			r = r.Add(k.name, "processor", "without "+strings.Join(missing, ", "), "with them", "see "+MaskVariable+" if it has them")
		}
	}
	switch {
	case s.Plain.Valid() && !k.plain:
		r = r.Add(k.name, "weights", "plain "+s.Plain.String(), "integer codes", "")
	case !s.Plain.Valid() && k.plain:
		wants := "plain float32, float16 or bfloat16"
		if k.unit != nil && k.unit.exact.kind.pairs() {
			wants = "plain bfloat16"
		}
		r = r.Add(k.name, "weights", fmt.Sprintf("%d-bit codes", s.Bits), wants, "")
	case !s.Plain.Valid() && (s.Bits < k.least || s.Bits > k.most):
		r = r.Add(k.name, "bits", fmt.Sprint(s.Bits), fmt.Sprintf("%d..%d", k.least, k.most), "")
	}
	if act, known := activationsOf(s.Recipe); !known || act != k.act {
		r = r.Add(k.name, "activations", s.Recipe.String(), k.act.String(), s.AdviseRecipe(k.act.fix()))
	}
	if !s.Plain.Valid() && !s.ScalesFinite {
		r = r.Add(k.name, "scales", "not all finite", "finite numbers", "repair the checkpoint")
	}
	if !s.Plain.Valid() && !s.Scales.Valid() {
		r = r.Add(k.name, "scale type", s.Scales.String(), "float32, float16 or bfloat16", "")
	}
	if s.Groups.Kind > quant.ActOrder {
		r = r.Add(k.name, "groups", s.Groups.Kind.String(), "per-channel, uniform, ragged or act-order", "")
	}
	for _, t := range []struct {
		field string
		t     dtype.DType
	}{{"x type", s.X}, {"y type", s.Y}} {
		if !t.t.Valid() {
			r = r.Add(k.name, t.field, t.t.String(), "float32, float16 or bfloat16", "")
		}
	}
	if what, has := s.Impossible(); what != "" {
		return r.Add(k.name, what, has, "what a layer can have", "derive the Spec with backend.NewSpec")
	}
	if r = k.forUnit(r, &s); r != nil {
		return r
	}
	if n := needsOf(&s, k.panel(&s), k.unit); n.parts*(n.stride()+n.tiles) > (math.MaxInt>>1)/(s.MaxRows+asm.TileRows) {
		r = r.Add(k.name, "MaxRows", fmt.Sprint(s.MaxRows), "a workspace that can be addressed", "ask for fewer rows")
	}
	return r
}

// widestPanel is the largest K of a panel.
const widestPanel = 1 << 24

// forUnit adds what a kernel of a unit refuses and plain Go does not.
func (k *kernel) forUnit(r *backend.Refusal, s *backend.Spec) *backend.Refusal {
	if k.unit == nil {
		return r
	}
	if !k.plain && !zerosFit(s) {
		r = r.Add(k.name, "zero points", fmt.Sprintf("%d..%d", s.ZeroMin, s.ZeroMax), "0..255", "")
	}
	if k.act == exact && k.unit.exact.kind.pairs() {
		r = k.forPairs(r, s)
	}
	if s.K > widestPanel {
		return r.Add(k.name, "K", fmt.Sprint(s.K), fmt.Sprintf("at most %d", widestPanel), "")
	}
	z := sizesOf(s)
	if k.act == exact && k.unit.exact.kind == tilePanel && z.tiled > s.K+s.K/paddingOfTiles {
		what := "K"
		if z.segments > 1 {
			what = "groups"
		}
		r = r.Add(k.name, what, fmt.Sprintf("%d features, %d with those that fill tiles of %d", s.K, z.tiled, asm.TilePairs), fmt.Sprintf("at most %d with them", s.K+s.K/paddingOfTiles), "")
	}
	most := s.K/8 + 32 // roundings of a sum
	if z.segments > most {
		return r.Add(k.name, "groups", fmt.Sprintf("%d of %d features", z.segments, s.K), "8 features in each, on average", "")
	}
	if r != nil {
		return r
	}
	if depth := k.panel(s).depth(); depth > most {
		r = r.Add(k.name, "groups", fmt.Sprintf("%d of up to %d features: sums of %d roundings", s.Groups.Count, s.Groups.Longest, depth), fmt.Sprintf("sums of at most %d", most), "")
	}
	return r
}

// Unit names the instructions that multiply so many rows of a layer that k supports, as
// its name ends with some: few rows are not on tiles.
func (k *kernel) Unit(s backend.Spec, rows int) string {
	if k.unit == nil {
		return "go"
	}
	p := k.panel(&s)
	switch {
	case !k.unit.tiles || p.tileFeatures > 0 && rows*p.parts >= p.leastTiled():
		return k.unit.name
	case k.act == exact:
		return k.unit.few[1]
	}
	return k.unit.few[0]
}

// panel is how k lays out the weights, nil in plain Go.
func (k *kernel) panel(s *backend.Spec) *panel {
	if k.unit == nil {
		return nil
	}
	kind := k.unit.eight.kind
	switch {
	case k.act == exact:
		kind = k.unit.exact.kind
	case k.most <= 4:
		kind = k.unit.four.kind
	}
	p := newPanel(kind, s)
	if k.unit.tiles {
		p.tileFeatures = p.canTile()
	}
	return p
}

func (k *kernel) Footprint(i backend.DeviceInfo, s backend.Spec) backend.Footprint {
	p := k.panel(&s)
	at, n := layoutOf(&s, p), needsOf(&s, p, k.unit)
	return backend.Footprint{
		Weights:   int64(at.total),
		Workspace: int64(n.workspace(&s, i.Units, s.MaxRows)),
		Staging:   staging(&s, p, i.Units),
	}
}

// Numerics counts, for exact kernels in plain Go: the weight, its product with
// x, at most ⌈K/8⌉ sums in a lane, three of lanes, and the bias; for their
// integer kernels, whose sums within a group are exact: the group's sum, its
// product with two scales, the sums over groups, and the bias.
func (k *kernel) Numerics(s backend.Spec) backend.Numerics {
	n := backend.Numerics{BatchInvariant: true}
	switch segments := sizesOf(&s).segments; {
	case k.unit != nil:
		p := k.panel(&s)
		n.Depth = p.depth()
		switch {
		case p.kind == tilePanel:
			n.FlushBelow = p.flushTiles()
		case tamed(&s, p):
			n.FlushBelow = flushBelow
		case p.kind == pairPanel:
			n.FlushBelow = flushPairs
		}
	case k.act == exact:
		n.Depth = (s.K+7)/8 + 6
	case inLanes(&s, segments):
		n.Depth = (segments+7)/8 + 7
	default:
		n.Depth = segments + 4
	}
	return n
}

func (k *kernel) Prepare(ctx context.Context, d backend.Device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
	dev, err := of(d)
	if err != nil {
		return nil, err
	}
	if r := k.Supports(d.Info(), s); r != nil {
		return nil, r
	}
	if err := s.Check(l); err != nil {
		return nil, err
	}
	return k.prepare(ctx, dev, l, &s)
}
