package linear

import (
	"context"
	"fmt"
	"math"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Kernels is the table of every CUDA device, best first.
func Kernels() []backend.Kernel {
	var all []backend.Kernel
	for _, form := range []struct {
		variant                    string
		gather, invariant, rounded bool
	}{{"", false, false, false}, {"_gather", true, false, false}, {"_invariant", false, true, false}, {"_rounded", false, false, true}} {
		for _, w := range []struct{ bits, least int }{{2, 2}, {3, 3}, {4, 4}, {8, 5}} {
			all = append(all, &kernel{
				name:  fmt.Sprintf("cuda_w%dg_a16_mma%s", w.bits, form.variant),
				least: w.least, most: w.bits, gathers: form.gather, invariant: form.invariant, rounded: form.rounded,
			})
		}
		if !form.gather && !form.rounded { // plain weights have neither groups nor scales
			all = append(all, &kernel{name: "cuda_wx_a16_mma" + form.variant, plain: true, invariant: form.invariant})
		}
	}
	return all
}

// kernel is one of the table: the weights that it packs, and what sets it apart
// of the others for these.
type kernel struct {
	name        string
	least, most int  // bits of codes
	plain       bool // plain weights instead
	gathers     bool // x always through a map
	invariant   bool // and through one where there must be
	rounded     bool // likewise; many rows meet scaled weights that are rounded to x's type
}

// plan is how k packs a layer.
func (k *kernel) plan(s *backend.Spec) *plan { return newPlan(s, k.gathers || !straight(s), k.rounded) }

var _ backend.Kernel = (*kernel)(nil)

// Name implements backend.Kernel.
func (k *kernel) Name() string { return k.name }

// leastCapability is that of the PTX in kernels/cuda.
const leastCapability = 80

// Supports implements backend.Kernel.
func (k *kernel) Supports(i backend.DeviceInfo, s backend.Spec) (r *backend.Refusal) {
	if i.Family != "cuda" {
		r = r.Add(k.name, "device", i.Family, "cuda", "")
	} else if i.Capability > 0 && i.Capability < leastCapability { // 0: a device that is not there
		r = r.Add(k.name, "compute capability", fmt.Sprintf("%d.%d", i.Capability/10, i.Capability%10), "at least 8.0: mma.sync of m16n8k16 and cp.async", "")
	}
	switch {
	case s.Plain.Valid() && !k.plain:
		return r.Add(k.name, "weights", "plain "+s.Plain.String(), "integer codes", "")
	case !s.Plain.Valid() && k.plain:
		return r.Add(k.name, "weights", fmt.Sprintf("%d-bit codes", s.Bits), "plain float16 or bfloat16", "")
	case k.plain && s.Plain != dtype.F16 && s.Plain != dtype.BF16:
		r = r.Add(k.name, "weights", "plain "+s.Plain.String(), "float16 or bfloat16", "the tensor cores multiply 16-bit numbers")
	case k.plain && s.X.Valid() && s.X != dtype.F32 && s.Plain != s.X:
		r = r.Add(k.name, "x type", s.X.String(), s.Plain.String()+", the type of the weights", "")
	case !k.plain && (s.Bits < k.least || s.Bits > k.most):
		r = r.Add(k.name, "bits", fmt.Sprint(s.Bits), bitsRange(k.least, k.most), "")
	}
	if s.Recipe.Kind != quant.Exact {
		r = r.Add(k.name, "activations", s.Recipe.String(), "exact", s.AdviseRecipe("ask for exact activations"))
	}
	if s.X != dtype.F16 && s.X != dtype.BF16 {
		r = r.Add(k.name, "x type", s.X.String(), "float16 or bfloat16", "ask for x in one of them (--dtype): tensor cores multiply 16-bit numbers")
	}
	if !s.Y.Valid() {
		r = r.Add(k.name, "y type", s.Y.String(), "float32, float16 or bfloat16", "")
	}
	if !k.plain && !s.Scales.Valid() {
		r = r.Add(k.name, "scale type", s.Scales.String(), "float32, float16 or bfloat16", "")
	}
	if !k.plain && !s.ScalesFinite {
		r = r.Add(k.name, "scales", "not all finite", "finite numbers", "repair the checkpoint")
	}
	if lo, hi := zeroRange(&s); !k.plain && (s.ZeroMin < lo || s.ZeroMax > hi) {
		r = r.Add(k.name, "zero points", fmt.Sprintf("%d..%d", s.ZeroMin, s.ZeroMax), fmt.Sprintf("%d..%d, with which code − zero point is exact in %v", lo, hi, s.X), "")
	}
	if !k.plain && s.Groups.Kind > quant.ActOrder {
		r = r.Add(k.name, "groups", s.Groups.Kind.String(), "per-channel, uniform, ragged or act-order", "")
	}
	if what, has := s.Impossible(); what != "" {
		return r.Add(k.name, what, has, "what a layer can have", "derive the Spec with backend.NewSpec")
	}
	return k.forGroups(r, &s)
}

func bitsRange(least, most int) string {
	if least == most {
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d..%d", least, most)
}

// zeroRange is which zero points give differences that the kernels make
// exactly: kernels/cuda/bricks.cuh says why these.
func zeroRange(s *backend.Spec) (lo, hi int) {
	bits := packedBits(s)
	if lo = 1<<min(s.Bits, bits) - 1 - 256; s.X == dtype.BF16 && bits < 8 {
		return lo, 128
	}
	return lo, 256
}

// forGroups adds what does not fit in how K is divided.
func (k *kernel) forGroups(r *backend.Refusal, s *backend.Spec) *backend.Refusal {
	if !k.gathers && !k.invariant && !k.rounded && !straight(s) {
		r = r.Add(k.name, "groups", ordered(s), "in order, a multiple of 32 features each", "the gather kernel takes them")
	}
	if s.K > mostFeatures || s.N > mostFeatures {
		return r.Add(k.name, "N x K", fmt.Sprintf("%d x %d", s.N, s.K), fmt.Sprintf("at most %d each", mostFeatures), "")
	}
	if !k.plain && s.Groups.Count > s.K {
		return r.Add(k.name, "groups", fmt.Sprint(s.Groups.Count), fmt.Sprintf("at most K = %d", s.K), "")
	}
	if r != nil {
		return r
	}
	if want := wantedScales(s); k.rounded && want != "" {
		return r.Add(k.name, "scales", fmt.Sprintf("%g to %g", s.ScaleMin, s.ScaleMax), want, "take a kernel that rounds no weights")
	}
	p := k.plan(s)
	if p.units > mostUnits {
		return r.Add(k.name, "groups", fmt.Sprintf("%d units of up to %d features", p.units, unitFeatures), fmt.Sprintf("at most %d", mostUnits), "")
	}
	if depth := p.depth(); depth > mostRoundings(s) {
		return r.Add(k.name, "groups", fmt.Sprintf("%d of up to %d features: sums of %d roundings", s.Groups.Count, s.Groups.Longest, depth),
			fmt.Sprintf("sums of at most %d", mostRoundings(s)), "")
	}
	if rows := min(mostRows, int64(math.MaxInt32)/int64(max(p.np, p.units*unitFeatures))); int64(s.MaxRows) > rows {
		return r.Add(k.name, "MaxRows", fmt.Sprint(s.MaxRows), fmt.Sprintf("at most %d for this N and K", rows), "ask for fewer rows")
	}
	return r
}

// mostFeatures keeps element counts of a row within 31 bits with all padding.
const mostFeatures = 1 << 24

func ordered(s *backend.Spec) string {
	if s.Groups.Kind == quant.Uniform {
		return fmt.Sprintf("of %d features, K %d", s.Groups.Size, s.K)
	}
	return fmt.Sprintf("%v, K %d", s.Groups.Kind, s.K)
}

// Footprint implements backend.Kernel.
func (k *kernel) Footprint(i backend.DeviceInfo, s backend.Spec) backend.Footprint {
	p := k.plan(&s)
	return backend.Footprint{
		Weights:   p.at.total,
		Workspace: int64(k.ways(p, &i).workspace(s.MaxRows)),
		Staging:   p.staging(),
	}
}

// Numerics implements backend.Kernel.
func (k *kernel) Numerics(s backend.Spec) backend.Numerics {
	p := k.plan(&s)
	n := backend.Numerics{Depth: p.depth(), FlushBelow: smallestNormal, BatchInvariant: k.invariant}
	if s.X == dtype.BF16 && !k.plain {
		n.FlushBelow = smallestShrunk
	}
	if s.X == dtype.F16 && (k.plain || k.rounded) {
		n.FlushBelow = misaligned
	}
	if k.rounded {
		n.WeightRound = weightRound(s.X)
		n.FlushBelow = max(n.FlushBelow, math.Ldexp(smallestNormal, p.exponent))
	}
	return n
}

const (
	// smallestNormal is the least float32 that a tensor core is trusted to keep.
	smallestNormal = 0x1p-126

	// Codes enter 2⁻¹⁶ times as large where x is bfloat16, so that no sum leaves
	// float32, which makes its products smaller.
	smallestShrunk = smallestNormal * (1 << 16)

	// A tensor core may align a product with a subnormal float16 as if that were
	// 2⁻¹⁴, and then cuts all of the step's at a place too high: each cut loses as
	// much as 2⁻²⁴ of 2⁻¹⁴ times the other factor. With codes, nothing is below the cut.
	misaligned = stepRoundings * 0x1p-14 * 0x1p-24
)

// Prepare implements backend.Kernel.
func (k *kernel) Prepare(ctx context.Context, d backend.Device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
	dev, err := device.Of(d)
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
