package cuda

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/gpuvm/ptx"
)

// A cell is one product on one kernel.
type cell struct {
	kernel    Kernel
	m, n, k   int
	group     int  // features of a group, a multiple of 32; 0: one group
	zeros     bool // per group, else one constant
	scaleKind int
	yKind     int
	bias      bool
	fine      bool
	across    int  // Stream: warps side by side, 1 if 0
	runs      int  // Stream: 8 if 0
	slices    int  // 1 if 0
	exact     bool // integers small enough that every sum is exact
	bits      bool // the problem's plain weights are bits already
	unaligned bool // x at 2 bytes past an aligned address and with an odd stride
	seed      uint64
}

func (c cell) String() string {
	return fmt.Sprintf("%s M=%d N=%d K=%d group=%d zeros=%v scales=%d y=%d bias=%v fine=%v across=%d runs=%d slices=%d exact=%v unaligned=%v",
		c.kernel.Name, c.m, c.n, c.k, c.group, c.zeros, c.scaleKind, c.yKind, c.bias, c.fine, c.across, c.runs, c.slices, c.exact, c.unaligned)
}

// plain reports whether the weights are numbers, not codes.
func (c cell) plain() bool { return c.kernel.Bits == 16 }

// weights are the codes, or the bits of plain weights.
func (c cell) weights(u [][]int) [][]int {
	if !c.plain() || c.bits {
		return u
	}
	all := make([][]int, len(u))
	for n := range u {
		for _, v := range u[n] {
			kind := KindF16
			if c.kernel.X == dtype.BF16 {
				kind = KindBF16
			}
			all[n] = append(all[n], int(binary.LittleEndian.Uint16(encode(kind, []float64{float64(v)}))))
		}
	}
	return all
}

var parsed sync.Map // module name to *ptx.Module

func module(t testing.TB, name string) *ptx.Module {
	if m, ok := parsed.Load(name); ok {
		return m.(*ptx.Module)
	}
	m, err := ptx.Parse(name, PTX(name))
	require.NoError(t, err)
	parsed.Store(name, m)
	return m
}

// device is the interpreter's memory, filled and checked.
type device struct {
	testing.TB
	*ptx.Machine
}

func (d device) put(b []byte) uint64 {
	a, err := d.Alloc(max(len(b), 1))
	require.NoError(d, err)
	require.NoError(d, d.Write(a, b))
	return a
}

func (d device) launch(e *ptx.Entry, l ptx.Launch) error {
	if l.Shared > 48<<10 {
		require.NoError(d, d.SetShared(e, int(l.Shared)))
	}
	return d.Launch(context.Background(), e, l)
}

func encode(kind int, v []float64) []byte {
	var b []byte
	for _, x := range v {
		switch kind {
		case KindF16:
			b = binary.LittleEndian.AppendUint16(b, dtype.F16FromF32(float32(x)))
		case KindBF16:
			b = binary.LittleEndian.AppendUint16(b, dtype.BF16FromF32(float32(x)))
		default:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(x)))
		}
	}
	return b
}

func decode(kind int, b []byte) float64 {
	switch kind {
	case KindF16:
		return float64(dtype.F16ToF32(binary.LittleEndian.Uint16(b)))
	case KindBF16:
		return float64(dtype.BF16ToF32(binary.LittleEndian.Uint16(b)))
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
}

// rounded gives v as the kind has it.
func rounded(kind int, v float64) float64 { return decode(kind, encode(kind, []float64{v})) }

func int32s(v []int) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, uint32(int32(x)))
	}
	return b
}

func int16s(v []int) []byte {
	var b []byte
	for _, x := range v {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(x)))
	}
	return b
}

func ceil(a, b int) int { return (a + b - 1) / b }

// problem has a cell's numbers: features in packed order, padded.
type problem struct {
	units, np   int
	u           [][]int // [np][32 units]
	feature     []int   // of x for each packed one, -1 for padding
	unitGroup   []int
	scale, zero [][]float64 // [groups][np]
	x           [][]float64 // [m][k]
	bias        []float64
	want, size  [][]float64 // [m][n]: the sum, and the sum of its terms' absolute values
}

func (c cell) problem() *problem {
	r := rand.New(rand.NewPCG(c.seed, uint64(c.m*1000003+c.n*1009+c.k)))
	p := &problem{np: ceil(c.n, 32) * 32}
	group := c.group
	if group == 0 {
		group = c.k
	}
	xKind := KindF16
	if c.kernel.X == dtype.BF16 {
		xKind = KindBF16
	}
	// Each group is padded to whole units. Mapped kernels get the features of
	// x in any order, as act-order has them.
	order := make([]int, c.k)
	for i := range order {
		order[i] = i
	}
	if c.kernel.Mapped {
		order = r.Perm(c.k)
	}
	for g := 0; g*group < c.k; g++ {
		for f := g * group; f < min((g+1)*group, c.k); f++ {
			p.feature = append(p.feature, order[f])
		}
		for len(p.feature)%Unit != 0 {
			p.feature = append(p.feature, -1)
		}
		for len(p.unitGroup) < len(p.feature)/Unit {
			p.unitGroup = append(p.unitGroup, g)
		}
	}
	p.units = len(p.unitGroup)
	groups := p.unitGroup[p.units-1] + 1
	table := func(value func() float64) [][]float64 {
		v := make([][]float64, groups)
		for g := range v {
			v[g] = make([]float64, p.np)
			for n := range c.n {
				v[g][n] = value()
			}
		}
		return v
	}
	p.scale = table(func() float64 {
		if c.exact {
			return []float64{0.25, 0.5, 1, 2}[r.IntN(4)]
		}
		return rounded(c.scaleKind, 0.01+r.Float64())
	})
	top := 1 << min(c.kernel.Bits, 8) // plain weights are small integers
	constant := float64(top / 2)
	if c.plain() {
		constant = 0
	}
	p.zero = table(func() float64 {
		if c.zeros && !c.plain() {
			return float64(r.IntN(top + 1))
		}
		return constant
	})
	for range p.np {
		codes := make([]int, len(p.feature))
		for i := range codes {
			codes[i] = r.IntN(top) // padding too: x is 0 there
		}
		p.u = append(p.u, codes)
	}
	for range c.m {
		row := make([]float64, c.k)
		for i := range row {
			if c.exact {
				row[i] = float64(r.IntN(9) - 4)
			} else {
				row[i] = rounded(xKind, r.NormFloat64())
			}
		}
		p.x = append(p.x, row)
	}
	if c.bias {
		for range c.n {
			p.bias = append(p.bias, float64(r.IntN(201)-100)/4)
		}
	}
	for m := range c.m {
		want, size := make([]float64, c.n), make([]float64, c.n)
		for n := range c.n {
			if c.bias {
				want[n], size[n] = p.bias[n], math.Abs(p.bias[n])
			}
			for f, from := range p.feature {
				if from < 0 {
					continue
				}
				g := p.unitGroup[f/Unit]
				v := p.x[m][from] * p.scale[g][n] * (float64(p.u[n][f]) - p.zero[g][n])
				want[n] += v
				size[n] += math.Abs(v)
			}
		}
		p.want, p.size = append(p.want, want), append(p.size, size)
	}
	return p
}

func flatten(v [][]float64) []float64 {
	var all []float64
	for _, row := range v {
		all = append(all, row...)
	}
	return all
}

// run launches the cell's kernels and gives y, as bytes of the cell's kind.
func (c cell) run(t testing.TB, p *problem, config ptx.Config) []byte {
	y, err := c.launch(t, module(t, c.kernel.Module).Entry, p, config)
	require.NoError(t, err)
	return y
}

// launch is run with the entries that find has. The error is a launch's, or that
// of bytes of y that belong to no output.
func (c cell) launch(t testing.TB, find func(name string) *ptx.Entry, p *problem, config ptx.Config) ([]byte, error) {
	if c.kernel.Family == Expand {
		return c.launchExpanded(t, find, p, config)
	}
	d := device{t, ptx.NewMachine(config)}
	entry := find(c.kernel.Name)
	require.NotNil(t, entry)
	xKind := KindF16
	if c.kernel.X == dtype.BF16 {
		xKind = KindBF16
	}
	a := LayerArgs{
		M: c.m, K: c.k, N: c.n, Np: p.np, Units: p.units, ScaleKind: c.scaleKind, YKind: c.yKind, Fine: c.fine,
		Weights: d.put(pack(c.kernel.Bits, c.weights(p.u))), Scales: d.put(encode(c.scaleKind, flatten(p.scale))), UnitGroup: d.put(int32s(p.unitGroup)),
		Zero: int(p.zero[0][0]),
	}
	if c.zeros && !c.plain() {
		var zeros []int
		for _, z := range flatten(p.zero) {
			zeros = append(zeros, int(z))
		}
		a.Zeros, a.Zero = d.put(int16s(zeros)), 1000
	}
	if c.bias {
		a.Bias = d.put(encode(KindF32, p.bias))
	}
	// Rows of x with undefined bytes between them.
	a.XStride = ceil(c.k, 8)*8 + 8
	start := 0
	if c.unaligned {
		a.XStride, start = c.k|1, 2
	}
	var err error
	a.X, err = d.Alloc(start + 2*((c.m-1)*a.XStride+c.k))
	require.NoError(t, err)
	a.X += uint64(start)
	for m, row := range p.x {
		require.NoError(t, d.Write(a.X+uint64(2*m*a.XStride), encode(xKind, row)))
	}
	// A ragged group makes packed features differ from x's: then x is gathered.
	identity := true
	for f, from := range p.feature {
		identity = identity && (from == f || from < 0 && f >= c.k)
	}
	if !identity {
		a.Map = d.put(int32s(p.feature))
	}
	if !c.kernel.Mapped && (!identity || c.kernel.Family == Tile && c.unaligned) {
		out, err := d.Alloc(2 * c.m * Unit * p.units)
		require.NoError(t, err)
		err = d.launch(find("gather"), ptx.Launch{
			Grid: [3]uint32{uint32(c.m), uint32(ceil(Unit*p.units, 1024)), 1}, Block: [3]uint32{128, 1, 1},
			Args: (&GatherArgs{X: a.X, XStride: a.XStride, K: c.k, Units: p.units, Map: a.Map, Out: out}).Slots(nil),
		})
		if err != nil {
			return nil, err
		}
		a.X, a.XStride, a.K, a.Map = out, Unit*p.units, Unit*p.units, 0
	}

	size := 2
	if c.yKind == KindF32 {
		size = 4
	}
	a.YStride = c.n + 3
	guard := make([]byte, size*((c.m-1)*a.YStride+c.n))
	for i := range guard {
		guard[i] = 0xa5
	}
	a.Y = d.put(guard)
	slices := max(c.slices, 1)
	a.SliceUnits = ceil(p.units, slices)
	if slices > 1 {
		a.Sums, err = d.Alloc(4 * slices * c.m * p.np)
		require.NoError(t, err)
	}
	l := ptx.Launch{Grid: [3]uint32{0, uint32(slices), uint32(ceil(c.m, c.kernel.Tokens))}}
	if c.kernel.Family == Stream {
		across, runs := max(c.across, 1), c.runs
		if runs == 0 {
			runs = 8
		}
		a.RunUnits = ceil(a.SliceUnits, runs)
		l.Grid[0] = uint32(ceil(p.np, 64*across))
		l.Block = [3]uint32{uint32(32 * across), uint32(runs), 1}
		l.Shared = uint32(c.kernel.SharedPerWarp * across * runs)
	} else {
		l.Grid[0] = uint32(ceil(p.np, 128))
		l.Block = [3]uint32{128, 1, 1}
		l.Shared = uint32(c.kernel.Shared)
	}
	l.Args = a.Slots(nil)
	if err := d.launch(entry, l); err != nil {
		return nil, err
	}
	if slices > 1 {
		err = d.launch(find("finish"), ptx.Launch{
			Grid: [3]uint32{uint32(ceil(c.n, 128)), uint32(c.m), 1}, Block: [3]uint32{128, 1, 1},
			Args: (&FinishArgs{Sums: a.Sums, Slices: slices, M: c.m, N: c.n, Np: p.np, Bias: a.Bias, Y: a.Y, YStride: a.YStride, YKind: a.YKind}).Slots(nil),
		})
		if err != nil {
			return nil, err
		}
	}
	all := make([]byte, len(guard))
	require.NoError(t, d.Read(all, a.Y))
	var y []byte
	for m := range c.m {
		row := all[size*m*a.YStride:]
		y = append(y, row[:size*c.n]...)
		if between := row[size*c.n:]; m < c.m-1 && !bytes.Equal(guard[:3*size], between[:3*size]) {
			return nil, fmt.Errorf("bytes after token %d of y were written: %x", m, between[:3*size])
		}
	}
	return y, nil
}

// check runs the cell and compares.
func (c cell) check(t testing.TB) {
	p := c.problem()
	require.NoError(t, c.judge(p, c.run(t, p, ptx.Config{Arch: 80, SharedOptIn: 163 << 10, Seed: c.seed})))
}

// judge says which output of y is wrong.
func (c cell) judge(p *problem, y []byte) error {
	size := len(y) / (c.m * c.n)
	for m := range c.m {
		for n := range c.n {
			got, want := decode(c.yKind, y[size*(m*c.n+n):]), p.want[m][n]
			bound := 0.0
			if !c.exact {
				// Each product of 8 loses 2^-24 of the largest term for each term at
				// most, and each unit's fma and each slice 2^-24 of the sum so far.
				bound = p.size[m][n] * float64(9*4*2+p.units+32) / (1 << 24)
			}
			if low, high := rounded(c.yKind, want-bound), rounded(c.yKind, want+bound); !(low <= got && got <= high) {
				return fmt.Errorf("token %d output %d of %v: %v, want %v ± %v", m, n, c, got, want, bound)
			}
		}
	}
	return nil
}
