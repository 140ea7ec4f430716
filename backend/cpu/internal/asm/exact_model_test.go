package asm

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"unsafe"

	"github.com/bitlane/bitlane/dtype"
)

// lineKind is what the lines of an exact kernel hold.
type lineKind struct {
	bits  int         // of a code, 0: plain
	plain dtype.DType // of plain weights
}

var (
	lines4    = lineKind{bits: 4}
	lines8    = lineKind{bits: 8}
	linesF32  = lineKind{plain: dtype.F32}
	linesF16  = lineKind{plain: dtype.F16}
	linesBF16 = lineKind{plain: dtype.BF16}

	lineKinds = []lineKind{lines4, lines8, linesF32, linesF16, linesBF16}
)

func (l lineKind) features() int {
	if l.bits > 0 {
		return 32 / l.bits
	}
	return 4 / l.plain.Size()
}

func (l lineKind) String() string {
	if l.bits > 0 {
		return "codes of " + string('0'+rune(l.bits)) + " bits"
	}
	return l.plain.String()
}

// exactProblem is the work of one call to an exact kernel, by its meaning.
// Segments count through all blocks.
type exactProblem struct {
	lines  lineKind
	pairs  bool // x is of bfloat16, and sums are of pairs
	tiled  bool // sums are of tiles, and each x is a bfloat16
	rows   int
	tiles  int
	form   Form
	zero   int // of ZeroConstant
	blocks []Block
	starts []int     // [segments+1] first feature of each
	x      []float32 // [rows][features]
	w      []uint32  // [features][columns] codes, or bits of plain weights
	scales []uint32  // [segments][columns] bits of the scale type
	zeros  []uint8   // [segments][columns]
	y      []float32 // [rows][columns] before the call

	made *exactMade // what is made of these when it is first asked for
}

// exactMade is what all calls with a problem share: under emulators it takes most of the time.
type exactMade struct {
	y             []float32
	tiles, panels [4][]byte
	rows          []byte // x as kernels read it
}

// exactPart is the rows and the tiles of a problem that a kernel is given.
type exactPart struct {
	rows, tiles, row, tile int
	inTiles                bool // x is laid in tiles
}

func (p *exactProblem) whole() exactPart { return exactPart{rows: p.rows, tiles: p.tiles} }

// anyPart is a part for k.
func (p *exactProblem) anyPart(rng *rand.Rand, k exactKernel) exactPart {
	return exactPart{k.rows, k.tiles, rng.IntN(p.rows - k.rows + 1), rng.IntN(p.tiles - k.tiles + 1), k.inTiles}
}

// of returns row r of the part, of y or of what the model says of it.
func (k exactPart) of(y []float32, p *exactProblem, r int) []float32 {
	return y[(k.row+r)*p.columns()+16*k.tile:][:16*k.tiles]
}

func (p *exactProblem) columns() int  { return 16 * p.tiles }
func (p *exactProblem) segments() int { return len(p.starts) - 1 }
func (p *exactProblem) features() int { return p.starts[p.segments()] }

// weight is u−z, or the plain weight, of feature k in segment s.
func (p *exactProblem) weight(s, k, c int) float32 {
	w := p.w[k*p.columns()+c]
	switch {
	case p.lines.bits > 0 && p.form&zeroMask == ZeroBytes:
		return float32(int(w) - int(p.zeros[s*p.columns()+c]))
	case p.lines.bits > 0:
		return float32(int(w) - p.zero)
	case p.lines.plain == dtype.F16:
		return dtype.F16ToF32(uint16(w))
	case p.lines.plain == dtype.BF16:
		return dtype.BF16ToF32(uint16(w))
	}
	return math.Float32frombits(w)
}

// scale is 1 for plain weights.
func (p *exactProblem) scale(s, c int) float32 {
	bits := p.scales[s*p.columns()+c]
	switch p.form & scaleMask {
	case ScalesF16:
		return dtype.F16ToF32(uint16(bits))
	case ScalesBF16:
		return dtype.BF16ToF32(uint16(bits))
	case ScalesNone:
		return 1
	}
	return math.Float32frombits(bits)
}

// model returns what the call leaves in Y.
func (p *exactProblem) model() []float32 {
	if p.made.y != nil {
		return p.made.y
	}
	y, w := append([]float32(nil), p.y...), make([]float32, p.features())
	for c := range p.columns() {
		for s := range p.segments() {
			from, to := p.starts[s], p.starts[s+1]
			for k := from; k < to; k++ {
				w[k] = p.weight(s, k, c)
			}
			for r := range p.rows {
				sum, a := &y[r*p.columns()+c], float32(0)
				x := p.x[r*p.features():][from:to]
				switch {
				case p.tiled:
					a = p.lines.sumOfTiles(x, w[from:to])
				case p.pairs:
					a = p.lines.sumOfPairs(x, w[from:to])
				default:
					for k, x := range x {
						a = dtype.FMA(x, w[from+k], a)
					}
				}
				switch {
				case p.form&scaleMask == ScalesNone && p.tiled:
					*sum = flushedSum(*sum, a)
				case p.form&scaleMask == ScalesNone:
					*sum += a
				default:
					*sum = dtype.FMA(a, p.scale(s, c), *sum)
				}
			}
		}
	}
	p.made.y = y
	return y
}

func (p *exactProblem) header() int { return 64 * (p.form.ScaleBytes() + p.form.ZeroBytesOf()) }

// tileBytes is the bytes of a packed tile, panelBytes of an unpacked one.
func (p *exactProblem) tileBytes() (n int) {
	for _, b := range p.blocks {
		n += p.header() + 64*int(b.Segments)*int(b.Lines)
	}
	return n
}

func (p *exactProblem) panelBytes() int {
	if p.pairs {
		return UnpackedPairsBytes(p.blocks)
	}
	return UnpackedBytes(p.blocks)
}

// eachBlock calls f with each block and its first segment.
func (p *exactProblem) eachBlock(f func(b Block, first int)) {
	first := 0
	for _, b := range p.blocks {
		f(b, first)
		first += int(b.Segments)
	}
}

// pack writes a tile as it lies in memory: headers, then lines of the segments
// in turn. Parts of a header that no segment has are 0.
func (p *exactProblem) pack(dst []byte, tile int) {
	clear(dst)
	put := binary.LittleEndian
	p.eachBlock(func(b Block, first int) {
		n := int(b.Segments)
		for s := range n {
			for c := range 16 {
				from, to := (first+s)*p.columns()+16*tile+c, 16*s+c
				switch p.form.ScaleBytes() {
				case 2:
					put.PutUint16(dst[2*to:], uint16(p.scales[from]))
				case 4:
					put.PutUint32(dst[4*to:], p.scales[from])
				}
				if p.form&zeroMask == ZeroBytes {
					dst[64*p.form.ScaleBytes()+to] = p.zeros[from]
				}
			}
		}
		dst = dst[p.header():]
		for s := range n {
			for i := range int(b.Lines) {
				line := dst[64*(i*n+s):]
				for c := range 16 {
					put.PutUint32(line[4*c:], p.dword(p.starts[first+s]+i*p.lines.features(), 16*tile+c))
				}
			}
		}
		dst = dst[64*n*int(b.Lines):]
	})
}

// dword is a column's part of the line that begins with feature k.
func (p *exactProblem) dword(k, c int) (d uint32) {
	for t := range p.lines.features() {
		w := p.w[(k+t)*p.columns()+c]
		switch {
		case p.lines.bits == 4:
			d |= w << (t%4*8 + t/4*4)
		default:
			d |= w << (t * 32 / p.lines.features())
		}
	}
	return d
}

// unpack writes a tile as an unpacked panel.
func (p *exactProblem) unpack(dst []byte, tile int) {
	put := func(v float32) {
		binary.LittleEndian.PutUint32(dst, math.Float32bits(v))
		dst = dst[4:]
	}
	p.eachBlock(func(b Block, first int) {
		for s := range 4 {
			for c := range 16 {
				switch {
				case p.form&scaleMask == ScalesNone:
					put(1)
				case s >= int(b.Segments):
					put(0)
				default:
					put(p.scale(first+s, 16*tile+c))
				}
			}
		}
		for s := first; s < first+int(b.Segments); s++ {
			if p.pairs {
				dst = p.unpackPairs(dst, s, tile)
				continue
			}
			for k := p.starts[s]; k < p.starts[s+1]; k++ {
				for c := range 16 {
					put(p.weight(s, k, 16*tile+c))
				}
			}
		}
	})
}

// tile is tile i as it lies in memory, packed or an unpacked panel.
func (p *exactProblem) tile(i int, unpacked bool) []byte {
	made, size, write := &p.made.tiles[i], p.tileBytes(), p.pack
	if unpacked {
		made, size, write = &p.made.panels[i], p.panelBytes(), p.unpack
	}
	if *made == nil {
		*made = make([]byte, size)
		write(*made, i)
	}
	return *made
}

// rowBytes is x as kernels read it.
func (p *exactProblem) rowBytes() []byte {
	if p.made.rows == nil {
		row := p.xBytes() * p.features()
		p.made.rows = make([]byte, p.rows*row)
		for r := range p.rows {
			p.putRow(p.made.rows[r*row:][:row], r)
		}
	}
	return p.made.rows
}

// lay writes a part of p to memory with random steps and returns the call; W is packed
// tiles or unpacked panels. W is aligned to 64 bytes, all else to 4; but where bytes
// beyond W may be read, the first that may not is on the guard page, and W not aligned.
func (m *memory) layExact(p *exactProblem, k exactPart, unpacked bool, beyond int, behind bool, spread func(int) int) *Call {
	tile := len(p.tile(0, unpacked))
	m.ws = tile + 64*spread(3)
	m.w = m.take("w", (k.tiles-1)*m.ws+tile+beyond, behind)
	for i := range k.tiles {
		copy(m.w[i*m.ws:][:tile], p.tile(k.tile+i, unpacked))
	}

	row := p.xBytes() * p.features()
	m.xs = row + 4*spread(70)
	if k.inTiles {
		m.layExactTiles(p.rowBytes()[k.row*row:][:k.rows*row], row, behind)
	} else {
		m.x = m.take("x", (k.rows-1)*m.xs+row, behind)
		for r := range k.rows {
			copy(m.x[r*m.xs:][:row], p.rowBytes()[(k.row+r)*row:])
		}
	}

	m.blocks = m.take("blocks", int(unsafe.Sizeof(Block{}))*len(p.blocks), behind)
	copy(unsafe.Slice((*Block)(pointer(m.blocks)), len(p.blocks)), p.blocks)

	m.ys = 4 * (16*k.tiles + spread(3))
	room := k.rows
	if k.inTiles {
		room = tiledRows(room) // rows beyond the last are the kernel's
	}
	m.y = m.take("y", (room-1)*m.ys+64*k.tiles, behind)
	for i := range m.y {
		m.y[i] = 0xa5
	}
	for r := range k.rows {
		for i, v := range k.of(p.y, p, r) {
			binary.LittleEndian.PutUint32(m.y[r*m.ys+4*i:], math.Float32bits(v))
		}
	}
	c := &Call{
		W: pointer(m.w), WStep: uintptr(m.ws), X: pointer(m.x), XStep: uintptr(m.xs),
		Blocks: (*Block)(pointer(m.blocks)), Count: uintptr(len(p.blocks)),
		Y: (*float32)(pointer(m.y)), YStep: uintptr(m.ys), Form: p.form, Zero: uint64(p.zero), Ahead: uintptr(4160 * spread(3)), Pace: uintptr(64 - 7*spread(10)),
	}
	if k.inTiles {
		m.spare = m.take("spare", TileSpare(k.tiles, p.segments()), behind)
		c.Rows, c.Tiles, c.TileBytes, c.Spare = uintptr(k.rows), uintptr(k.tiles), TileBytes, pointer(m.spare)
		c.Soon, c.SoonStep, c.Share = uintptr(c.W), uintptr(64*spread(9)), uintptr(spread(3))
		if !unpacked && p.lines == lines4 {
			m.layPlaces(c, p.places(), behind)
			c.PlaceCount /= 2
		}
	}
	return c
}

// places is where each tile of packed codes of 4 bits begins in a tile of columns, with
// the segments of its block, and where its zero points are, by segment.
func (p *exactProblem) places() (all [][]uint32) {
	at := 0
	for _, b := range p.blocks {
		zeros := at + 64*p.form.ScaleBytes()
		lines := zeros + 64*p.form.ZeroBytesOf()
		for s := range int(b.Segments) {
			var places []uint32
			for line := 0; line < int(b.Lines); line += TilePairs / p.lines.features() {
				places = append(places, uint32(lines+64*(line*int(b.Segments)+s)|int(b.Segments)), uint32(zeros+16*s))
			}
			all = append(all, places)
		}
		at = lines + 64*int(b.Segments)*int(b.Lines)
	}
	return all
}
