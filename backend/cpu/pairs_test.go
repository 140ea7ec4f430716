package cpu

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// TestTamePairs compares with tame, whose row is float32: the same scale, and
// the same elements but for subnormal ones, which become 0.
func TestTamePairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	tamed := 0
	for i := range 2000 {
		values := make([]float32, 8*(1+rng.IntN(4)))
		for j := range values {
			values[j] = dtype.BF16.Round(math.Float32frombits(rng.Uint32()&0x807fffff | uint32(rng.IntN(240))<<23))
		}
		at := rng.IntN(len(values))
		switch i % 5 {
		case 0:
			values[at] = -0x1p112
		case 1:
			values[at] = dtype.BF16.Round(0x1.fep111)
		case 2:
			values[at], values[(at+1)%len(values)] = 0x1p127, []float32{float32(math.Inf(-1)), float32nan()}[i%2]
		}
		row := make([]byte, 2*len(values))
		dtype.Encode(dtype.BF16, row, values)
		scale := tame(values)
		require.Equal(t, scale, tamePairs(row))
		if scale != 1 {
			tamed++
		}
		for j, v := range values {
			if math.Abs(float64(v)) < 0x1p-126 && scale != 1 {
				v = float32(math.Copysign(0, float64(v)))
			}
			require.Equal(t, uint16(math.Float32bits(v)>>16), binary.LittleEndian.Uint16(row[2*j:]))
		}
	}
	require.Greater(t, tamed, 300)
}

// TestPairsRefuse has what a unit of pairs leaves to others.
func TestPairsRefuse(t *testing.T) {
	dev := open(t, backend.OpenOptions{}).dev
	table := tableOf([]*unit{model(pairPanel)})
	rng := rand.New(rand.NewPCG(33, 34))
	offered := func(s shape, x dtype.DType, low, high int16) error {
		l := s.linear(t, rng)
		if s.zeros {
			l.Weight.ZeroRow(0)[0], l.Weight.ZeroRow(1)[0] = low, high
		}
		spec, err := backend.NewSpec(l, backend.Request{X: x})
		require.NoError(t, err)
		for _, k := range table[:len(table)-len(plainGo)] {
			r := k.Supports(dev.Info(), spec)
			if r == nil {
				return nil
			}
			err = r
			if k.plain == s.plain.Valid() && k.least <= s.bits && s.bits <= k.most {
				break // the one for such weights
			}
		}
		return err
	}
	codes := shape{n: 2, k: 64, groups: quant.OneGroup(64), scales: dtype.F16, zeros: true}
	for bits := 2; bits <= 8; bits++ {
		codes.bits = bits
		require.NoError(t, offered(codes, dtype.BF16, 0, 16))
		require.NoError(t, offered(codes, dtype.BF16, 200, 200))
		require.ErrorContains(t, offered(codes, dtype.F16, 0, 16), "x type")
		require.ErrorContains(t, offered(codes, dtype.F32, 0, 16), "bfloat16")
		require.ErrorContains(t, offered(codes, dtype.BF16, -1, 16), "zero points")
		if bits <= 4 {
			require.ErrorContains(t, offered(codes, dtype.BF16, 0, 17), "zero points")
		} else {
			require.NoError(t, offered(codes, dtype.BF16, 0, 255))
		}
	}
	plain := shape{n: 2, k: 64, plain: dtype.BF16}
	require.NoError(t, offered(plain, dtype.BF16, 0, 0))
	require.ErrorContains(t, offered(plain, dtype.F32, 0, 0), "x type")
	for _, w := range []dtype.DType{dtype.F16, dtype.F32} {
		plain.plain = w
		require.ErrorContains(t, offered(plain, dtype.BF16, 0, 0), "plain bfloat16")
	}
}

// TestTinyNumbers has an x, plain weights and sums below the smallest normal
// float32: what a unit loses of them it must have stated.
func TestTinyNumbers(t *testing.T) { everywhere(t, backend.OpenOptions{}, testTinyNumbers) }

func testTinyNumbers(t *testing.T, b *bench) {
	rng := rand.New(rand.NewPCG(35, 36))
	const n, k, m = 4, 64, 7
	number := func(exponent int) float32 {
		return dtype.BF16.Round(float32(math.Ldexp(rng.Float64()-0.5, exponent)))
	}
	exponents := [][2]int{{-126, 100}, {100, -126}, {-63, -63}, {-60, -62}, {0, -128}, {-130, 0}, {-104, 100}} // of x and of weights
	for _, bits := range []int{0, 3, 8} {
		s := shape{n: n, k: k, bits: bits, groups: uniform(t, k, 32), scales: dtype.F32, zeros: true}
		if bits == 0 {
			s = shape{n: n, k: k, plain: dtype.BF16}
		}
		for _, e := range exponents {
			l := s.linear(t, rng)
			for i := range n {
				for j := range k {
					if bits == 0 {
						dtype.BF16.Put(l.Weight.Row(i), j, number(e[1]))
					} else {
						l.Weight.SetScale(i, j/32, float32(math.Ldexp(1+rng.Float64(), e[1])))
					}
				}
			}
			if bits > 0 { // the first feature takes part in no sum
				codes := make([]uint8, k)
				for i := range n {
					for j := range codes[1:] {
						codes[1+j] = uint8(rng.IntN(1 << bits))
					}
					l.Weight.ZeroRow(i)[0], l.Weight.ZeroRow(i)[1] = int16(i), 1
					codes[0] = uint8(i)
					l.Weight.PackRow(i, codes)
				}
			}
			layer, kernel := b.prepare(l, backend.Request{X: dtype.BF16, Y: dtype.F32, MaxRows: m})
			u := b.table[0].unit
			require.Equal(t, u != nil && u.exact.is, kernel.unit != nil, "a kernel of the unit")
			x := make([]float32, m*k)
			for i := range x {
				x[i] = number(e[0])
			}
			x[k], x[6*k] = 0x1p120, 0x1p115 // rows that are computed smaller than they are, of codes
			b.accepted(layer, kernel, l, x, b.apply(layer, x, m), m)
		}
	}
}
