package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
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
	d := device{t, ptx.NewMachine(schedule(c.seed))}
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
	bytes := rows * p.units * BrickBytes(16)
	if stride > 0 {
		bytes = 2 * (32*rows*stride - (stride - 32*p.units))
	}
	guard := make([]byte, bytes)
	for i := range guard {
		guard[i] = 0xa5
	}
	a.Out = d.put(guard)
	require.NoError(t, d.launch(module(t, c.kernel.Module).Entry("expand"), ptx.Launch{
		Grid: [3]uint32{uint32(rows), uint32(ceil(p.units, ExpandUnits)), 1}, Block: [3]uint32{128, 1, 1}, Args: a.Slots(nil),
	}))
	got := make([]byte, bytes)
	require.NoError(t, d.Read(got, a.Out))

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
		line := guard[:0:0]
		for _, v := range row {
			line = binary.LittleEndian.AppendUint16(line, uint16(v))
		}
		require.Equal(t, line, got[2*n*stride:][:len(line)], "output %d of %v from row %d", n, c, first)
		if between := got[2*n*stride+len(line):]; n < len(want)-1 {
			require.Equal(t, fmt.Sprintf("%x", guard[:16]), fmt.Sprintf("%x", between[:16]), "after output %d", n)
		}
	}
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
