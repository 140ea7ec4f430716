package linear

import (
	"fmt"
	"math"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/kernels/cuda"
)

// Kernels that round: for many rows, some outputs after the others, scaled
// weights are written as numbers of x's type, and then multiplied as plain ones.
// The same work is done for them once, not once for each block of tokens.
//
//	W'[n][k] = round((u − z)·(s·2^−e))        y = 2^e · Σ_k x[k]·W'[n][k] + bias
//
// One e for the layer keeps all W' within x's type: below 2^15 for float16, and
// below 2^-8 for bfloat16, whose sums must not leave float32 where y does not.

// weightExponents are that of 2 below which W' stays, and that from which on a
// number of x's type is normal.
func weightExponents(x dtype.DType) (largest, smallest int) {
	if x == dtype.BF16 {
		return -8, -126
	}
	return 15, -14
}

// weightRound is the relative error of W': half a unit in its last place, of a
// product that was rounded to float32 before.
func weightRound(x dtype.DType) float64 {
	if x == dtype.BF16 {
		return 0x1.0001p-8
	}
	return 0x1.002p-11
}

// farthest is the largest |u − z|.
func farthest(s *backend.Spec) int { return max(1<<s.Bits-1-s.ZeroMin, s.ZeroMax, 1) }

// exponentOf is the e of a layer.
func exponentOf(s *backend.Spec) int {
	if s.ScaleMax == 0 {
		return 0
	}
	_, above := math.Frexp(float64(s.ScaleMax) * float64(farthest(s))) // every |w| is below 2^above
	largest, _ := weightExponents(s.X)
	return above - largest
}

// mostExponent keeps 2^e and 2^-e, times 2^16, within float32.
const mostExponent = 108

// wantedScales says which scales a kernel that rounds takes, "" where those of
// the layer are: no W' but 0 may be subnormal.
func wantedScales(s *backend.Spec) string {
	_, smallest := weightExponents(s.X)
	e := exponentOf(s)
	if e < -mostExponent || e > mostExponent {
		return "weights that float32 can hold larger and smaller"
	}
	if least := math.Ldexp(1, e+smallest); s.ScaleMax > 0 && float64(s.ScaleMin) < least {
		return fmt.Sprintf("%g to %g, of which no weight becomes a subnormal %v", least, s.ScaleMax, s.X)
	}
	return ""
}

// rounded reports whether so many rows meet rounded weights.
func (w *ways) rounded(rows int) bool {
	return w.plan.rounded && !w.streamed(rows) && rows >= w.point.rounded
}

// expandedSize is the bytes of the workspace that expanded weights take.
func (w *ways) expandedSize() int {
	return w.expanded * w.plan.units * cuda.BrickBytes(16)
}

// applyRounded runs many rows on weights that are expanded to the workspace,
// behind the rows of x that are gathered or moved there.
func (w *ways) applyRounded(st *device.Stream, c *call, moved bool, workspace uint64) error {
	if moved {
		if err := w.gatherRows(st, c, workspace+uint64(w.expandedSize())); err != nil {
			return err
		}
	}
	all, p := c.args, w.plan
	f := w.tileOf(&w.product, all.M)
	for first := 0; first < p.np/brickOutputs; first += w.expanded {
		rows := min(w.expanded, p.np/brickOutputs-first)
		e := cuda.ExpandArgs{
			Weights: all.Weights, Scales: all.Scales, ScaleKind: all.ScaleKind, Zeros: all.Zeros, Zero: all.Zero, UnitGroup: all.UnitGroup,
			Np: p.np, Units: p.units, FirstRow: first, Shrink: float32(math.Ldexp(1, -p.exponent)), Out: workspace,
		}
		c.launch = driver.Launch{
			Grid: [3]uint32{uint32(rows), up(p.units, cuda.ExpandUnits), 1}, Block: [3]uint32{uint32(w.expand.info.Threads), 1, 1},
			Args: e.Slots(c.slots[:0]),
		}
		if err := st.Launch(w.expand.Function, &c.launch); err != nil {
			return err
		}
		output := first * brickOutputs
		c.args = all
		c.args.N, c.args.Np = min(all.N-output, rows*brickOutputs), rows*brickOutputs
		c.args.Weights, c.args.Scales, c.args.ScaleKind = workspace, c.roundedScales+4*uint64(output), cuda.KindF32
		c.args.Zeros, c.args.Zero, c.args.UnitGroup = 0, 0, c.roundedGroups
		c.args.Y += uint64(output) * yBytes[all.YKind]
		if all.Bias != 0 {
			c.args.Bias += 4 * uint64(output)
		}
		if err := w.launchTile(st, c, f); err != nil {
			return err
		}
	}
	return nil
}
