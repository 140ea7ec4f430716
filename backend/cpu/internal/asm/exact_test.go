package asm

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// exactFamily is what kernels have in common that can be given the same problems.
type exactFamily struct {
	lines           lineKind
	all             bool // and those of any lines
	pairs, unpacked bool
	tiled           bool
}

func (k exactKernel) family() exactFamily {
	return exactFamily{k.lines[0], len(k.lines) > 1, k.pairs, k.unpacked, k.tiled}
}

// cases is how many random problems a kernel is given.
func (k exactKernel) cases() int {
	if testing.Short() { // for emulators, where the model takes the time
		return max(10, 60/(k.rows*k.tiles))
	}
	if k.inTiles { // many rows
		return 400 * TileRows / (k.rows * k.tiles)
	}
	return 400
}

// exactProblems are those of the family of k: random ones, then long ones. Each has as many
// rows and tiles as any of those kernels has that are given it.
func exactProblems(k exactKernel) (random, long []*exactProblem) {
	rng, most := rand.New(rand.NewPCG(11, 12)), k
	for i := 0; ; i++ {
		one := k
		one.rows = 0
		for _, other := range exactKernels {
			if other.family() != k.family() {
				continue
			}
			most.rows, most.tiles = max(most.rows, other.rows), max(most.tiles, other.tiles)
			if i < other.cases() {
				one.rows, one.tiles = max(one.rows, other.rows), max(one.tiles, other.tiles)
			}
		}
		if one.rows == 0 {
			break
		}
		random = append(random, randomExact(rng, one))
	}
	for _, s := range longExact(most, k.lines[0]) {
		long = append(long, s.fill(rng))
	}
	return random, long
}

// Each kernel is given rows and tiles of the problems of its family, so that the model
// runs once for all: under emulators it takes most of the time.
func TestExactKernels(t *testing.T) {
	if len(exactKernels) == 0 {
		t.Skip("no kernels for this architecture")
	}
	type problems struct{ random, long []*exactProblem }
	of := map[exactFamily]*problems{}
	for i, k := range exactKernels {
		t.Run(k.name, func(t *testing.T) {
			requireFeatures(t, k.needs)
			all := of[k.family()]
			if all == nil {
				random, long := exactProblems(k)
				all = &problems{random, long}
				of[k.family()] = all
			}
			rng, m := rand.New(rand.NewPCG(11, uint64(i))), newMemory(t)
			for _, p := range append(all.random[:k.cases():k.cases()], all.long...) {
				m.runExact(rng, k, p)
			}
		})
	}
}

func TestUnpackKernels(t *testing.T) {
	if len(unpackKernels) == 0 {
		t.Skip("no kernels for this architecture")
	}
	for _, k := range unpackKernels {
		t.Run(k.name, func(t *testing.T) {
			requireFeatures(t, k.needs)
			rng, m, cases := rand.New(rand.NewPCG(13, 14)), newMemory(t), 300
			if testing.Short() {
				cases = 60
			}
			for range cases {
				m.runUnpack(rng, k, randomExact(rng, exactKernel{lines: []lineKind{k.lines}, pairs: k.pairs, rows: 1, tiles: 1}))
			}
			for _, s := range longExact(exactKernel{pairs: k.pairs, rows: 1, tiles: 1}, k.lines) {
				m.runUnpack(rng, k, s.fill(rng))
			}
		})
	}
}

// longExact are matrices as models have them, or in short tests of a quarter of
// the length: groups of 32, 64 and 128, with a last block that is not full.
func longExact(k exactKernel, lines lineKind) (shapes []exactShape) {
	length := 2048
	if testing.Short() {
		length = 512
	}
	for i, features := range []int{32, 64, 128} {
		forms := lines.forms()
		s := exactShape{lines: lines, pairs: k.pairs, tiled: k.tiled, form: forms[i%len(forms)], rows: k.rows, tiles: k.tiles}
		for range length / features / 4 {
			s.blocks = append(s.blocks, s.block(4, features/lines.features()))
		}
		s.blocks = append(s.blocks, s.block(1+i, features/lines.features()))
		shapes = append(shapes, s)
	}
	return shapes
}

// unchanged runs f and requires that it changes none of the buffers.
func unchanged(t testing.TB, given [][]byte, f func()) {
	t.Helper()
	var before [][]byte
	for _, b := range given {
		before = append(before, bytes.Clone(b))
	}
	f()
	for i := range given {
		require.True(t, bytes.Equal(before[i], given[i]), "an input changed")
	}
}

// The compiler knows neither.
var smallest, one = math.Float32frombits(1), float32(1)

// runExact calls the kernel with some part of p and compares with the model, bit for bit.
// Nothing but Y may have changed.
func (m *memory) runExact(rng *rand.Rand, k exactKernel, p *exactProblem) {
	m.t.Helper()
	part := p.anyPart(rng, k)
	c := m.layExact(p, part, k.unpacked, k.beyond, rng.IntN(4) != 0, rng.IntN)
	kept := *c
	unchanged(m.t, [][]byte{m.w, m.x, m.blocks}, func() {
		k.run(c)
		if smallest*one == 0 {
			m.t.Fatal("subnormal numbers are 0 from here on")
		}
	})
	m.sameCall(kept, *c)
	want := p.model()
	for i := 0; i < len(m.y); i += 4 {
		row, column := i/m.ys, i%m.ys/4
		got := binary.LittleEndian.Uint32(m.y[i:])
		if column >= 16*k.tiles {
			m.between(got)
			continue
		}
		if row >= k.rows {
			continue
		}
		w := part.of(want, p, row)[column]
		if !same(w, math.Float32frombits(got)) {
			m.t.Fatalf("row %d, column %d of %+v of %s: %g (%#x), want %g (%#x)", row, column, part, p, math.Float32frombits(got), got, w, math.Float32bits(w))
		}
	}
}

// runUnpack calls the kernel and compares with the panel written in Go.
func (m *memory) runUnpack(rng *rand.Rand, k unpackKernel, p *exactProblem) {
	m.t.Helper()
	behind := rng.IntN(4) != 0
	c := m.layExact(p, p.whole(), false, k.beyond, behind, rng.IntN)
	want := make([]byte, p.panelBytes())
	p.unpack(want, 0)
	dst := m.take("panel", len(want), behind)
	for i := range dst {
		dst[i] = 0xa5
	}
	unchanged(m.t, [][]byte{m.w, m.x, m.blocks, m.y}, func() { k.run(pointer(dst), c) })
	for i := 0; i < len(want); i += 4 {
		w, got := math.Float32frombits(binary.LittleEndian.Uint32(want[i:])), math.Float32frombits(binary.LittleEndian.Uint32(dst[i:]))
		if !same(w, got) || k.pairs && !bytes.Equal(want[i:i+4], dst[i:i+4]) {
			m.t.Fatalf("dword %d of the panel of %s: %g, want %g", i/4, p, got, w)
		}
	}
}

// A NaN or an infinity in a row of x stays in the row: the others have the sums
// that they have without it.
func TestExactRowsApart(t *testing.T) {
	for _, k := range exactKernels {
		if k.rows == 1 {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			requireFeatures(t, k.needs)
			rng, m, cases := rand.New(rand.NewPCG(15, 16)), newMemory(t), 30
			if testing.Short() {
				cases = 3
			}
			for range cases {
				p := randomExact(rng, k)
				bad := rng.IntN(p.rows)
				p.x[bad*p.features()+rng.IntN(p.features())] = []float32{float32(math.Inf(1)), float32(math.NaN())}[rng.IntN(2)]
				m.runExact(rng, k, p)
			}
		})
	}
}

// Values of x and codes come from the bytes of the input, the rest from its
// seed.
func FuzzExactKernels(f *testing.F) {
	if len(exactKernels) == 0 {
		f.Skip("no kernels for this architecture")
	}
	for i := range exactKernels {
		f.Add(uint8(i), uint64(i), []byte{0, 0, 0x80, 0x7f, 0xff, 0x0f, 1, 0})
	}
	f.Fuzz(func(t *testing.T, which uint8, seed uint64, values []byte) {
		k := exactKernels[int(which)%len(exactKernels)]
		requireFeatures(t, k.needs)
		rng := rand.New(rand.NewPCG(seed, 17))
		p := randomExact(rng, k)
		for i := range min(len(values)/8, len(p.x), len(p.w)) {
			p.x[i] = p.possible(math.Float32frombits(binary.LittleEndian.Uint32(values[8*i:])))
			w := binary.LittleEndian.Uint32(values[8*i+4:])
			if bits := max(p.lines.bits, 8*p.lines.plain.Size()); p.lines.bits > 0 || bits == 16 {
				w &= 1<<bits - 1
			}
			p.w[i] = w
		}
		newMemory(t).runExact(rng, k, p)
	})
}
