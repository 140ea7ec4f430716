package serving

import (
	"context"
	"errors"
	"fmt"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Shape is the sizes of a block, the type of its activations and the part of it
// that this process runs.
type Shape struct {
	Hidden, Heads, KVHeads, HeadDim, Inner int

	DType dtype.DType // of x, y and all between: what the model was trained in, mostly bfloat16

	Rank, Ranks int // tensor parallel; Heads is a multiple of Ranks
	MaxRows     int // tokens in one call
}

// Source gives the whole layers of a block by their names: q, k, v, o, gate,
// up, down. A checkpoint.Model is one; the layer is overwritten by the next.
type Source func(ctx context.Context, dst *quant.Linear, name string) error

// part selects this rank's share of a layer.
func (s *Shape) part(name string, l *quant.Linear) (*quant.Linear, error) {
	heads := s.Heads / s.Ranks
	first := s.Rank * heads
	rows := func(from, to int) []quant.Range {
		return []quant.Range{{Start: from * s.HeadDim, End: to * s.HeadDim}}
	}
	switch name {
	case "q":
		return l.Select(quant.AxisN, rows(first, first+heads)...)
	case "k", "v": // the key and value heads that these query heads use, replicated where ranks share one
		perKV := s.Heads / s.KVHeads
		return l.Select(quant.AxisN, rows(first/perKV, (first+heads-1)/perKV+1)...)
	case "o":
		return l.Select(quant.AxisK, rows(first, first+heads)...)
	case "gate", "up":
		return l.Shard(quant.AxisN, s.Rank, s.Ranks)
	}
	return l.Shard(quant.AxisK, s.Rank, s.Ranks)
}

// names are the layers of a block in the order of loading.
var names = []string{"q", "k", "v", "o", "gate", "up", "down"}

// each loads one layer after another and calls f with this rank's part of it.
// It holds one whole layer at a time.
func (s *Shape) each(ctx context.Context, source Source, f func(name string, part *quant.Linear) error) error {
	var whole quant.Linear
	for _, name := range names {
		if err := source(ctx, &whole, name); err != nil {
			return err
		}
		part, err := s.part(name, &whole)
		if err != nil {
			return err
		}
		if err := f(name, part); err != nil {
			return err
		}
	}
	return nil
}

// request is how this program feeds its layers.
func (s *Shape) request() backend.Request { return backend.Request{X: s.DType, MaxRows: s.MaxRows} }

// Fits returns the device memory that this rank of the block takes: the weights
// of all its layers, and a workspace that serves them one after another. Nothing
// is put on the device.
func Fits(ctx context.Context, dev backend.Device, s Shape, source Source) (weights, workspace int64, err error) {
	err = s.each(ctx, source, func(name string, part *quant.Linear) error {
		spec, err := backend.NewSpec(part, s.request())
		if err != nil {
			return err
		}
		kernel, _, err := bitlane.Choose(dev, spec, bitlane.ChooseOptions{})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		f := kernel.Footprint(dev.Info(), spec)
		weights += f.Weights
		workspace += f.Workspace // a group takes no more than its members together
		return nil
	})
	return weights, workspace, err
}

// Block is one rank's layers of a block on a device.
type Block struct {
	Shape
	qkv, gateUp fused
	o, down     backend.Layer
}

// Load prepares this rank's part of every layer. When it fails nothing stays.
func Load(ctx context.Context, dev backend.Device, s Shape, source Source) (*Block, error) {
	b := &Block{Shape: s}
	err := s.each(ctx, source, func(name string, part *quant.Linear) error {
		layer, _, err := bitlane.NewLinear(ctx, dev, part, s.request(), bitlane.ChooseOptions{})
		if err != nil {
			return err
		}
		switch name {
		case "q", "k", "v":
			b.qkv.layers = append(b.qkv.layers, layer)
		case "gate", "up":
			b.gateUp.layers = append(b.gateUp.layers, layer)
		case "o":
			b.o = layer
		case "down":
			b.down = layer
		}
		return nil
	})
	if err == nil {
		err = errors.Join(b.qkv.join(dev), b.gateUp.join(dev))
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Workspace returns the bytes that the block needs for so many rows.
func (b *Block) Workspace(rows int) int {
	return max(b.qkv.workspace(rows), b.o.Workspace(rows), b.gateUp.workspace(rows), b.down.Workspace(rows))
}

// Bytes returns the device memory of the weights.
func (b *Block) Bytes() int64 {
	total := b.o.Bytes() + b.down.Bytes()
	for _, l := range append(b.qkv.layers, b.gateUp.layers...) {
		total += l.Bytes()
	}
	return total
}

// Close unloads the block.
func (b *Block) Close() error {
	errs := []error{b.qkv.close(), b.gateUp.close()}
	for _, l := range []backend.Layer{b.o, b.down} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

// fused is layers that share their input: one group where the device has
// groups, otherwise one after another into neighbouring columns.
type fused struct {
	layers []backend.Layer
	group  backend.Layer
}

func (f *fused) join(dev backend.Device) (err error) {
	if grouper, ok := dev.(backend.Grouper); ok {
		f.group, err = grouper.Group(f.layers...)
	}
	return err
}

func (f *fused) workspace(rows int) (bytes int) {
	if f.group != nil {
		return f.group.Workspace(rows)
	}
	for _, l := range f.layers {
		bytes = max(bytes, l.Workspace(rows))
	}
	return bytes
}

// columns returns the columns of layer i in the output of all.
func (f *fused) columns(i int) (from, to int) {
	for _, l := range f.layers[:i] {
		spec := l.Spec()
		from += spec.N
	}
	spec := f.layers[i].Spec()
	return from, from + spec.N
}

func (f *fused) apply(st backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
	if f.group != nil {
		return f.group.Apply(st, dst, x, ws)
	}
	for i, l := range f.layers {
		part := dst
		from, to := f.columns(i)
		part.Offset += from * dst.DType.Size()
		part.Bytes -= from * dst.DType.Size()
		part.Cols = to - from
		if err := l.Apply(st, part, x, ws); err != nil {
			return err
		}
	}
	return nil
}

func (f *fused) close() error {
	var errs []error
	if f.group != nil {
		errs = append(errs, f.group.Close())
	}
	for _, l := range f.layers {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
