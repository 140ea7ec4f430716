package asm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/bf16emu"
)

// exactFault is a mistake that an exact kernel can make.
type exactFault int

const (
	exactNone     exactFault = iota
	exactDescends            // features
	exactTwoChains
	exactRoundsProducts
	exactScalesProducts // instead of their sum
	exactIgnoresZeros
	exactTakesNextZero
	exactTakesNextScale
	exactSkipsLastLine
	exactOneRow // x of row 0 for all
	exactClearsSums
	exactWritesOn
	exactChangesInput
	exactLowerFirst // of a pair
	exactKeepsSubnormals
	exactLongChains // over tiles
	exactFaults
)

// portable returns a kernel in Go, with a fault, that reads what Call points to.
// lines is what W holds.
func (k exactKernel) portable(lines lineKind, f exactFault) func(*Call) {
	return func(c *Call) {
		for r := range k.rows {
			for column := range 16 * k.tiles {
				k.portableSum(c, lines, f, r, column)
			}
		}
		switch {
		case f == exactWritesOn && c.YStep > uintptr(64*k.tiles):
			*load[float32](unsafe.Pointer(c.Y), 64*k.tiles) = 1
		case f == exactChangesInput:
			*load[uint8](c.X, 0) ^= 1
		}
	}
}

func (k exactKernel) portableSum(c *Call, lines lineKind, f exactFault, r, column int) {
	w := unsafe.Add(c.W, column/16*int(c.WStep))
	if f == exactOneRow {
		r = 0
	}
	x := unsafe.Add(c.X, r*int(c.XStep))
	if k.inTiles {
		x = unsafe.Add(c.X, r/TileRows*TileRows*int(c.XStep)+r%TileRows*TileBytes)
	}
	y := load[float32](unsafe.Pointer(c.Y), r*int(c.YStep)+4*column)
	if f == exactClearsSums {
		*y = 0
	}
	column %= 16
	for i := range int(c.Count) {
		b := load[Block](unsafe.Pointer(c.Blocks), int(unsafe.Sizeof(Block{}))*i)
		header, next := w, 0
		if k.unpacked {
			w, next = unsafe.Add(w, 256), UnpackedBytes([]Block{*b})
			if k.pairs {
				next = UnpackedPairsBytes([]Block{*b})
			}
		} else {
			w = unsafe.Add(w, 64*(c.Form.ScaleBytes()+c.Form.ZeroBytesOf()))
			next = 64*(c.Form.ScaleBytes()+c.Form.ZeroBytesOf()) + 64*int(b.Segments)*int(b.Lines)
		}
		for s := range int(b.Segments) {
			at := 16*s + column
			features := int(b.Lines) * lines.features()
			weight := func(j int) float32 {
				if k.unpacked {
					return *load[float32](w, 64*(s*int(b.Features)+j)+4*column)
				}
				zeros := unsafe.Add(header, 64*c.Form.ScaleBytes())
				if f == exactTakesNextZero {
					zeros = unsafe.Add(zeros, 1)
				}
				line := unsafe.Add(w, 64*(j/lines.features()*int(b.Segments)+s)+4*column)
				return lines.portableWeight(line, j%lines.features(), portableZero(c, zeros, at, f))
			}
			if f == exactSkipsLastLine {
				features -= lines.features()
			}
			if f == exactTakesNextScale && at < 48 {
				at += 16
			}
			scale := float32(1)
			if k.unpacked {
				scale = *load[float32](header, 4*at)
			} else if c.Form&scaleMask != ScalesNone {
				scale = scaleAt(c.Form, header, at)
			}
			if k.pairs {
				if k.unpacked {
					weight = func(j int) float32 { return portablePair(w, s*int(b.Features)+lines.place(j), column) }
				}
			}
			switch {
			case k.inTiles:
				lines.portableTiles(f, y, func(j int) float32 {
					place := lines.place(j)
					return dtype.BF16ToF32(*load[uint16](x, place/TilePairs*TileRows*TileBytes+2*(place%TilePairs)))
				}, features, weight, scale)
				x = unsafe.Add(x, 2*TileRows*int(b.Features))
				continue
			case k.tiled:
				lines.portableTiles(f, y, func(j int) float32 { return *load[float32](x, 4*j) }, features, weight, scale)
				x = unsafe.Add(x, 4*int(b.Features))
				continue
			case k.pairs:
				lines.portablePairs(f, y, x, features, weight, scale)
				x = unsafe.Add(x, 2*int(b.Features))
				continue
			}
			portableChain(f, y, x, features, weight, scale)
			x = unsafe.Add(x, 4*int(b.Features))
		}
		w = unsafe.Add(header, next)
	}
}

func portableZero(c *Call, zeros unsafe.Pointer, at int, f exactFault) int {
	switch {
	case f == exactIgnoresZeros:
		return 0
	case c.Form&zeroMask == ZeroBytes:
		return int(*load[uint8](zeros, at))
	}
	return int(c.Zero)
}

// portableWeight is feature t of a column's part of a line.
func (l lineKind) portableWeight(p unsafe.Pointer, t, zero int) float32 {
	switch {
	case l.bits == 4:
		return float32(int(*load[uint8](p, t%4)>>(t/4*4)&15) - zero)
	case l.bits == 8:
		return float32(int(*load[uint8](p, t)) - zero)
	case l.plain == dtype.F16:
		return dtype.F16ToF32(*load[uint16](p, 2*t))
	case l.plain == dtype.BF16:
		return dtype.BF16ToF32(*load[uint16](p, 2*t))
	}
	return *load[float32](p, 0)
}

func portableChain(f exactFault, y *float32, x unsafe.Pointer, features int, weight func(int) float32, scale float32) {
	var a [2]float32
	for j := range features {
		if f == exactDescends {
			j = features - 1 - j
		}
		x, w := *load[float32](x, 4*j), weight(j)
		switch f {
		case exactTwoChains:
			a[j%2] = dtype.FMA(x, w, a[j%2])
			continue
		case exactRoundsProducts:
			a[0] += float32(x * w)
			continue
		case exactScalesProducts:
			w = float32(w * scale)
		}
		a[0] = dtype.FMA(x, w, a[0])
	}
	if f == exactScalesProducts {
		scale = 1
	}
	*y = dtype.FMA(a[0]+a[1], scale, *y)
}

// place is where a row of pairs has feature j of a segment.
func (l lineKind) place(j int) int {
	order := l.order()
	return j/len(order)*len(order) + slices.Index(order, j%len(order))
}

// portablePair is the weight at a place of an unpacked panel of pairs.
func portablePair(w unsafe.Pointer, place, column int) float32 {
	return dtype.BF16ToF32(*load[uint16](w, 64*(place/2)+4*column+2*(place%2)))
}

func (l lineKind) portablePairs(f exactFault, y *float32, x unsafe.Pointer, features int, weight func(int) float32, scale float32) {
	var a [2]float32
	order := l.order()
	for i := range features {
		if f == exactDescends {
			i = features - 1 - i
		}
		half := 1 - i%2 // the upper first
		if f == exactLowerFirst {
			half = i % 2
		}
		place := i/2*2 + half
		v, w := dtype.BF16ToF32(*load[uint16](x, 2*place)), weight(place/len(order)*len(order)+order[place%len(order)])
		sum := &a[0]
		switch f {
		case exactTwoChains:
			sum = &a[i/2%2]
		case exactScalesProducts:
			w = float32(w * scale)
		}
		if f == exactKeepsSubnormals {
			*sum = dtype.FMA(v, w, *sum)
		} else {
			*sum = bf16emu.Step(v, w, *sum)
		}
	}
	if f == exactScalesProducts {
		scale = 1
	}
	*y = dtype.FMA(a[0]+a[1], scale, *y)
}

// exactHarnessKernels are of every kind that the harness makes problems for.
func exactHarnessKernels() (ks []exactKernel) {
	for _, l := range lineKinds {
		ks = append(ks, exactKernel{lines: []lineKind{l}, rows: 2, tiles: 1})
	}
	for _, l := range []lineKind{lines4, lines8, linesBF16} {
		ks = append(ks, exactKernel{lines: []lineKind{l}, pairs: true, rows: 2, tiles: 1})
	}
	return append(ks,
		exactKernel{lines: []lineKind{lines4}, unpacked: true, rows: 2, tiles: 1},
		exactKernel{lines: []lineKind{linesF16}, unpacked: true, rows: 3, tiles: 2},
		exactKernel{lines: []lineKind{lines4}, pairs: true, unpacked: true, rows: 3, tiles: 2},
		exactKernel{lines: []lineKind{lines4}, tiled: true, rows: 2, tiles: 1},
		exactKernel{lines: []lineKind{lines8}, tiled: true, rows: 2, tiles: 1},
		exactKernel{lines: []lineKind{linesBF16}, tiled: true, rows: 2, tiles: 1},
		exactKernel{lines: []lineKind{lines4}, pairs: true, tiled: true, inTiles: true, unpacked: true, rows: 16, tiles: 2},
		exactKernel{lines: []lineKind{linesBF16}, pairs: true, tiled: true, inTiles: true, rows: 32, tiles: 1})
}

// larger is of which k takes a part.
func (k exactKernel) larger() exactKernel {
	k.rows, k.tiles = k.rows+1, k.tiles+1
	return k
}

// A kernel that reads the memory as the layout says agrees with the model, which
// knows no layout.
func TestExactHarness(t *testing.T) {
	rng, m, cases := rand.New(rand.NewPCG(18, 19)), newMemory(t), 40
	if testing.Short() { // it is Go alone
		cases = 10
	}
	for _, k := range exactHarnessKernels() {
		k.run = k.portable(k.lines[0], exactNone)
		for range cases {
			m.runExact(rng, k, randomExact(rng, k.larger()))
		}
	}
}

// The harness sees every fault in each kind of kernel that can have it.
func TestExactHarnessSeesFaults(t *testing.T) {
	for f := exactNone + 1; f < exactFaults; f++ {
		for i, k := range exactHarnessKernels() {
			coded := k.lines[0].bits > 0
			if (f == exactIgnoresZeros || f == exactTakesNextZero) && (k.unpacked || !coded) {
				continue // they have none
			}
			if (f == exactScalesProducts || f == exactTakesNextScale) && !coded {
				continue
			}
			if f == exactLowerFirst && (!k.pairs || k.tiled) || f == exactLongChains && !k.tiled {
				continue
			}
			if f == exactKeepsSubnormals && (!k.pairs && !k.tiled || k.tiled && coded) {
				continue // rows on tiles and codes make none
			}
			if f == exactRoundsProducts && (k.pairs || k.tiled) {
				continue // those of two bfloat16 are exact
			}
			t.Run(fmt.Sprint(int(f), "/", i), func(t *testing.T) {
				rng, spy := rand.New(rand.NewPCG(18, 19)), &spy{TB: t}
				k.run = k.portable(k.lines[0], f)
				m := newMemory(spy)
				for range 40 {
					if spy.sees(func() { m.runExact(rng, k, randomExact(rng, k.larger())) }) {
						return
					}
				}
				t.Errorf("fault %d in kernel %d went unseen", f, i)
			})
		}
	}
}
