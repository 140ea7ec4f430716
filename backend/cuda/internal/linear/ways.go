package linear

import (
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/kernels/cuda"
)

// Points is where rows go from one kernel in kernels/cuda to another. None has
// been measured on a GPU yet.
func Points() []backend.Tuning {
	return []backend.Tuning{
		{Name: streamRows, Value: 32, Least: 0, Most: 1024, What: "the most rows that are streamed: the kernel reads the weights once for up to 32, mapped 16; more are tiled"},
		{Name: narrowRows, Value: 64, Least: 0, Most: mostRows, What: "the most rows that are tiled by blocks of 64 of them; more by 128"},
		{Name: roundedRows, Value: 1024, Least: 1, Most: mostRows, What: "the least rows for which a kernel that rounds expands the weights"},
		{Name: expandedBytes, Value: 32 << 20, Least: 1, Most: 64 << 20, What: "about how many bytes of weights are expanded at a time: no more than stay in L2"},
	}
}

const (
	streamRows    = "stream-rows"
	narrowRows    = "narrow-rows"
	roundedRows   = "rounded-rows"
	expandedBytes = "expanded-bytes"
)

// points is what a device has of them.
type points struct{ streamed, narrow, rounded, expanded int }

func pointsOf(i *backend.DeviceInfo) (p points) {
	to := map[string]*int{streamRows: &p.streamed, narrowRows: &p.narrow, roundedRows: &p.rounded, expandedBytes: &p.expanded}
	for _, t := range Points() {
		*to[t.Name] = t.Value
		if v, ok := i.Tuning[t.Name]; ok {
			*to[t.Name] = v
		}
	}
	return p
}

// Geometry of the kernels, which has not been measured on a GPU either.
const (
	// streamRuns is how many warps of a block divide a slice, each with a ring of
	// weights: 38 to 70 KB for a block, beside 1 KB of the driver's. Registers let
	// three blocks of the kernel for 8 rows live on a multiprocessor, two of that
	// for 16, one of that for 32 (kernels/cuda/RESOURCES.md).
	streamRuns    = 8
	streamOutputs = 64

	// blocksPerSM is how many blocks there should be for a multiprocessor, where
	// K can be cut into enough slices.
	blocksPerSM = 2

	// mostSlices bounds the partial sums.
	mostSlices = 16

	wideRows       = 4    // rows of bricks of a block of tile
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
	point     points
	invariant bool // all rows are streamed
	slice     int  // units of a slice
	slices    int
	run       int // units of a run
	expanded  int // rows of bricks that are expanded at a time

	stream         []function // by tokens of a block, ascending
	tile           tiles
	finish, gather function

	// Where weights are rounded: expand, and tile of plain weights.
	expand  function
	product tiles
}

// tiles are the forms of tile.
type tiles struct{ narrow, wide function }

// function is a loaded kernel.
type function struct {
	driver.Function
	info cuda.Kernel
}

func (k *kernel) ways(p *plan, i *backend.DeviceInfo) *ways {
	w := &ways{plan: p, point: pointsOf(i), invariant: k.invariant || p.deep}
	w.slice, w.slices = p.slices(i.Units)
	w.expanded = max(1, min(p.np/brickOutputs, w.point.expanded/(p.units*cuda.BrickBytes(16))))
	if w.expanded > wideRows {
		w.expanded -= w.expanded % wideRows
	}
	w.run = (w.slice + streamRuns - 1) / streamRuns
	return w
}

// slices divides units for the kernels of few rows, depending on the layer and
// on how many multiprocessors there are, never on the rows; with several slices
// no warp has less than two units. It returns the units of a slice and how many slices there are.
func (p *plan) slices(sms int) (units, count int) {
	blocks := (p.np + streamOutputs - 1) / streamOutputs
	want := (blocksPerSM*max(sms, 1) + blocks - 1) / blocks
	count = max(1, min(want, p.mostSlices()))
	units = (p.units + count - 1) / count
	return units, (p.units + units - 1) / units
}

// mostSlices is how many slices there can be on any device.
func (p *plan) mostSlices() int { return max(1, min(p.units/(2*streamRuns), mostSlices)) }

// load gets the functions that a layer may launch.
func (w *ways) load(dev *device.Device) error {
	module, plain := cuda.ModuleName(w.plan.bits, w.plan.x), ""
	if w.plan.rounded {
		plain = cuda.ModuleName(16, w.plan.x)
	}
	for _, info := range cuda.Kernels() {
		var dst *function
		switch {
		case info.Module == plain && info.Family == cuda.Tile:
			dst = w.product.of(&info)
		case info.Module != module:
			continue
		case info.Family == cuda.Stream && info.Mapped == w.plan.gather:
			w.stream = append(w.stream, function{})
			dst = &w.stream[len(w.stream)-1]
		case info.Family == cuda.Tile:
			dst = w.tile.of(&info)
		case info.Family == cuda.Expand && w.plan.rounded:
			dst = &w.expand
		case info.Family == cuda.Finish:
			dst = &w.finish
		case info.Family == cuda.Gather:
			dst = &w.gather
		default:
			continue
		}
		f, err := dev.Function(info.Module, func() []byte { return cuda.PTX(info.Module) }, info.Name)
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

// of is the place of a form of tile.
func (t *tiles) of(info *cuda.Kernel) *function {
	if info.Tokens <= 64 {
		return &t.narrow
	}
	return &t.wide
}

// tileOf is the form for so many rows.
func (w *ways) tileOf(t *tiles, rows int) *function {
	if rows <= w.point.narrow {
		return &t.narrow
	}
	return &t.wide
}

// streamed reports whether so many rows go to stream.
func (w *ways) streamed(rows int) bool { return w.invariant || rows <= w.point.streamed }

// part is how many of so many rows go through the workspace at once.
func (w *ways) part(rows int) int {
	switch {
	case w.invariant && w.slices > 1:
		return min(rows, invariantRows)
	case w.streamed(rows):
		return rows
	case w.plan.gather || w.rounded(rows):
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
			streamed = min(rows, w.point.streamed)
		}
		n = w.slices * w.part(streamed) * w.plan.np * 4
	}
	if !w.streamed(rows) {
		n = max(n, w.part(rows)*w.rowBytes())
	}
	if w.rounded(rows) {
		n = max(n, w.expandedSize()+w.part(rows)*w.rowBytes())
	}
	return n
}

func up(a, b int) uint32 { return uint32((a + b - 1) / b) }

// apply enqueues the launches for the rows of c, with the workspace at that
// address.
func (w *ways) apply(st *device.Stream, c *call, workspace uint64) error {
	rows, streamed, rounded := c.args.M, w.streamed(c.args.M), w.rounded(c.args.M)
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
		switch {
		case streamed:
			err = w.applyStream(st, c, workspace)
		case rounded:
			err = w.applyRounded(st, c, moved, workspace)
		default:
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
	return w.launchTile(st, c, w.tileOf(&w.tile, c.args.M))
}

// launchTile runs f over all of K.
func (w *ways) launchTile(st *device.Stream, c *call, f *function) error {
	c.args.SliceUnits, c.args.Sums, c.args.Map = c.args.Units, 0, 0
	c.launch.Grid = [3]uint32{up(c.args.Np, f.info.Outputs), 1, up(c.args.M, f.info.Tokens)}
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
