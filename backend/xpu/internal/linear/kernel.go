package linear

import (
	"context"
	"fmt"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/device"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Config is what the kernels of one backend have in common.
type Config struct {
	// Workspace asks oneDNN what calls of MaxRows rows of a plan need on a
	// device; false where there is no such device.
	Workspace func(id string, p *driver.Plan) (int64, bool)

	// CodeSlack is how far a code may be from the recipe's: 1 where the engine's
	// division is not known to be IEEE's.
	CodeSlack int
}

// Kernels is the table of a backend, best first.
func Kernels(c *Config) []backend.Kernel {
	return []backend.Kernel{
		&kernel{config: c, name: "xpu_w4g_a8_onednn", least: 2, most: 4, codes: true},
		&kernel{config: c, name: "xpu_w8_a8_onednn", least: 5, most: 8, codes: true},
		&kernel{config: c, name: "xpu_w4g_a16_onednn", least: 2, most: 4},
		&kernel{config: c, name: "xpu_w8_a16_onednn", least: 5, most: 8},
		&kernel{config: c, name: "xpu_wx_a16_onednn", plain: true},
	}
}

// kernel is one of the table.
type kernel struct {
	config      *Config
	name        string
	least, most int  // bits of codes
	codes       bool // activations are quantized
	plain       bool // plain weights instead of codes
}

var _ backend.Kernel = (*kernel)(nil)

// Name implements backend.Kernel.
func (k *kernel) Name() string { return k.name }

const (
	// leastGroup is what oneDNN wants group sizes to be a multiple of, "due to
	// hardware specifics".
	leastGroup = 16

	// mostElements bounds rows times features, so that sizes of a workspace fit.
	mostElements = 1 << 32
)

// Supports implements backend.Kernel.
func (k *kernel) Supports(i backend.DeviceInfo, s backend.Spec) (r *backend.Refusal) {
	if i.Family != "xpu" && i.Family != "xpu-cpu" { // the latter: one that is not there, known by its backend's name
		r = r.Add(k.name, "device", i.Family, "xpu", "")
	}
	switch {
	case s.Plain.Valid() && !k.plain:
		return r.Add(k.name, "weights", "plain "+s.Plain.String(), "integer codes", "")
	case !s.Plain.Valid() && k.plain:
		return r.Add(k.name, "weights", fmt.Sprintf("%d-bit codes", s.Bits), "plain float32, float16 or bfloat16", "")
	}
	if !k.plain && (s.Bits < k.least || s.Bits > k.most) {
		r = r.Add(k.name, "bits", fmt.Sprint(s.Bits), fmt.Sprintf("%d..%d", k.least, k.most), "")
	}
	r = k.forRecipe(r, &s)
	if !s.X.Valid() {
		r = r.Add(k.name, "x type", s.X.String(), "float32, float16 or bfloat16", "")
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
	if !k.plain {
		r = k.forZeros(r, &s)
	}
	if what, has := s.Impossible(); what != "" {
		return r.Add(k.name, what, has, "what a layer can have", "derive the Spec with backend.NewSpec")
	}
	if !k.plain {
		r = k.forGroups(r, &s)
	}
	return k.forSizes(r, &s)
}

// forRecipe adds what does not fit in how activations enter.
func (k *kernel) forRecipe(r *backend.Refusal, s *backend.Spec) *backend.Refusal {
	_, known := quantizers[s.Recipe.Kind]
	switch {
	case !k.codes && s.Recipe.Kind != quant.Exact:
		return r.Add(k.name, "activations", s.Recipe.String(), "exact", s.AdviseRecipe("ask for exact activations (--activations exact)"))
	case k.codes && s.Recipe.Kind == quant.Exact:
		return r.Add(k.name, "activations", "exact", quant.Int8TokenXPU.String()+" or "+quant.Int8Token.String(), "allow 8-bit activations (--activations int8-token-xpu)")
	case k.codes && !known:
		return r.Add(k.name, "activations", s.Recipe.String(), quant.Int8TokenXPU.String()+" or "+quant.Int8Token.String()+": oneDNN's primitives make the codes of these", "ask for one (--activations int8-token-xpu)")
	}
	return r
}

// zeroRange is which zero points, less the middle where codes are stored so, fit s8.
func (k *kernel) zeroRange(s *backend.Spec) (lo, hi int) {
	middle := k.middle(s)
	return middle - 128, middle + 127
}

// middle is what is taken off codes and zero points when they are stored.
func (k *kernel) middle(s *backend.Spec) int {
	if k.plain || k.most <= 4 || s.Bits < 1 || s.Bits > 8 {
		return 0
	}
	return 1 << (s.Bits - 1)
}

func (k *kernel) forZeros(r *backend.Refusal, s *backend.Spec) *backend.Refusal {
	if lo, hi := k.zeroRange(s); s.ZeroMin < lo || s.ZeroMax > hi {
		r = r.Add(k.name, "zero points", fmt.Sprintf("%d..%d", s.ZeroMin, s.ZeroMax), fmt.Sprintf("%d..%d, which are stored in 8 bits", lo, hi), "")
	}
	if k.codes && k.most <= 4 && (s.ZeroMin < 0 || s.ZeroMax > 15) && wholeGroups(s) != s.K {
		r = r.Add(k.name, "zero points", fmt.Sprintf("%d..%d, K %d", s.ZeroMin, s.ZeroMax, s.K),
			"0..15 where K is not whole groups: features behind it are stored as their zero point", "")
	}
	return r
}

// forGroups adds what does not fit in how K is divided.
func (k *kernel) forGroups(r *backend.Refusal, s *backend.Spec) *backend.Refusal {
	switch g := &s.Groups; g.Kind {
	case quant.PerChannel:
	case quant.Uniform:
		if g.Size%leastGroup != 0 && g.Size < s.K {
			r = r.Add(k.name, "group size", fmt.Sprint(g.Size), fmt.Sprintf("a multiple of %d, or all of K: oneDNN has no others", leastGroup), "")
		}
		if g.Count != (s.K+g.Size-1)/g.Size {
			r = r.Add(k.name, "groups", fmt.Sprintf("%d of %d features, K %d", g.Count, g.Size, s.K), "those that K has", "")
		}
	case quant.ActOrder:
		r = r.Add(k.name, "groups", "act-order", "per-channel or uniform: oneDNN reads x in its order and gathers nothing", "quantize without act-order, or take another device")
	default:
		r = r.Add(k.name, "groups", g.Kind.String(), "per-channel or uniform: oneDNN's groups have one size", "")
	}
	return r
}

// forSizes adds sizes that overflow something.
func (k *kernel) forSizes(r *backend.Refusal, s *backend.Spec) *backend.Refusal {
	if k.codes && s.K < 2 {
		r = r.Add(k.name, "K", fmt.Sprint(s.K), "at least 2: oneDNN takes no maximum of one feature", "")
	}
	if k.codes && int64(s.Groups.Longest)*128*int64(k.farthest(s)) > 1<<31-1 {
		r = r.Add(k.name, "longest group", fmt.Sprint(s.Groups.Longest), fmt.Sprintf("at most %d: sums of codes are 32 bits", (1<<31-1)/(128*k.farthest(s))), "")
	}
	if widest := int64(max(s.K+128, s.N)); int64(s.MaxRows)*widest > mostElements {
		r = r.Add(k.name, "MaxRows", fmt.Sprint(s.MaxRows), fmt.Sprintf("at most %d for this N and K", mostElements/widest), "ask for fewer rows")
	}
	return r
}

// farthest is the largest |u − z|, for any bits and zeros that are refused, too.
func (k *kernel) farthest(s *backend.Spec) int {
	top := 1<<max(0, min(s.Bits, 8)) - 1
	lo, hi := max(s.ZeroMin, -1<<10), min(s.ZeroMax, 1<<10)
	return max(top-lo, hi, 1)
}

// Footprint implements backend.Kernel. Where the device is not there, the
// workspace is an estimate: what oneDNN wants for itself is not known.
func (k *kernel) Footprint(i backend.DeviceInfo, s backend.Spec) backend.Footprint {
	p := k.plan(&s, true) // what is refused for its implementation has a workspace, too
	f := backend.Footprint{Weights: p.at.total, Staging: p.staging()}
	var known bool
	if k.config.Workspace != nil {
		f.Workspace, known = k.config.Workspace(i.ID, &p.driver)
	}
	if !known {
		f.Workspace = p.estimate()
	}
	return f
}

// Numerics implements backend.Kernel.
func (k *kernel) Numerics(s backend.Spec) backend.Numerics {
	n := backend.Numerics{Depth: k.plan(&s, false).depth(), FlushBelow: smallestNormal}
	if k.codes {
		n.CodeSlack = k.config.CodeSlack
	}
	if s.Recipe.Kind == quant.Int8Token && s.X != dtype.F16 {
		n.FlushBelow = subnormalScale
	}
	return n
}

// smallestNormal is the least float32 that an engine is trusted to keep.
const smallestNormal = 0x1p-126

// subnormalScale is above every row whose scale in the recipe int8-token is
// subnormal in bfloat16 and float32: max|x| / 127.5 < 2⁻¹²⁶. oneDNN rounds such a scale
// to 0 (bfloat16, measured on its CPU engine), and the row counts as one of zeros.
const subnormalScale = 0x1p-119

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
