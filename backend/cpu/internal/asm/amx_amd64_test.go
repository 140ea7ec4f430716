package asm

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"
)

var needsAMX = []cpuid.FeatureID{
	cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI,
	cpuid.AMXTILE, cpuid.AMXINT8,
}

func init() {
	for _, s := range []struct{ rows, columns, features int }{
		{16, 16, 64}, {16, 16, 32}, {32, 16, 64}, {16, 32, 32}, {32, 32, 64}, {16, 48, 64}, {48, 48, 32}, {MostTileRows, 32, 64}, {MostTileRows, 16, 32},
	} {
		integerKernels = append(integerKernels,
			kernel{name: "DotW8AMX", bits: 8, tiles: s.features, rows: s.rows, columns: s.columns, needs: needsAMX, run: DotW8AMX},
			kernel{name: "DotP4AMX", bits: 4, apart: true, less: true, tiles: s.features, rows: s.rows, columns: s.columns, needs: needsAMX, run: DotP4AMX},
		)
	}
}

// An unpacked tile is the tile that packing codes apart, less their zero point,
// makes.
func TestUnpackW4AMX(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		t.Skip("the processor lacks AVX-512")
	}
	rng, m := rand.New(rand.NewPCG(12, 13)), newMemory(t)
	for range 300 {
		p := randomProblem(rng, kernel{bits: 4, less: true, tiles: 32, rows: 16, columns: 16})
		part := p.whole()
		part.less, part.tiles = false, 0 // codes as they are packed
		c := m.lay(rng, p, part)
		p.kernel.apart = true
		want := make([]byte, p.tileBytes())
		p.pack(want, 0)
		got := m.take("unpacked", len(want), rng.Uint32N(2) == 0)
		c.Soon = uintptr(rng.Uint64N(1 << 47))
		UnpackW4AMX(pointer(got), c)
		require.Equal(t, want, got, p)
	}
}

// Some segments of a block after the other leave what all of them at once do.
func TestSegmentsOnTilesApart(t *testing.T) {
	rng, m := rand.New(rand.NewPCG(14, 15)), newMemory(t)
	for _, k := range integerKernels {
		if k.tiles == 0 || k.rows > 48 {
			continue
		}
		if !k.runs() {
			t.Skip("the processor lacks AMX")
		}
		for range 40 {
			segments := 1 + rng.IntN(4)
			p := randomProblem(rng, k)
			s := shape{kernel: k, form: p.form, zero: p.zero, scaled: p.sx != nil, blocks: []Block{{
				Lines: uint32(k.tiles/k.lineFeatures()) * (1 + rng.Uint32N(3)), Segments: uint8(segments), Ends: 1<<segments - 1,
			}}}
			p = s.fill(rng)
			c := m.lay(rng, p, p.whole())
			y := bytes.Clone(m.y)
			k.run(c)
			want := bytes.Clone(m.y)
			copy(m.y, y)
			x, side, scales := c.X, c.Side, c.Scales
			for first := 0; first < segments; first += int(c.Segments) {
				c.First, c.Segments = uintptr(first), uintptr(1+rng.IntN(segments-first))
				c.X, c.Side = unsafe.Add(x, p.starts[first]*TileRows), unsafe.Add(side, 4*first)
				if scales != nil {
					c.Scales = unsafe.Add(scales, 4*first)
				}
				k.run(c)
			}
			require.Equal(t, want, m.y, "%s of %s", k, p)
		}
	}
}
