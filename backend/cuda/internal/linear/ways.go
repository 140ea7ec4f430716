package linear

import (
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/kernels/cuda"
)

// Crossing points and geometry of the kernels in kernels/cuda. None has been
// measured on a GPU yet.
const (
	// mostStreamed is the most rows that go to stream, with which it reads the weights
	// once or, mapped, twice; more go to tile.
	mostStreamed = 32

	// mostNarrow is the most rows for which tile has blocks of 64 tokens.
	mostNarrow = 64

	// streamRuns is how many warps of a block divide a slice. 64 outputs and
	// eight rings of weights, up to 46 KB, let four blocks live on a
	// multiprocessor of 228 KB.
	streamRuns    = 8
	streamOutputs = 64

	// blocksPerSM is how many blocks there should be for a multiprocessor, where
	// K can be cut into enough slices.
	blocksPerSM = 2

	// mostSlices bounds the partial sums.
	mostSlices = 16

	gatherFeatures = 1024 // of a block of gather
	rowAlign       = 16   // bytes: rows of x that tile reads begin at such

	mostGrid  = 65535        // second and third number of a grid
	mostRows  = mostGrid * 8 // of which no block of any kernel has less
	mostUnits = mostGrid * gatherFeatures / unitFeatures

	// More rows than these go one part after another through the workspace:
	// partial sums of invariant kernels, rows of x that are always gathered, as
	// many as these bytes hold, and rows that are only moved to an aligned place.
	invariantRows = 64
	gatheredBytes = 32 << 20
	movedRows     = 128
)

// ways is how a layer is run on a device.
type ways struct {
	plan      *plan
	invariant bool // all rows are streamed
	slice     int  // units of a slice
	slices    int
	run       int // units of a run

	stream         []function // by tokens of a block, ascending
	narrow, wide   function   // tile
	finish, gather function
}

// function is a loaded kernel.
type function struct {
	driver.Function
	info cuda.Kernel
}

func (k *kernel) ways(p *plan, sms int) *ways {
	w := &ways{plan: p, invariant: k.invariant || p.deep}
	w.slice, w.slices = p.slices(sms)
	w.run = (w.slice + streamRuns - 1) / streamRuns
	return w
}

// slices divides units for the kernels of few rows, depending on the layer and
// on how many multiprocessors there are, never on the rows; with several slices
// no warp has less than two units. It returns the units of a slice and how many slices there are.
func (p *plan) slices(sms int) (units, count int) {
	blocks := (p.np + streamOutputs - 1) / streamOutputs
	want := (blocksPerSM*max(sms, 1) + blocks - 1) / blocks
	most := max(1, p.units/(2*streamRuns))
	count = max(1, min(want, most, mostSlices))
	units = (p.units + count - 1) / count
	return units, (p.units + units - 1) / units
}

// load gets the functions that a layer may launch.
func (w *ways) load(dev *device.Device) error {
	module := cuda.ModuleName(w.plan.bits, w.plan.x)
	for _, info := range cuda.Kernels() {
		if info.Module != module {
			continue
		}
		var dst *function
		switch {
		case info.Family == cuda.Stream && info.Mapped == w.plan.gather:
			w.stream = append(w.stream, function{})
			dst = &w.stream[len(w.stream)-1]
		case info.Family == cuda.Tile && info.Tokens <= mostNarrow:
			dst = &w.narrow
		case info.Family == cuda.Tile:
			dst = &w.wide
		case info.Family == cuda.Finish:
			dst = &w.finish
		case info.Family == cuda.Gather:
			dst = &w.gather
		default:
			continue
		}
		f, err := dev.Function(module, func() []byte { return cuda.PTX(module) }, info.Name)
		if err != nil {
			return err
		}
		*dst = function{f, info}
		shared := info.Shared + streamRuns*info.SharedPerWarp
		if shared > dev.Properties().SharedPerBlock {
			if err := f.AllowShared(shared); err != nil {
				return err
			}
		}
	}
	return nil
}

// streamed reports whether so many rows go to stream.
func (w *ways) streamed(rows int) bool { return w.invariant || rows <= mostStreamed }

// part is how many of so many rows go through the workspace at once.
func (w *ways) part(rows int) int {
	switch {
	case w.invariant && w.slices > 1:
		return min(rows, invariantRows)
	case w.streamed(rows):
		return rows
	case w.plan.gather:
		return min(rows, max(movedRows, gatheredBytes/w.rowBytes()/movedRows*movedRows))
	}
	return min(rows, movedRows)
}

// rowBytes is the bytes of a row of x in packed order.
func (w *ways) rowBytes() int { return w.plan.units * unitFeatures * 2 }

// workspace is the most that up to so many rows need: either partial sums, or rows of
// x that are gathered or moved to an aligned place.
func (w *ways) workspace(rows int) int {
	n := 0
	if w.slices > 1 {
		streamed := rows
		if !w.invariant {
			streamed = min(rows, mostStreamed)
		}
		n = w.slices * w.part(streamed) * w.plan.np * 4
	}
	if !w.streamed(rows) {
		n = max(n, w.part(rows)*w.rowBytes())
	}
	return n
}

func up(a, b int) uint32 { return uint32((a + b - 1) / b) }

// apply enqueues the launches for the rows of c, with the workspace at that
// address.
func (w *ways) apply(st *device.Stream, c *call, workspace uint64) error {
	rows, streamed := c.args.M, w.streamed(c.args.M)
	moved := w.plan.gather || c.args.X%rowAlign != 0 || c.args.XStride%(rowAlign/2) != 0
	part := rows
	if streamed || moved {
		part = w.part(rows)
	}
	all := c.args
	for first := 0; first < rows; first += part {
		c.args = all
		c.args.M = min(part, rows-first)
		c.args.X += uint64(first) * uint64(all.XStride) * 2
		c.args.Y += uint64(first) * uint64(all.YStride) * yBytes[all.YKind]
		var err error
		if streamed {
			err = w.applyStream(st, c, workspace)
		} else {
			err = w.applyTile(st, c, moved, workspace)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// yBytes is the size of an element of y by its kind.
var yBytes = [...]uint64{cuda.KindF16: 2, cuda.KindBF16: 2, cuda.KindF32: 4}

// applyTile runs many rows, which are gathered first or moved to an aligned
// place.
func (w *ways) applyTile(st *device.Stream, c *call, moved bool, workspace uint64) error {
	if moved {
		if err := w.gatherRows(st, c, workspace); err != nil {
			return err
		}
	}
	f := &w.wide
	if c.args.M <= mostNarrow {
		f = &w.narrow
	}
	c.args.SliceUnits, c.args.Sums, c.args.Map = c.args.Units, 0, 0
	c.launch.Grid = [3]uint32{up(w.plan.np, f.info.Outputs), 1, up(c.args.M, f.info.Tokens)}
	c.launch.Block = [3]uint32{uint32(f.info.Threads), 1, 1}
	c.launch.Shared = uint32(f.info.Shared)
	c.launch.Args = c.args.Slots(c.slots[:0])
	return st.Launch(f.Function, &c.launch)
}

// gatherRows makes x the rows in packed order in the workspace.
func (w *ways) gatherRows(st *device.Stream, c *call, workspace uint64) error {
	width := w.plan.units * unitFeatures
	g := cuda.GatherArgs{X: c.args.X, XStride: c.args.XStride, K: c.args.K, Units: c.args.Units, Map: c.args.Map, Out: workspace}
	c.launch = driver.Launch{
		Grid: [3]uint32{uint32(c.args.M), up(width, gatherFeatures), 1}, Block: [3]uint32{uint32(w.gather.info.Threads), 1, 1},
		Args: g.Slots(c.slots[:0]),
	}
	c.args.X, c.args.XStride, c.args.K = workspace, width, width
	return st.Launch(w.gather.Function, &c.launch)
}

// applyStream runs few rows, or all of an invariant kernel.
func (w *ways) applyStream(st *device.Stream, c *call, workspace uint64) error {
	f := &w.stream[len(w.stream)-1]
	for i := range w.stream {
		if w.stream[i].info.Tokens >= c.args.M {
			f = &w.stream[i]
			break
		}
	}
	a := &c.args
	a.SliceUnits, a.RunUnits = w.slice, w.run
	if w.slices > 1 {
		a.Sums = workspace
	}
	c.launch = driver.Launch{
		Grid:  [3]uint32{up(w.plan.np, streamOutputs), uint32(w.slices), up(a.M, f.info.Tokens)},
		Block: [3]uint32{32, streamRuns, 1}, Shared: uint32(streamRuns * f.info.SharedPerWarp),
		Args: a.Slots(c.slots[:0]),
	}
	if err := st.Launch(f.Function, &c.launch); err != nil || w.slices == 1 {
		return err
	}
	end := cuda.FinishArgs{Sums: a.Sums, Slices: w.slices, M: a.M, N: a.N, Np: a.Np, Bias: a.Bias, Y: a.Y, YStride: a.YStride, YKind: a.YKind}
	c.launch = driver.Launch{
		Grid: [3]uint32{up(a.N, w.finish.info.Outputs), uint32(min(a.M, mostGrid)), 1}, Block: [3]uint32{uint32(w.finish.info.Threads), 1, 1},
		Args: end.Slots(c.slots[:0]),
	}
	return st.Launch(w.finish.Function, &c.launch)
}
