package cpu

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// golden are hashes of the bits of y. They are the same on every architecture
// and change only when a kernel's documented arithmetic does.
var golden = map[string]uint64{
	"plain":             0x5c4a4cb01b64f949,
	"exact":             0xf9bd711510dc6cf5,
	"int8-token-asym":   0xa21d20823d97811,
	"int8-token":        0x9d9fd8a6244678b6,
	"int8-token-xpu":    0x148c9ea465d46244,
	"int8-token-ascend": 0x8c58e2df8186004a,
	"int8-group":        0x17f468ecac2d9c22,
	"int4-flatquant":    0xc18206a82b075594,
	"int4-token-ascend": 0x44e35afb9bf102b,
	"exact of 4 bits":   0x39ace0fafcd994eb,
}

// goldenPanels are those of the kernels over panels.
var goldenPanels = map[string]uint64{
	"plain":             0x634edcb3adcf31cc,
	"exact":             0x3c2096d7d4234c08,
	"int8-token-asym":   0xfbda275f8db6a8be,
	"int8-token":        0x90ccee20771cc383,
	"int8-token-xpu":    0x9fe9fdc2afd54ef2,
	"int8-token-ascend": 0x655db22033df69c1,
	"int8-group":        0x1dbceb2eb9e231cb,
	"int4-flatquant":    0xd99275049035dea8,
	"int4-token-ascend": 0xdde4a7008a42a909,
	"exact of 4 bits":   0x1f5568a65ef77520,
}

// goldenPairs are those of the kernels of pairs, for x and plain weights of
// bfloat16.
var goldenPairs = map[string]uint64{
	"plain":           0x563327c43bc4cbaa,
	"exact":           0x1b99b9bf4df34ad4,
	"exact of 4 bits": 0x3bcad3ec56ba9140,
}

// goldenPacked are hashes of packed weights, by their Packing: what is kept of older
// programs has these bytes.
var goldenPacked = map[string]uint64{
	"panel0-3-int4-flatquant int4-flatquant":       0x1b0beed564ca5f43,
	"panel0-3-int4-token-ascend int4-token-ascend": 0xe23c785cdbacbe89,
	"panel0-3-int8-group/16 int8-group":            0x518a60aa767e3b81,
	"panel0-3-int8-token int8-token":               0xe23c785cdbacbe89,
	"panel0-3-int8-token-ascend int8-token-ascend": 0xe23c785cdbacbe89,
	"panel0-3-int8-token-asym int8-token-asym":     0x84d80e94b9369fc9,
	"panel0-3-int8-token-xpu int8-token-xpu":       0xe23c785cdbacbe89,
	"panel1-3-int4-flatquant int4-flatquant":       0x1b0beed564ca5f43,
	"panel1-3-int4-token-ascend int4-token-ascend": 0xe23c785cdbacbe89,
	"panel1-3-int8-group/16 int8-group":            0x518a60aa767e3b81,
	"panel1-3-int8-token int8-token":               0xe23c785cdbacbe89,
	"panel1-3-int8-token-ascend int8-token-ascend": 0xe23c785cdbacbe89,
	"panel1-3-int8-token-asym int8-token-asym":     0xe23c785cdbacbe89,
	"panel1-3-int8-token-xpu int8-token-xpu":       0xe23c785cdbacbe89,
	"panel2-3-exact exact of 4 bits":               0x79ad7ea03cae52ea,
	"panel2-3-exact exact":                         0x4977d806a7ae2c67,
	"panel2-3-exact plain":                         0x874264fbbc5e33ac,
	"panel3-3-exact exact of 4 bits":               0x79ad7ea03cae52ea,
	"panel3-3-exact exact":                         0x4977d806a7ae2c67,
	"panel3-3-exact plain":                         0xc09b910c1b5099ab,
	"rows-3-exact exact of 4 bits":                 0xab37179330e8d5ec,
	"rows-3-exact exact":                           0xae69818a22ee3231,
	"rows-3-exact plain":                           0xc7b14ce0af72dda8,
	"rows-3-int4-flatquant int4-flatquant":         0x6d8fdb249b4cd2bb,
	"rows-3-int4-token-ascend int4-token-ascend":   0xae69818a22ee3231,
	"rows-3-int8-group/16 int8-group":              0x14395add2efe2173,
	"rows-3-int8-token int8-token":                 0xae69818a22ee3231,
	"rows-3-int8-token-ascend int8-token-ascend":   0xae69818a22ee3231,
	"rows-3-int8-token-asym int8-token-asym":       0xae69818a22ee3231,
	"rows-3-int8-token-xpu int8-token-xpu":         0xae69818a22ee3231,
}

// TestGoldenBits makes its numbers from integers, so that no compiler can make
// them differ.
func TestGoldenBits(t *testing.T) { testGoldenBits(open(t, backend.OpenOptions{}), golden) }

// TestGoldenBitsOfUnits: those of panels are the same for every unit of every
// architecture, but for units of pairs, and of tiles (TestGoldenBitsOfTiles), which have their own.
func TestGoldenBitsOfUnits(t *testing.T) {
	for _, u := range units {
		t.Run(u.name, func(t *testing.T) {
			b := open(t, backend.OpenOptions{})
			if missing := u.missing(b.dev.Info().Features); missing != nil {
				t.Skipf("the processor lacks %v", missing)
			}
			b.testGoldenBitsOfUnit(u)
		})
	}
	t.Run("model of pairs", func(t *testing.T) {
		open(t, backend.OpenOptions{}).testGoldenBitsOfUnit(model(pairPanel))
	})
	for _, kind := range []panelKind{bytePanel, wordPanel} {
		t.Run(fmt.Sprintf("packed bytes of panel %d", kind), func(t *testing.T) {
			b := open(t, backend.OpenOptions{})
			b.table = tableOf([]*unit{model(kind)})
			testGoldenBits(b, nil)
		})
	}
}

func (b *bench) testGoldenBitsOfUnit(u *unit) {
	b.table = tableOf([]*unit{u})[:len(tableOf([]*unit{u}))-len(plainGo)]
	if u.pairsAlone() {
		testGoldenBits(b, goldenPairs)
	} else {
		testGoldenBits(b, goldenPanels)
	}
}

// integerOver is one of -span to span by a unit: no compiler can make it differ.
func integerOver(rng *rand.Rand, span int, unit float32) float32 {
	return float32(rng.IntN(2*span+1)-span) / unit
}

// fillIntegers makes codes, scales of such numbers, and zero points up to a largest one.
func fillIntegers(rng *rand.Rand, w *quant.Weight, mostZero int) {
	codes := make([]uint8, w.K())
	for i := range w.N() {
		for j := range codes {
			codes[j] = uint8(rng.IntN(1 << w.Bits()))
		}
		w.PackRow(i, codes)
		for j := range w.Groups().Count() {
			w.SetScale(i, j, integerOver(rng, 500, 7000))
			w.ZeroRow(i)[j] = int16(rng.IntN(mostZero + 1))
		}
	}
}

// testGoldenBits compares packed weights and, unless golden is nil, y.
func testGoldenBits(b *bench, golden map[string]uint64) {
	t := b.t
	const n, k, m = 13, 84, 3
	rng := rand.New(rand.NewPCG(2024, 7))
	number := func(span int, unit float32) float32 { return integerOver(rng, span, unit) }
	x := make([]float32, m*k)
	for i := range x {
		x[i] = number(2000, 128)
	}
	square := func(n int) []float32 {
		p := make([]float32, n*n)
		for i := range p {
			p[i] = number(100, 256)
		}
		return p
	}
	p1, p2 := square(7), square(12)
	xType, plain := dtype.F16, dtype.F32
	if b.pairs() {
		xType, plain = dtype.BF16, dtype.BF16
	}
	checked := 0
	check := func(name string, l *quant.Linear, r quant.Recipe) {
		spec, err := backend.NewSpec(l, backend.Request{Recipe: &r, X: xType, Y: dtype.F32, MaxRows: m})
		require.NoError(t, err)
		if !slices.ContainsFunc(b.table, func(k *kernel) bool { return k.Supports(b.dev.Info(), spec) == nil }) {
			return // not among the kernels of this unit
		}
		checked++
		layer, k := b.prepare(l, backend.Request{Recipe: &r, X: xType, Y: dtype.F32, MaxRows: m})
		h := fnv.New64a()
		require.NoError(t, layer.(backend.Keeper).WritePacked(t.Context(), h))
		packing := k.Packing(b.dev.Info(), spec) + " " + name
		require.Equal(t, fmt.Sprintf("%#x", goldenPacked[packing]), fmt.Sprintf("%#x", h.Sum64()), "%q: other bytes want another packingVersion", packing)
		if golden == nil {
			return
		}
		h.Reset()
		for _, v := range b.apply(layer, x, m) {
			_ = binary.Write(h, binary.LittleEndian, math.Float32bits(v))
		}
		require.Equal(t, fmt.Sprintf("%#x", golden[name]), fmt.Sprintf("%#x", h.Sum64()), name)
	}

	l := &quant.Linear{Name: "plain"}
	require.NoError(t, l.Weight.Reset(quant.Form{N: n, K: k, Plain: plain}))
	for i := range n {
		for j := range k {
			plain.Put(l.Weight.Row(i), j, number(5000, 3000))
		}
	}
	check("plain", l, quant.Recipe{})

	fill := func(l *quant.Linear, bits int) {
		g := ragged(t, 0, 1, 9, 50, 84)
		require.NoError(t, l.Weight.Reset(quant.Form{N: n, K: k, Bits: bits, Scales: dtype.F32, Zeros: true, Groups: g}))
		fillIntegers(rng, &l.Weight, 1<<bits)
	}
	l = &quant.Linear{Name: "codes"}
	fill(l, 5)
	l.ResizeBias(n)
	for i := range l.Bias {
		l.Bias[i] = number(900, 700)
	}
	for _, kind := range quant.Recipes() {
		l.Recipe, l.Transform = quant.Recipe{Kind: kind}, nil
		if kind == quant.Int4FlatQuant {
			l.Transform = &quant.Transform{L: 7, R: 12, P1: p1, P2: p2, Type: dtype.F16, Clip: 0.75}
		}
		check(kind.String(), l, quant.Recipe{Kind: kind, Group: map[bool]int{true: 16}[kind == quant.Int8Group]})
	}
	l = &quant.Linear{Name: "few bits"}
	fill(l, 4)
	check("exact of 4 bits", l, quant.Recipe{})
	require.NotZero(t, checked)
}
