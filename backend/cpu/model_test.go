package cpu

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/bf16emu"
)

// model is a unit in plain Go, which reads panels as package asm describes
// them: it shows that packing, rows and blocking are right on any machine.
// Its sums are rounded once more than those of the assembly where that fuses
// a product and a sum, but for those of pairs, which are the same bits.
func model(kind panelKind) *unit {
	u := &unit{name: "model", four: offer{true, kind}, eight: offer{true, kind}, exact: offer{true, floatPanel}}
	steps := func(bits int) []step {
		return []step{
			{3, func(c *asm.Call) { modelIntegers(c, kind, bits, 3) }},
			{1, func(c *asm.Call) { modelIntegers(c, kind, bits, 1) }},
		}
	}
	if kind == pairPanel {
		u.four.is, u.eight.is, u.exact.kind = false, false, pairPanel
		for _, w := range []weightKind{weight4, weight8, weightBF16} {
			u.functions.exact.direct[w] = []step{{1, func(c *asm.Call) { modelPairs(c, w) }}}
		}
		return u
	}
	u.functions.codes4.direct = steps(4)
	u.functions.codes8.direct = steps(8)
	for w := range weightKinds {
		u.functions.exact.direct[w] = []step{{1, func(c *asm.Call) { modelExact(c, w) }}}
	}
	return u
}

// modelOfTiles is one of bytes that has many rows in tiles, and for exact products sums
// of tiles. It multiplies all weights as they are packed.
func modelOfTiles() *unit {
	u := model(bytePanel)
	u.exact.kind, u.tiles = tilePanel, true
	four, eight := func(c *asm.Call) { modelTiles(c, 4) }, func(c *asm.Call) { modelTiles(c, 8) }
	u.functions.codes4.tiles, u.functions.codes4.tilesUnits = four, inUnits(four)
	u.functions.codes4.tilesFew, u.functions.codes4.fewUnits = modelOnTheWay, inUnits(modelOnTheWay)
	u.functions.codes4.fewTall = tall(inUnits(modelOnTheWay))
	u.functions.codes8.tiles, u.functions.codes8.tilesUnits, u.functions.codes8.tilesFew = eight, inUnits(eight), eight
	u.functions.exact.direct = [weightKinds][]step{}
	for _, w := range []weightKind{weight4, weight8, weightBF16} {
		u.functions.exact.direct[w] = []step{{1, func(c *asm.Call) {
			modelChains(c, w, unsafe.Slice(c.Y, tileColumns), func(i int) float32 { return at[float32](c.X, i) })
		}}}
		pairs := func(c *asm.Call) { modelPairsOnTiles(c, w) }
		u.functions.exact.tiles[w], u.functions.exact.tilesUnits[w] = pairs, inUnits(pairs)
	}
	u.functions.exact.tilesFew[weight4], u.functions.exact.fewUnits[weight4] = modelPairsOnTheWay, inUnits(modelPairsOnTheWay)
	u.functions.exact.fewTall[weight4] = tall(inUnits(modelPairsOnTheWay))
	return u
}

// inUnits is a kernel that finds the call to be one of units of two by two tiles.
func inUnits(kernel func(*asm.Call)) func(*asm.Call) {
	return func(c *asm.Call) {
		if c.Tiles%2 != 0 {
			panic(fmt.Sprintf("%d tiles of columns", c.Tiles))
		}
		for _, b := range unsafe.Slice(c.Blocks, c.Count) {
			if b.Ends != 1<<b.Segments-1 {
				panic(fmt.Sprintf("of %d segments some end no sum: %b", b.Segments, b.Ends))
			}
		}
		kernel(c)
	}
}

// tall is a kernel that finds the call to be one of a unit of three tiles of rows.
func tall(kernel func(*asm.Call)) func(*asm.Call) {
	return func(c *asm.Call) {
		if c.Rows <= 32 || c.Rows > 48 {
			panic(fmt.Sprintf("%d rows", c.Rows))
		}
		kernel(c)
	}
}

// modelPairsOnTheWay multiplies packed codes, and finds that the call says where they and their
// zero points are.
func modelPairsOnTheWay(c *asm.Call) {
	places, at := unsafe.Slice(c.Places, 2*c.PlaceCount), 0
	for _, b := range unsafe.Slice(c.Blocks, c.Count) {
		zeros := at + inBlock*tileColumns*c.Form.ScaleBytes()
		lines := zeros + inBlock*tileColumns*c.Form.ZeroBytesOf()
		for s := range int(b.Segments) {
			for line := 0; line < int(b.Lines); line += asm.TilePairs / 8 {
				if at, step := int(places[0])&^63, int(places[0])&63; at != lines+lineBytes*(line*int(b.Segments)+s) || step != int(b.Segments) || int(places[1]) != zeros+tileColumns*s {
					panic(fmt.Sprintf("line %d of segment %d is at %d by %d with zero points at %d", line, s, at, step, places[1]))
				}
				places = places[2:]
			}
		}
		at = lines + lineBytes*int(b.Segments)*int(b.Lines)
	}
	if len(places) > 0 {
		panic(fmt.Sprintf("%d places too many", len(places)/2))
	}
	modelPairsOnTiles(c, weight4)
}

// rowsTold hears of the rows of each call of the model's kernels of tiles.
var rowsTold = func(int) {}

// modelPairsOnTiles multiplies rows of pairs that are in tiles.
func modelPairsOnTiles(c *asm.Call, kind weightKind) {
	rowsTold(int(c.Rows))
	order := pairsOf(kind)
	for m := range int(c.Rows) {
		x := unsafe.Add(c.X, m/asm.TileRows*asm.TileRows*int(c.XStep)+m%asm.TileRows*asm.TileBytes)
		for t := range int(c.Tiles) {
			of := *c
			of.W = unsafe.Add(c.W, t*int(c.WStep))
			y := (*float32)(unsafe.Add(unsafe.Pointer(c.Y), m*int(c.YStep)+t*tileColumns*4))
			modelChains(&of, kind, unsafe.Slice(y, tileColumns), func(i int) float32 {
				line, place := i/len(order)*len(order), slices.Index(order, i%len(order))
				i = line + place
				return dtype.BF16ToF32(at[uint16](x, i/asm.TilePairs*asm.TilePairs*asm.TileRows+i%asm.TilePairs))
			})
		}
	}
}

func pairsOf(kind weightKind) []int {
	return asm.PairsOfLine([...]int{weight4: 4, weight8: 8, weightBF16: 0}[kind])
}

// modelChains adds the products of a row x and a packed tile to y, with the sums of
// tiles. c may name some segments of a block, at the first of which x begins.
func modelChains(c *asm.Call, kind weightKind, y []float32, x func(i int) float32) {
	order := pairsOf(kind)
	features := len(order)
	add := func(a, b float32) float32 { return bf16emu.Step(b, 1, a) }
	r := reader{c: c}
	r.each(features, true, func(s, first, step, n int, _ bool) {
		from := r.at
		if c.Segments > 0 {
			if s < int(c.First) || s >= int(c.First+c.Segments) {
				return
			}
			from -= int(c.First) * n
		}
		for col := range tileColumns {
			var a float32
			var chains [2]float32
			for i := range n {
				line, k := first+i/features*step+col*4, order[i%features]
				w := r.pairOf(kind, line, k, s, col)
				chains[i%2] = bf16emu.Step(x(from+i/features*features+k), w, chains[i%2])
				if (i+1)%asm.TilePairs == 0 {
					a, chains = add(a, add(chains[0], chains[1])), [2]float32{}
				}
			}
			if kind == weightBF16 {
				y[col] = add(y[col], a)
			} else {
				y[col] = dtype.FMA(a, r.scale(s, col), y[col])
			}
		}
	})
}

// pairOf is the weight of feature k of a line, less its zero point.
func (r *reader) pairOf(kind weightKind, line, k, s, col int) float32 {
	if kind == weightBF16 {
		return dtype.BF16.At(r.block[line:], k)
	}
	z := int32(r.c.Zero)
	if r.c.Form.Zeros() == asm.ZeroBytes {
		z = int32(r.zeros(s, col)[0])
	}
	return float32(code(binary.LittleEndian.Uint32(r.block[line:]), len(pairsOf(kind)), k) - z)
}

// modelTiles multiplies rows that are in tiles, a copy of which it makes. Segments that
// the call does not name it multiplies by 0.
func modelTiles(c *asm.Call, bits int) {
	rowsTold(int(c.Rows))
	features, segments, before, tile := 0, 0, 0, int(c.TileBytes)
	for _, b := range unsafe.Slice(c.Blocks, c.Count) {
		features += int(b.Segments) * int(b.Features)
		segments += int(b.Segments)
	}
	named := features
	if c.Segments > 0 {
		before, named = int(c.First)*int(c.Blocks.Features), int(c.Segments)*int(c.Blocks.Features)
	}
	rows := make([]byte, int(c.Rows)*features)
	sides, scales := make([]uint32, int(c.Rows)*segments), make([]uint32, int(c.Rows)*segments)
	for m := range int(c.Rows) {
		from := unsafe.Add(c.X, m/asm.TileRows*asm.TileRows*int(c.XStep))
		for k := range named {
			at := k/tile*tile*asm.TileRows + m%asm.TileRows*tile + k%tile
			rows[m*features+before+k] = *(*byte)(unsafe.Add(from, at))
		}
		for s := range segments {
			if c.Segments > 0 && s >= int(c.Segments) {
				break
			}
			sides[m*segments+int(c.First)+s] = at[uint32](unsafe.Add(c.Side, m*int(c.SStep)), s)
			if c.Scales != nil {
				scales[m*segments+int(c.First)+s] = at[uint32](unsafe.Add(c.Scales, m*int(c.SStep)), s)
			}
		}
	}
	clear(unsafe.Slice((*byte)(c.Spare), asm.TileSpare(int(c.Tiles), segments)))
	apart := *c
	apart.X, apart.XStep = unsafe.Pointer(&rows[0]), uintptr(features)
	apart.Side, apart.SStep = unsafe.Pointer(&sides[0]), uintptr(segments*4)
	if c.Scales != nil {
		apart.Scales = unsafe.Pointer(&scales[0])
	}
	for t := range c.Tiles {
		apart.W = unsafe.Add(c.W, t*c.WStep)
		apart.Y = (*float32)(unsafe.Add(unsafe.Pointer(c.Y), t*tileColumns*4))
		modelIntegers(&apart, bytePanel, bits, int(c.Rows))
	}
}

// modelOnTheWay multiplies tiles of weights from where the call says that they are.
func modelOnTheWay(c *asm.Call) {
	const linesOfTile = asm.TileBytes / 8
	of, places, size := *c, unsafe.Slice(c.Places, c.PlaceCount), 0
	var lines []int // where each tile's lines belong
	for _, b := range unsafe.Slice(c.Blocks, c.Count) {
		size += inBlock * tileColumns * (c.Form.ScaleBytes() + c.Form.ZeroBytesOf())
		for range int(b.Segments) * int(b.Lines) / linesOfTile {
			lines = append(lines, size)
			size += linesOfTile * lineBytes
		}
	}
	if len(places) != len(lines) {
		panic(fmt.Sprintf("%d places for %d tiles", len(places), len(lines)))
	}
	w := make([]byte, int(c.Tiles)*size+lineBytes) // a reader goes on behind the last block
	for t := range int(c.Tiles) {
		from, to := unsafe.Slice((*byte)(unsafe.Add(c.W, t*int(c.WStep))), size), w[t*size:]
		copy(to, from)
		for i, place := range places {
			copy(to[lines[i]:][:linesOfTile*lineBytes], from[place:])
		}
	}
	of.W, of.WStep = unsafe.Pointer(&w[0]), uintptr(size)
	modelTiles(&of, 4)
}

// reader walks the blocks of a call.
type reader struct {
	c     *asm.Call
	block []byte // of the tile
	at    int    // features of x before the segment
	index int    // of the segment in the call
}

func (r *reader) each(features int, floats bool, f func(s, lines, step, n int, ends bool)) {
	w := r.c.W
	for _, b := range unsafe.Slice(r.c.Blocks, r.c.Count) {
		head := inBlock * tileColumns * (r.c.Form.ScaleBytes() + r.c.Form.ZeroBytesOf())
		if r.c.Form == asm.ScalesNone {
			head = 0
		}
		size := head + int(b.Segments)*int(b.Lines)*lineBytes
		r.block = unsafe.Slice((*byte)(w), size)
		for s := range int(b.Segments) {
			first, step := head+s*int(b.Lines)*lineBytes, lineBytes
			if floats {
				first, step = head+s*lineBytes, int(b.Segments)*lineBytes
			}
			f(s, first, step, int(b.Lines)*features, b.Ends>>s&1 == 1)
			r.at += int(b.Lines) * features
			r.index++
		}
		w = unsafe.Add(w, size)
	}
}

func (r *reader) scale(s, col int) float32 {
	t := []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}[r.c.Form&3]
	return t.At(r.block, s*tileColumns+col)
}

func (r *reader) zeros(s, col int) []byte {
	size := r.c.Form.ZeroBytesOf()
	return r.block[inBlock*tileColumns*r.c.Form.ScaleBytes()+(s*tileColumns+col)*size:][:size]
}

func code(word uint32, features, i int) int32 {
	if features == 8 {
		return int32(word >> (8*(i%4) + 4*(i/4)) & 15)
	}
	return int32(word >> (8 * i) & 255)
}

func at[T any](p unsafe.Pointer, i int) T {
	var t T
	return *(*T)(unsafe.Add(p, i*int(unsafe.Sizeof(t))))
}

func modelIntegers(c *asm.Call, kind panelKind, bits, rows int) {
	features := 32 / bits
	for m := range rows {
		x, side, scales := unsafe.Add(c.X, uintptr(m)*c.XStep), unsafe.Add(c.Side, uintptr(m)*c.SStep), c.Scales
		if scales != nil {
			scales = unsafe.Add(scales, uintptr(m)*c.SStep)
		}
		y := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(c.Y), uintptr(m)*c.YStep)), tileColumns)
		var sum [tileColumns]int32
		r := reader{c: c}
		r.each(features, false, func(s, first, step, n int, ends bool) {
			for col := range tileColumns {
				z := int32(c.Zero)
				if kind == wordPanel && c.Form.Zeros() == asm.ZeroBytes {
					z = int32(r.zeros(s, col)[0])
				}
				for i := range n {
					u := code(binary.LittleEndian.Uint32(r.block[first+i/features*step+col*4:]), features, i%features)
					if kind == wordPanel {
						sum[col] += int32(at[int16](x, r.at+i)) * (u - z)
					} else {
						sum[col] += int32(at[int8](x, r.at+i)) * u
					}
				}
				if kind == bytePanel {
					d := at[int32](side, r.index)
					switch c.Form.Zeros() {
					case asm.ZeroConstant:
						sum[col] += d
					case asm.ZeroBytes:
						sum[col] += int32(r.zeros(s, col)[0]) * int32(int16(d))
					case asm.ZeroPairs:
						pair := r.zeros(s, col)
						sum[col] += int32(int16(binary.LittleEndian.Uint16(pair)))*int32(int16(d)) + int32(int16(binary.LittleEndian.Uint16(pair[2:])))*(d>>16)
					}
				}
				if !ends {
					continue
				}
				t := float32(float32(sum[col]) * r.scale(s, col))
				if c.Scales != nil {
					t = float32(t * at[float32](scales, r.index))
				}
				y[col] += t
				sum[col] = 0
			}
		})
	}
}

func modelPairs(c *asm.Call, kind weightKind) {
	order := pairsOf(kind)
	features := len(order)
	y := unsafe.Slice(c.Y, tileColumns)
	r := reader{c: c}
	r.each(features, true, func(s, first, step, n int, _ bool) {
		for col := range tileColumns {
			var a float32
			for i := range n {
				i ^= 1 // the upper half of a pair first
				w := r.pairOf(kind, first+i/features*step+col*4, order[i%features], s, col)
				a = bf16emu.Step(dtype.BF16ToF32(at[uint16](c.X, r.at+i)), w, a)
			}
			if kind == weightBF16 {
				y[col] += a
			} else {
				y[col] = dtype.FMA(a, r.scale(s, col), y[col])
			}
		}
	})
}

func modelExact(c *asm.Call, kind weightKind) {
	features := [...]int{weight4: 8, weight8: 4, weightF32: 1, weightF16: 2, weightBF16: 2}[kind]
	y := unsafe.Slice(c.Y, tileColumns)
	r := reader{c: c}
	r.each(features, true, func(s, first, step, n int, _ bool) {
		for col := range tileColumns {
			z := int32(c.Zero)
			if c.Form.Zeros() == asm.ZeroBytes {
				z = int32(r.zeros(s, col)[0])
			}
			var a float32
			for i := range n {
				word := binary.LittleEndian.Uint32(r.block[first+i/features*step+col*4:])
				var w float32
				switch kind {
				case weightF32:
					w = math.Float32frombits(word)
				case weightF16:
					w = dtype.F16.At(r.block[first+i/features*step+col*4:], i%2)
				case weightBF16:
					w = dtype.BF16.At(r.block[first+i/features*step+col*4:], i%2)
				default:
					w = float32(code(word, features, i%features) - z)
				}
				a += float32(at[float32](c.X, r.at+i) * w)
			}
			if kind <= weight8 {
				a = float32(a * r.scale(s, col))
			}
			y[col] += a
		}
	})
}
