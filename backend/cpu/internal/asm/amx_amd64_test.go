package asm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/internal/amx"
)

var needsAMX = []cpuid.FeatureID{
	cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI,
	cpuid.AMXTILE, cpuid.AMXINT8,
}

var needsAMXVBMI = []cpuid.FeatureID{
	cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI, cpuid.AVX512VBMI,
	cpuid.AMXTILE, cpuid.AMXINT8,
}

func init() {
	for _, s := range []struct{ rows, columns, features int }{
		{16, 16, 64}, {16, 16, 32}, {32, 16, 64}, {16, 32, 32}, {32, 32, 64}, {16, 48, 64}, {48, 48, 32}, {MostTileRows, 32, 64}, {MostTileRows, 16, 32},
		{1, 16, 64}, {2, 48, 32}, {4, 16, 64}, {5, 32, 32}, {7, 16, 64}, {8, 48, 64}, {9, 16, 32}, {13, 32, 64}, {15, 16, 64},
	} {
		integerKernels = append(integerKernels,
			kernel{name: "DotW8AMX", bits: 8, tiles: s.features, rows: s.rows, columns: s.columns, needs: needsAMX, run: DotW8AMX},
			kernel{name: "DotW4AMX", bits: 4, less: true, tiles: s.features, rows: s.rows, columns: s.columns, needs: needsAMXVBMI, run: DotW4AMX},
			kernel{name: "DotP4AMX", bits: 4, apart: true, less: true, tiles: s.features, rows: s.rows, columns: s.columns, needs: needsAMX, run: DotP4AMX},
		)
	}
}

func init() {
	for _, s := range []struct{ rows, columns, features int }{
		{16, 32, 64}, {16, 64, 32}, {32, 32, 64}, {48, 64, 32}, {48, 96, 64}, {64, 32, 64}, {MostTileRows, 32, 32},
		{9, 32, 64}, {17, 64, 64}, {20, 32, 32}, {21, 32, 64}, {24, 96, 64}, {25, 32, 64}, {31, 64, 32},
		{33, 64, 64}, {37, 32, 32}, {40, 32, 64}, {47, 64, 64}, {49, 32, 64}, {63, 32, 64}, {65, 32, 64},
	} {
		integerKernels = append(integerKernels,
			kernel{name: "DotW8AMXx2", bits: 8, tiles: s.features, ends: true, rows: s.rows, columns: s.columns, needs: needsAMX, run: DotW8AMXx2},
			kernel{name: "DotW4AMXx2", bits: 4, less: true, tiles: s.features, ends: true, rows: s.rows, columns: s.columns, needs: needsAMXVBMI, run: DotW4AMXx2},
			kernel{name: "DotP4AMXx2", bits: 4, apart: true, less: true, tiles: s.features, ends: true, rows: s.rows, columns: s.columns, needs: needsAMX, run: DotP4AMXx2},
		)
	}
}

func init() {
	for _, s := range []struct{ rows, columns, features int }{{33, 32, 64}, {36, 64, 32}, {37, 32, 64}, {40, 96, 64}, {41, 32, 32}, {47, 64, 64}, {48, 32, 64}} {
		integerKernels = append(integerKernels,
			kernel{name: "DotW4AMXx3", bits: 4, less: true, tiles: s.features, ends: true, rows: s.rows, columns: s.columns, needs: needsAMXVBMI, run: DotW4AMXx3})
	}
}

var needsAMXBF16 = []cpuid.FeatureID{
	cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI, cpuid.AVX512BF16,
	cpuid.AMXTILE, cpuid.AMXINT8, cpuid.AMXBF16,
}

func init() {
	exactKernels = append(exactKernels,
		exactKernel{name: "GemvW4AMX", lines: []lineKind{lines4}, tiled: true, rows: 1, tiles: 1, beyond: Beyond, needs: needsAVX512, run: GemvW4AMX},
		exactKernel{name: "GemvW8AMX", lines: []lineKind{lines8}, tiled: true, rows: 1, tiles: 1, needs: needsAVX512, run: GemvW8AMX},
		exactKernel{name: "GemvBF16AMX", lines: []lineKind{linesBF16}, tiled: true, rows: 1, tiles: 1, needs: needsAVX512, run: GemvBF16AMX},
		exactKernel{name: "RowsW4AMXx2", lines: []lineKind{lines4}, tiled: true, rows: 2, tiles: 1, beyond: Beyond, needs: needsAVX512, run: RowsW4AMXx2},
		exactKernel{name: "RowsW8AMXx2", lines: []lineKind{lines8}, tiled: true, rows: 2, tiles: 1, needs: needsAVX512, run: RowsW8AMXx2},
		exactKernel{name: "RowsW8AMXx3", lines: []lineKind{lines8}, tiled: true, rows: 3, tiles: 1, needs: needsAVX512, run: RowsW8AMXx3},
		exactKernel{name: "RowsW8AMXx4", lines: []lineKind{lines8}, tiled: true, rows: 4, tiles: 1, needs: needsAVX512, run: RowsW8AMXx4},
		exactKernel{name: "RowsBF16AMXx2", lines: []lineKind{linesBF16}, tiled: true, rows: 2, tiles: 1, needs: needsAVX512, run: RowsBF16AMXx2},
		exactKernel{name: "RowsBF16AMXx3", lines: []lineKind{linesBF16}, tiled: true, rows: 3, tiles: 1, needs: needsAVX512, run: RowsBF16AMXx3},
		exactKernel{name: "RowsBF16AMXx4", lines: []lineKind{linesBF16}, tiled: true, rows: 4, tiles: 1, needs: needsAVX512, run: RowsBF16AMXx4},
	)
	for _, s := range []struct{ rows, tiles int }{{16, 1}, {16, 2}, {32, 1}, {48, 3}, {MostTileRows, 2}, {1, 1}, {2, 3}, {3, 1}, {4, 2}, {5, 1}, {8, 1}, {9, 2}, {15, 1}} {
		of := fmt.Sprintf("/%dx%d", s.rows, s.tiles)
		exactKernels = append(exactKernels,
			exactKernel{name: "GemmAMX" + of, lines: []lineKind{lines8}, pairs: true, tiled: true, inTiles: true, unpacked: true, rows: s.rows, tiles: s.tiles, needs: needsAMXBF16, run: GemmAMX},
			exactKernel{name: "GemmW4AMX" + of, lines: []lineKind{lines4}, pairs: true, tiled: true, inTiles: true, rows: s.rows, tiles: s.tiles, needs: needsAMXBF16, run: GemmW4AMX},
			exactKernel{name: "GemmBF16AMX" + of, lines: []lineKind{linesBF16}, pairs: true, tiled: true, inTiles: true, rows: s.rows, tiles: s.tiles, needs: needsAMXBF16, run: GemmBF16AMX},
		)
	}
	for _, s := range []struct{ rows, tiles int }{{16, 2}, {16, 4}, {32, 2}, {48, 4}, {64, 2}, {MostTileRows, 2}, {9, 2}, {17, 4}, {20, 2}, {21, 2}, {24, 2}, {31, 2}, {33, 4}, {37, 2}, {40, 2}, {47, 2}, {49, 2}, {63, 2}} {
		of := fmt.Sprintf("/%dx%d", s.rows, s.tiles)
		exactKernels = append(exactKernels,
			exactKernel{name: "GemmAMXx2" + of, lines: []lineKind{lines8}, pairs: true, tiled: true, inTiles: true, unpacked: true, rows: s.rows, tiles: s.tiles, needs: needsAMXBF16, run: GemmAMXx2},
			exactKernel{name: "GemmW4AMXx2" + of, lines: []lineKind{lines4}, pairs: true, tiled: true, inTiles: true, rows: s.rows, tiles: s.tiles, needs: needsAMXBF16, run: GemmW4AMXx2},
			exactKernel{name: "GemmBF16AMXx2" + of, lines: []lineKind{linesBF16}, pairs: true, tiled: true, inTiles: true, rows: s.rows, tiles: s.tiles, needs: needsAMXBF16, run: GemmBF16AMXx2},
		)
	}
	for _, s := range []struct{ rows, tiles int }{{33, 2}, {36, 4}, {37, 2}, {40, 2}, {41, 4}, {47, 2}, {48, 4}} {
		of := fmt.Sprintf("/%dx%d", s.rows, s.tiles)
		exactKernels = append(exactKernels,
			exactKernel{name: "GemmW4AMXx3" + of, lines: []lineKind{lines4}, pairs: true, tiled: true, inTiles: true, rows: s.rows, tiles: s.tiles, needs: needsAMXBF16, run: GemmW4AMXx3})
	}
	unpackKernels = append(unpackKernels,
		unpackKernel{name: "UnpackPairsW8AMX", lines: lines8, pairs: true, needs: needsAVX512, run: UnpackPairsW8AMX},
	)
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
		part.tiles = 0 // codes as they are packed
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
			x, side, scales, places := c.X, c.Side, c.Scales, p.places()
			for first := 0; first < segments; first += int(c.Segments) {
				c.First, c.Segments = uintptr(first), uintptr(1+rng.IntN(segments-first))
				c.X, c.Side = unsafe.Add(x, p.starts[first]*TileRows), unsafe.Add(side, 4*first)
				if scales != nil {
					c.Scales = unsafe.Add(scales, 4*first)
				}
				m.layPlaces(c, places[first:first+int(c.Segments)], true)
				k.run(c)
			}
			require.Equal(t, want, m.y, "%s of %s", k, p)
		}
	}
}

// Some segments of a block after the other leave what all of them at once do, unpacked
// and as they are packed.
func TestPairsOnTilesApart(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AMXTILE, cpuid.AMXBF16) || !amx.Allowed() {
		t.Skip("the processor lacks AMX")
	}
	rng, m := rand.New(rand.NewPCG(16, 17)), newMemory(t)
	for range 200 {
		lines := []lineKind{lines8, linesBF16}[rng.IntN(2)]
		forms, segments := lines.forms(), 1+rng.IntN(4)
		s := exactShape{lines: lines, pairs: true, tiled: true, form: forms[rng.IntN(len(forms))], rows: 16 * (1 + rng.IntN(3)), tiles: 1 + rng.IntN(3)}
		s.blocks = []Block{s.block(segments, TilePairs/lines.features()*(1+rng.IntN(3)))}
		p := s.fill(rng)
		part := p.whole()
		part.inTiles = true
		c := m.layExact(p, part, false, 0, rng.IntN(4) != 0, rng.IntN)
		want, packed, x, step := p.model(), c.W, c.X, c.WStep
		block := p.blocks[0]
		panel := UnpackedPairsBytes(p.blocks)
		for first := 0; first < segments; {
			n := 1 + rng.IntN(segments-first)
			c.X = unsafe.Add(x, p.starts[first]*2*TileRows)
			c.Blocks, c.First, c.Segments = &block, uintptr(first), uintptr(n)
			if lines == linesBF16 {
				GemmBF16AMX(c)
			} else {
				panels := alignedTo64(s.tiles * panel)
				for i := range s.tiles {
					c.W = unsafe.Add(packed, i*int(step))
					UnpackPairsW8AMX(pointer(panels[i*panel:]), c)
				}
				some := Block{Lines: block.Lines, Features: block.Features, Segments: uint8(n), Ends: 1<<n - 1}
				c.W, c.WStep = pointer(panels), uintptr(panel)
				c.Blocks, c.First, c.Segments = &some, 0, 0
				GemmAMX(c)
			}
			first += n
		}
		for i := range want {
			row, column := i/p.columns(), i%p.columns()
			got := math.Float32frombits(binary.LittleEndian.Uint32(m.y[row*m.ys+4*column:]))
			require.True(t, same(want[i], got), "row %d, column %d of %s: %g, want %g", row, column, p, got, want[i])
		}
	}
}

// alignedTo64 is memory for panels.
func alignedTo64(n int) []byte {
	b := make([]byte, n+63)
	return b[-uintptr(pointer(b))&63:][:n]
}
