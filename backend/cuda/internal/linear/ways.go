package linear

import (
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/kernels/cuda"
)

// The launches' geometry, as kernels/cuda has it.
const (
	streamOutputs = 64 // outputs of a block of stream
	streamWarps   = 8  // which divide a slice
	finishThreads = 256
	xAlign        = 16 // bytes: rows of x that are read as they are begin at such
)

// streamTokens are the tokens of a block of stream. More rows than the last go
// to tile, but for the invariant kernels.
var streamTokens = [...]int{8, 16, 32}

// mostStreamed is the rows from which tile takes less time: not measured yet.
const mostStreamed = 32

// ways is how a layer is run on a device.
type ways struct {
	plan       *plan
	invariant  bool
	per, count int // units of a slice, slices

	stream               [len(streamTokens)]function
	finish, tile, gather function
}

// function is a kernel and what its parameters are given.
type function struct {
	driver.Function
	args []argument
	info cuda.Kernel
}

func (k *kernel) ways(p *plan, sms int) *ways {
	w := &ways{plan: p, invariant: k.invariant}
	w.per, w.count = p.slices(sms)
	return w
}

// load gets the functions that a layer may launch.
func (w *ways) load(dev *device.Device) error {
	get := func(dst *function, family string, tokens int, gather bool) error {
		info, ok := cuda.Find(family, w.plan.bits, w.plan.x, tokens, gather)
		if !ok {
			return errName("device kernel", family)
		}
		f, err := dev.Function(info.Module, func() ([]byte, error) { return cuda.PTX(info.Module) }, info.Name)
		if err != nil {
			return err
		}
		dst.Function, dst.info, dst.args = f, info, nil
		for _, name := range info.Params {
			a, ok := argumentOf(name)
			if !ok {
				return errName("parameter of "+info.Name, name)
			}
			dst.args = append(dst.args, a)
		}
		if info.Shared > dev.Properties().SharedPerBlock {
			return f.AllowShared(info.Shared)
		}
		return nil
	}
	for i, tokens := range streamTokens {
		if err := get(&w.stream[i], cuda.Stream, tokens, w.plan.gather); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		dst    *function
		family string
	}{{&w.finish, cuda.Finish}, {&w.tile, cuda.Tile}, {&w.gather, cuda.Gather}} {
		if err := get(f.dst, f.family, 0, false); err != nil {
			return err
		}
	}
	return nil
}

// streamed reports whether so many rows take the first way.
func (w *ways) streamed(rows int) bool { return w.invariant || rows <= mostStreamed }

// gathered is the bytes of rows of x in packed order.
func (w *ways) gathered(rows int) int { return rows * w.plan.units * unitFeatures * 2 }

// workspace is the most that up to so many rows need: rows of x that are
// gathered or moved to an aligned place, and behind them partial sums.
func (w *ways) workspace(rows int) int {
	return align(w.gathered(rows)) + w.partial(rows)
}

func (w *ways) partial(rows int) int {
	if w.count == 1 {
		return 0
	}
	if !w.invariant {
		rows = min(rows, mostStreamed)
	}
	return w.count * rows * w.plan.np * 4
}

func align(bytes int) int { return (bytes + deviceAlign - 1) / deviceAlign * deviceAlign }

// run enqueues the launches for so many rows.
func (w *ways) run(st *device.Stream, c *call, rows int, workspace uint64) error {
	aligned := c.values[argX]%xAlign == 0 && (rows == 1 || c.values[argXStride]%(xAlign/2) == 0)
	streamed := w.streamed(rows)
	gather := w.plan.gather && !streamed
	if !w.plan.gather && !aligned || gather {
		if err := w.gatherRows(st, c, rows, workspace); err != nil {
			return err
		}
	}
	if streamed {
		return w.runStream(st, c, rows, workspace+uint64(align(w.gathered(rows))))
	}
	up := func(a, b int) uint32 { return uint32((a + b - 1) / b) }
	info := &w.tile.info
	return w.tile.launch(st, c, [3]uint32{up(w.plan.np, info.Outputs), up(rows, info.Tokens), 1})
}

// gatherRows makes x the rows in packed order at the workspace.
func (w *ways) gatherRows(st *device.Stream, c *call, rows int, workspace uint64) error {
	width := w.plan.units * unitFeatures
	c.values[argPartial] = workspace
	if err := w.gather.launch(st, c, [3]uint32{uint32((width + w.gather.info.Outputs - 1) / w.gather.info.Outputs), uint32(min(rows, mostGridY)), 1}); err != nil {
		return err
	}
	c.values[argX], c.values[argXStride], c.values[argK] = workspace, uint64(width), uint64(width)
	return nil
}

// mostGridY is the largest second number of a grid.
const mostGridY = 65535

func (w *ways) runStream(st *device.Stream, c *call, rows int, partial uint64) error {
	i := 0
	for i+1 < len(streamTokens) && streamTokens[i] < rows {
		i++
	}
	f := &w.stream[i]
	c.values[argPartial] = partial
	blocks := uint32((w.plan.np + streamOutputs - 1) / streamOutputs)
	tokens := uint32((rows + streamTokens[i] - 1) / streamTokens[i])
	if err := f.launch(st, c, [3]uint32{blocks, uint32(w.count), tokens}); err != nil || w.count == 1 {
		return err
	}
	return w.finish.launch(st, c, [3]uint32{uint32((w.plan.np + finishThreads - 1) / finishThreads), uint32(min(rows, mostGridY)), 1})
}

// launch enqueues f over a grid.
func (f *function) launch(st *device.Stream, c *call, grid [3]uint32) error {
	for i, a := range f.args {
		c.slots[i] = c.values[a]
	}
	c.launch = driver.Launch{Grid: grid, Block: [3]uint32{uint32(f.info.Threads), 1, 1}, Shared: uint32(f.info.Shared), Args: c.slots[:len(f.args)]}
	return st.Launch(f.Function, &c.launch)
}
