package rows_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/guardpage"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

var floats = []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}

// isas are the instruction sets that differ on this processor.
var isas = func() []rows.ISA {
	switch {
	case runtime.GOARCH == "arm64":
		return []rows.ISA{rows.Go, rows.NEON}
	case cpuid.CPU.Supports(cpuid.AVX512F):
		return []rows.ISA{rows.Go, rows.AVX2, rows.AVX512}
	}
	return []rows.ISA{rows.Go, rows.AVX2}
}()

// groupings are maps of k features of every kind.
func groupings(t testing.TB, rng *rand.Rand, k int) []quant.Groups {
	all := []quant.Groups{quant.OneGroup(k)}
	for _, size := range []int{5, 8, 32} {
		g, err := quant.UniformGroups(k, size)
		require.NoError(t, err)
		all = append(all, g)
	}
	bounds := []int32{0}
	for at := 0; at < k; {
		at = min(k, at+1+rng.IntN(40))
		bounds = append(bounds, int32(at))
	}
	ragged, err := quant.RaggedGroups(bounds)
	require.NoError(t, err)
	index := make([]int32, k)
	for i := range index {
		index[i] = int32(rng.IntN(k/20 + 2))
	}
	order, err := quant.IndexedGroups(index, k/20+2)
	require.NoError(t, err)
	return append(all, ragged, order)
}

// form lays rows out for weights of the given groups: segments are cut where an
// activation group or a weight group ends and after longest features, and
// padded to steps of 8 and at times beyond.
func form(rng *rand.Rand, r quant.Recipe, x dtype.DType, v rows.Values, weights *quant.Groups, longest int) rows.Form {
	f := rows.Form{Recipe: r, X: x, K: weights.K(), Act: r.ActGroups(weights), Order: weights.Order(), Values: v}
	ends := weights.Bounds(nil)
	if r.Kind == quant.Int8Group {
		ends = f.Act.Bounds(nil)
	}
	at := 0
	for i, lo := 0, 0; lo < f.K; {
		for int(ends[i]) <= lo {
			i++
		}
		hi := min(int(ends[i]), lo+longest)
		f.Segments = append(f.Segments, rows.Segment{Lo: int32(lo), Hi: int32(hi), At: int32(at)})
		at += (hi - lo + 7) / 8 * 8
		if rng.IntN(12) == 0 {
			at += 8 * (1 + rng.IntN(5))
		}
		lo = hi
	}
	f.Width = at
	if v == rows.Int8 {
		switch {
		case r.Kind == quant.Int8TokenAsym || rng.IntN(3) == 0:
			f.Zeros = asm.ZeroPairs
		case rng.IntN(2) == 0:
			f.Zeros = asm.ZeroBytes
		default:
			f.Zero = int32(rng.IntN(255))
		}
	}
	return f
}

// factors returns l·r = k, neither 1 where k allows.
func factors(k int) (l, r int) {
	for l = int(math.Sqrt(float64(k))); k%l > 0; l-- {
	}
	return l, k / l
}

func transform(rng *rand.Rand, t dtype.DType, l, r int) *quant.Transform {
	tr := &quant.Transform{L: l, R: r, P1: make([]float32, l*l), P2: make([]float32, r*r), Type: t, Clip: 0.5 + rng.Float32()/2}
	for _, p := range [][]float32{tr.P1, tr.P2} {
		for i := range p {
			p[i] = t.Round(float32(rng.NormFloat64() / math.Sqrt(float64(max(l, r)))))
		}
	}
	return tr
}

// prepared is what a row comes to.
type prepared struct {
	values []byte
	side   []int32
	scales []float32
	zero   int32

	codes     []int8 // in the order of x
	actScales []float32
}

// expect computes a row by the definitions of quant/reference.
func expect(f *rows.Form, x []float32) (p prepared) {
	order := f.Order
	if order == nil {
		order = make([]int32, f.K)
		for i := range order {
			order[i] = int32(i)
		}
	}
	p.values = make([]byte, f.Width*f.Values.Size())
	switch {
	case f.Transform != nil:
		p.actScales = make([]float32, 1)
		_, p.codes, p.actScales[0] = reference.FlatQuant(f.Transform, f.X, x)
	case f.Recipe.Kind != quant.Exact:
		p.codes, p.actScales, p.zero = reference.Quantize(f.Recipe, f.X, &f.Act, x)
	}
	if f.Recipe.Kind != quant.Exact && f.Recipe.Kind != quant.Int8Group {
		p.scales = p.actScales
	}
	for _, s := range f.Segments {
		sum := int32(0)
		for i := s.Lo; i < s.Hi; i++ {
			k, at := order[i], int(s.At+i-s.Lo)
			switch f.Values {
			case rows.Float32:
				dtype.F32.Put(p.values, at, x[k])
			case rows.BFloat16:
				if f.Swapped {
					at = at&^3 | []int{0, 2, 1, 3}[at&3]
				}
				dtype.BF16.Put(p.values, at, x[k])
			case rows.Int8:
				p.values[at] = byte(p.codes[k])
				sum += int32(p.codes[k]) - p.zero
			case rows.Int16:
				v := int16(p.codes[k]) - int16(p.zero)
				p.values[2*at], p.values[2*at+1] = byte(v), byte(v>>8)
			}
		}
		if f.Recipe.Kind == quant.Int8Group {
			p.scales = append(p.scales, p.actScales[f.Act.Of(int(order[s.Lo]))])
		}
		if f.Values != rows.Int8 {
			continue
		}
		switch f.Zeros {
		case asm.ZeroConstant:
			p.side = append(p.side, -f.Zero*sum)
		case asm.ZeroBytes:
			p.side = append(p.side, int32(uint16(int16(-sum))))
		case asm.ZeroPairs:
			p.side = append(p.side, int32(uint32(uint16(int16(-sum)))|uint32(uint16(int16(-p.zero)))<<16))
		}
	}
	return p
}

// bench is a plan with guarded memory for all that it reads and writes.
type guarded struct {
	*rows.Plan
	form    rows.Form
	x       []byte
	dst     rows.Dst
	scratch []byte

	codes        []int8
	actScales    []float32
	codesScratch []byte

	placer        *rows.Placer // nil: none
	several       []byte       // rows of x, step bytes apart
	step, at      int          // at is which of them comes next
	placerScratch []byte
}

func newGuarded(t testing.TB, f rows.Form) *guarded {
	p, err := rows.New(f)
	require.NoError(t, err)
	g := &guarded{Plan: p, form: f, x: guardpage.End(t, f.K*f.X.Size())}
	if f.K == 1 { // one that is gathered from a dword would begin before it
		g.x = guardpage.Begin(t, f.X.Size())
	}
	g.dst.Values = guardpage.End(t, f.Width*f.Values.Size())
	if f.Values == rows.Int8 {
		g.dst.Side = view[int32](guardpage.End(t, 4*len(f.Segments)))
	}
	g.dst.Scales = view[float32](guardpage.End(t, 4*p.Scales()))
	g.scratch = guardpage.Begin(t, p.Scratch())
	if f.Recipe.Kind != quant.Exact {
		g.codes = view[int8](guardpage.End(t, f.K))
		g.actScales = view[float32](guardpage.End(t, 4*f.Act.Count()))
		g.codesScratch = guardpage.Begin(t, p.CodesScratch())
	}
	if g.placer = p.Placer(); g.placer != nil {
		g.step = (f.K + f.K%3) * f.X.Size()
		g.several = guardpage.End(t, (g.placer.Rows()-1)*g.step+f.K*f.X.Size())
		g.placerScratch = guardpage.End(t, rows.PlaceScratch(f.K, f.Width, f.X.Size(), (p.Scratch()+63)&^63))
		rubbish(g.several)
	}
	return g
}

func view[T int8 | int32 | float32](b []byte) []T {
	var t T
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(t)))
}

// run prepares x as a row, among others where the plan has a Placer, and as codes, over memory full of
// rubbish, compares all with want, and says what differs. It runs so often that it does without
// reflection, and that its caller names the case only where something does.
func (g *guarded) run(x []float32, want *prepared) error {
	dtype.Encode(g.form.X, g.x, x)
	rubbish(g.scratch)
	if err := g.row(g.Plan, g.x, g.scratch, want); err != nil {
		return err
	}
	if err := g.among(want); err != nil || want.codes == nil {
		return err
	}
	rubbish(g.codesScratch)
	for i := range g.codes {
		g.codes[i] = 99
	}
	zero := g.Codes(g.codes, g.actScales, g.x, g.codesScratch)
	return cmp.Or(same("zero point of codes", []int32{want.zero}, []int32{zero}),
		same("codes", want.codes, g.codes), same("scales of groups", bitsOf(want.actScales), bitsOf(g.actScales)))
}

// row prepares x, as p has it.
func (g *guarded) row(p *rows.Plan, x, scratch []byte, want *prepared) error {
	rubbish(g.dst.Values)
	for i := range g.dst.Side {
		g.dst.Side[i] = -0x5a5a5a5b
	}
	for i := range g.dst.Scales {
		g.dst.Scales[i] = -1
	}
	zero := p.Row(g.dst, x, scratch)
	return cmp.Or(same("zero point", []int32{want.zero}, []int32{zero}), same("scales", bitsOf(want.scales), bitsOf(g.dst.Scales)),
		same("values", want.values, g.dst.Values), same("side", want.side, g.dst.Side))
}

// among puts x in its places as one of several rows, the others of which are what was there before, and
// prepares it.
func (g *guarded) among(want *prepared) error {
	if g.placer == nil {
		return nil
	}
	i := g.at % g.placer.Rows()
	n := i + 1 + g.at/g.placer.Rows()%(g.placer.Rows()-i)
	g.at++
	copy(g.several[i*g.step:], g.x)
	rubbish(g.placerScratch)
	placed, rest := g.placer.Place(g.several[:(n-1)*g.step+len(g.x)], g.step, n, g.placerScratch)
	if err := g.row(g.placer.Plan, placed[i*g.placer.Stride():], rest, want); err != nil {
		return fmt.Errorf("row %d of %d: %w", i, n, err)
	}
	return nil
}

func same[T int8 | byte | int32 | uint32](what string, want, got []T) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d %s, want %d", len(got), what, len(want))
	}
	for i, w := range want {
		if got[i] != w {
			return fmt.Errorf("element %d of %s is %#x, want %#x", i, what, got[i], w)
		}
	}
	return nil
}

// bitsOf are the patterns of v, one for every NaN.
func bitsOf(v []float32) []uint32 {
	b := make([]uint32, len(v))
	for i, v := range v {
		if b[i] = math.Float32bits(v); v != v {
			b[i] = 0x7fc00000
		}
	}
	return b
}

func rubbish(b []byte) {
	for len(b) > 0 {
		b = b[copy(b, a5s):]
	}
}

var a5s = bytes.Repeat([]byte{0xa5}, 1<<12)

// edges are rows of k values of t, by name: those where a slip in rounding,
// clamping or ordering shows.
func edges(rng *rand.Rand, t dtype.DType, k, random int) map[string][]float32 {
	top := t.MaxFinite()
	fill := func(f func(i int) float64) []float32 {
		x := make([]float32, k)
		for i := range x {
			v := f(i)
			if !math.IsInf(v, 0) {
				v = max(-top, min(v, top))
			}
			x[i] = float32(t.RoundF64(v))
		}
		return x
	}
	put := func(v float64) []float32 {
		x, at := fill(func(int) float64 { return rng.NormFloat64() }), rng.IntN(k)
		x[at] = float32(v)
		return x
	}
	sign := func(i int) float64 { return float64(1 - 2*(i%2)) }
	least := t.SmallestNormal() * t.Epsilon()
	m := map[string][]float32{
		"zeros":            fill(func(int) float64 { return 0 }),
		"negative zeros":   fill(func(int) float64 { return math.Copysign(0, -1) }),
		"one negative":     put(-3),
		"positive":         fill(func(i int) float64 { return 1 + rng.Float64() }),
		"negative":         fill(func(i int) float64 { return -1 - rng.Float64() }),
		"ties":             fill(func(i int) float64 { return sign(i) * min(127, float64(i%127)+0.5) }),
		"ties of 127.5":    fill(func(i int) float64 { return sign(i) * (127.5 - float64(i%128)) }),
		"ties of 255":      fill(func(i int) float64 { return 255 - float64(i%256) + 0.5*float64(i%2) - 0.5 }),
		"ties of 7":        fill(func(i int) float64 { return sign(i) * (7 - float64(i%15)/2) }),
		"halves":           fill(func(i int) float64 { return sign(i) * []float64{1.984375, 0.9921875}[i%2] }),
		"outlier":          put(300),
		"huge":             fill(func(i int) float64 { return sign(i) * top * (1 - rng.Float64()/4) }),
		"huge, positive":   fill(func(i int) float64 { return top }),
		"least subnormals": fill(func(i int) float64 { return least * float64(i%300-150) }),
		"one subnormal":    fill(func(i int) float64 { return []float64{least, 0}[min(i, 1)] }),
		"some subnormals":  fill(func(i int) float64 { return least * sign(i) * float64(1+i%190) }),
		"around 1e-5·127":  fill(func(i int) float64 { return sign(i) * 1.27e-3 * (0.98 + float64(i)/float64(k)/25) }),
		"reciprocal edge":  fill(func(i int) float64 { return sign(i) * 0x1p-121 * (1 + rng.Float64()) }),
		"NaN":              put(math.NaN()),
		"+Inf":             put(math.Inf(1)),
		"-Inf":             put(math.Inf(-1)),
	}
	m["negative NaN"] = put(0)
	m["negative NaN"][k/2] = math.Float32frombits(0xffc00000)
	for i := range random {
		scale := math.Ldexp(1, rng.IntN(24)-12)
		m[fmt.Sprintf("Gaussian %d", i)] = fill(func(int) float64 { return scale * rng.NormFloat64() })
		m[fmt.Sprintf("shifted %d", i)] = fill(func(int) float64 { return scale * (rng.Float64() + float64(i%5-2)/3) })
		m[fmt.Sprintf("any bits %d", i)] = fill(func(int) float64 {
			v := float64(math.Float32frombits(rng.Uint32()))
			if v-v != 0 {
				return 0
			}
			return v
		})
	}
	return m
}
