package cpu

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
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
}

// TestGoldenBits makes its numbers from integers, so that no compiler can make
// them differ.
func TestGoldenBits(t *testing.T) {
	b := open(t, backend.OpenOptions{})
	const n, k, m = 13, 84, 3
	rng := rand.New(rand.NewPCG(2024, 7))
	number := func(span int, unit float32) float32 { return float32(rng.IntN(2*span+1)-span) / unit }
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
	check := func(name string, l *quant.Linear, r quant.Recipe) {
		layer, _ := b.prepare(l, backend.Request{Recipe: &r, X: dtype.F16, Y: dtype.F32, MaxRows: m})
		h := fnv.New64a()
		for _, v := range b.apply(layer, x, m) {
			_ = binary.Write(h, binary.LittleEndian, math.Float32bits(v))
		}
		require.Equal(t, fmt.Sprintf("%#x", golden[name]), fmt.Sprintf("%#x", h.Sum64()), name)
	}

	l := &quant.Linear{Name: "plain"}
	require.NoError(t, l.Weight.Reset(quant.Form{N: n, K: k, Plain: dtype.F32}))
	for i := range n {
		for j := range k {
			dtype.F32.Put(l.Weight.Row(i), j, number(5000, 3000))
		}
	}
	check("plain", l, quant.Recipe{})

	l = &quant.Linear{Name: "codes"}
	g := ragged(t, 0, 1, 9, 50, 84)
	require.NoError(t, l.Weight.Reset(quant.Form{N: n, K: k, Bits: 5, Scales: dtype.F32, Zeros: true, Groups: g}))
	codes := make([]uint8, k)
	for i := range n {
		for j := range codes {
			codes[j] = uint8(rng.IntN(32))
		}
		l.Weight.PackRow(i, codes)
		for j := range g.Count() {
			l.Weight.SetScale(i, j, number(500, 7000))
			l.Weight.ZeroRow(i)[j] = int16(rng.IntN(33))
		}
	}
	l.ResizeBias(n)
	for i := range l.Bias {
		l.Bias[i] = number(900, 700)
	}
	for _, kind := range quant.Recipes() {
		if kind == quant.Int4FlatQuant {
			l.Recipe = quant.Recipe{Kind: kind}
			l.Transform = &quant.Transform{L: 7, R: 12, P1: p1, P2: p2, Type: dtype.F16, Clip: 0.75}
		}
		check(kind.String(), l, quant.Recipe{Kind: kind, Group: map[bool]int{true: 16}[kind == quant.Int8Group]})
	}
}
