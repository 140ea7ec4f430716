package cuda

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/internal/gpuvm/ptx"
)

// TestExpand compares every number that expand writes, in both layouts, with the
// two roundings that it is said to have.
func TestExpand(t *testing.T) {
	for _, k := range Kernels() {
		if k.Family != Expand {
			continue
		}
		t.Run(k.Module, func(t *testing.T) {
			t.Parallel()
			for i, c := range []cell{
				{n: 33, k: 32 * 35, group: 64, zeros: true, scaleKind: KindF32},
				{n: 96, k: 200, group: 96, zeros: true, scaleKind: KindF16},
				{n: 32, k: 32, scaleKind: KindBF16},
			} {
				c.kernel, c.m, c.seed = k, 1, uint64(i)
				p := c.problem()
				for row := range p.np / 32 {
					for _, stride := range []int{0, 32*p.units + 8} {
						c.checkExpanded(t, p, row, p.np/32-row, []float32{1, 0x1p-9, 0x1p3}[i], stride)
					}
				}
			}
		})
	}
}

// checkExpanded expands rows of bricks from first on.
func (c cell) checkExpanded(t *testing.T, p *problem, first, rows int, shrink float32, stride int) {
	got, err := c.runExpand(t, module(t, c.kernel.Module).Entry, p, schedule(c.seed), first, rows, shrink, stride)
	require.NoError(t, err)
	want := make([][]int, 32*rows)
	for n := range want {
		for f, unit := 0, 0; f < len(p.feature); f, unit = f+1, (f+1)/Unit {
			want[n] = append(want[n], int(c.expanded(p, 32*first+n, f, p.unitGroup[unit], shrink)))
		}
	}
	if stride == 0 {
		require.Equal(t, pack(16, want), got, "%v from row %d", c, first)
		return
	}
	for n, row := range want {
		var line []byte
		for _, v := range row {
			line = binary.LittleEndian.AppendUint16(line, uint16(v))
		}
		require.Equal(t, line, got[2*n*stride:][:len(line)], "output %d of %v from row %d", n, c, first)
		between := got[2*n*stride+len(line) : 2*(n+1)*stride]
		require.Equal(t, bytes.Repeat([]byte{0xa5}, len(between)), between, "after output %d", n)
	}
}

// launchExpanded is launch for expand: in both layouts, the first row of bricks by
// itself, half as large. What is written is then multiplied by a kernel for plain
// weights.
func (c cell) launchExpanded(t testing.TB, find func(name string) *ptx.Entry, p *problem, config ptx.Config) ([]byte, error) {
	plain := c.kernel.X
	product := Kernels()[slices.IndexFunc(Kernels(), func(k Kernel) bool { return k.Bits == 16 && k.X == plain && k.Family == Tile })]
	var numbers [][]int
	for _, stride := range []int{0, 32*p.units + 8} {
		var out []byte
		for _, rows := range [][2]int{{0, 1}, {1, p.np/32 - 1}} {
			if rows[1] == 0 {
				continue
			}
			b, err := c.runExpand(t, find, p, config, rows[0], rows[1], 0.5, stride)
			if err != nil {
				return nil, err
			}
			out = append(out, b...)
		}
		if stride == 0 {
			numbers = unpack16(out, p.np, p.units)
			continue
		}
		for n := range numbers {
			for f, v := range numbers[n] {
				if got := int(binary.LittleEndian.Uint16(out[2*(n*stride+f):])); got != v {
					return nil, fmt.Errorf("feature %d of output %d is %#x in a row, %#x in a brick", f, n, got, v)
				}
			}
		}
	}
	q := *p
	q.zero, q.scale = [][]float64{make([]float64, p.np)}, [][]float64{slices.Repeat([]float64{2}, p.np)}
	q.unitGroup = make([]int, p.units)
	q.u = numbers
	multiplied := c
	multiplied.kernel, multiplied.zeros, multiplied.scaleKind, multiplied.bits = product, false, KindF32, true
	return multiplied.launch(t, module(t, product.Module).Entry, &q, config)
}

// runExpand launches it for some rows of bricks and gives what it wrote, with
// what lies between rows.
func (c cell) runExpand(t testing.TB, find func(name string) *ptx.Entry, p *problem, config ptx.Config, first, rows int, shrink float32, stride int) ([]byte, error) {
	d := device{t, ptx.NewMachine(config)}
	a := ExpandArgs{
		Weights: d.put(pack(c.kernel.Bits, p.u)), Scales: d.put(encode(c.scaleKind, flatten(p.scale))), ScaleKind: c.scaleKind,
		Zero: int(p.zero[0][0]), UnitGroup: d.put(int32s(p.unitGroup)), Np: p.np, Units: p.units, FirstRow: first, Shrink: shrink, OutStride: stride,
	}
	if c.zeros {
		var zeros []int
		for _, z := range flatten(p.zero) {
			zeros = append(zeros, int(z))
		}
		a.Zeros, a.Zero = d.put(int16s(zeros)), 1000
	}
	size := rows * p.units * BrickBytes(16)
	if stride > 0 {
		size = 2 * 32 * rows * stride
	}
	out := bytes.Repeat([]byte{0xa5}, size)
	a.Out = d.put(out)
	err := d.launch(find("expand"), ptx.Launch{
		Grid: [3]uint32{uint32(rows), uint32(ceil(p.units, ExpandUnits)), 1}, Block: [3]uint32{128, 1, 1}, Args: a.Slots(nil),
	})
	if err != nil {
		return nil, err
	}
	require.NoError(t, d.Read(out, a.Out))
	return out, nil
}

// unpack16 is the inverse of pack for numbers of 16 bits.
func unpack16(packed []byte, np, units int) [][]int {
	var place [32][32]int // of each output and feature in a brick
	for n := range place {
		for k := range place[n] {
			brick := make([]byte, BrickBytes(16))
			put(brick, 16, n, k, 1)
			place[n][k] = bytes.IndexByte(brick, 1)
		}
	}
	all := make([][]int, np)
	for n := range all {
		for f := range 32 * units {
			at := (n/32*units+f/32)*BrickBytes(16) + place[n%32][f%32]
			all[n] = append(all[n], int(binary.LittleEndian.Uint16(packed[at:])))
		}
	}
	return all
}

// expanded is the bits of (u - z) (scale shrink).
func (c cell) expanded(p *problem, n, f, g int, shrink float32) uint16 {
	v := float32(p.u[n][f]-int(p.zero[g][n])) * (float32(p.scale[g][n]) * shrink)
	if c.kernel.X == dtype.BF16 {
		return dtype.BF16FromF32(v)
	}
	return dtype.F16FromF32(v)
}

// TestExpandExtremes has scales at the ends of what shrink can bring into range.
func TestExpandExtremes(t *testing.T) {
	for _, k := range Kernels() {
		if k.Family != Expand {
			continue
		}
		c := cell{kernel: k, m: 1, n: 32, k: 64, group: 32, scaleKind: KindF32}
		p := c.problem()
		for n := range p.scale[0] {
			p.scale[0][n], p.scale[1][n] = math.Ldexp(1.0000001, 90-n), math.Ldexp(1.9999999, 61)
		}
		c.checkExpanded(t, p, 0, 1, 0x1p-86, 0)
	}
}
