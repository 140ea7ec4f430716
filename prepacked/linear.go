package prepacked

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/checkpoint"
	checkpointmodule "github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// Source is where layers come from; a *checkpoint.Model is one, and its methods
// say more.
type Source interface {
	Origin(name string) (checkpoint.Origin, error)
	ReadTensorAt(dst []byte, name string, off int64) error
	Load(ctx context.Context, dst *quant.Linear, name string) ([]checkpointmodule.Finding, error)
}

// Part is a layer or what of it a device has.
type Part struct {
	Name string
	Cuts []Cut // one after the other; none: the whole layer
}

// Cut is one selection of outputs or features: the ranges, as quant.Linear.Select has
// them, or, where there are none, share Rank of Size, as quant.Linear.Shard.
type Cut struct {
	Axis       quant.Axis
	Ranges     []quant.Range
	Rank, Size int
}

// Of returns the part of l: l itself where nothing is cut. Its errors are those of
// quant.Linear.Select and Shard.
func (p *Part) Of(l *quant.Linear) (_ *quant.Linear, err error) {
	for _, c := range p.Cuts {
		if len(c.Ranges) > 0 {
			l, err = l.Select(c.Axis, c.Ranges...)
		} else {
			l, err = l.Shard(c.Axis, c.Rank, c.Size)
		}
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Report is what became of a layer.
type Report struct {
	Choice   *bitlane.Report            // which kernel, and why not the others
	Findings []checkpointmodule.Finding // what looks wrong in the checkpoint but can be read
	Restored bool                       // packed weights that were kept were read; otherwise the checkpoint was
	Note     string                     // why the weights were not kept, or that what was kept is damaged; empty when all is well
}

func (r *Report) note(format string, args ...any) {
	if r.Note != "" {
		r.Note += "; "
	}
	r.Note += fmt.Sprintf(format, args...)
}

// facts is what is kept of a part beside its packed weights.
type facts struct {
	Spec     backend.Spec               `json:"spec"` // for some request, but with the layer's own recipe
	Findings []checkpointmodule.Finding `json:"findings"`
}

func (f *facts) text() (string, error) {
	b, err := json.Marshal(f)
	return string(b), err
}

// NewLinear returns a layer of dev with a part of a layer of src: out of the cache where that has
// it for the kernel that is chosen, else out of src, and then it is kept. The errors are those of Source.Load, of
// quant.Linear.Select and Shard, and of bitlane.NewLinear. What goes wrong with the cache alone
// is in the Report's Note, as is that a kernel or a format has nothing that can be kept.
func (c *Cache) NewLinear(ctx context.Context, dev backend.Device, src Source, p Part, r backend.Request, o bitlane.ChooseOptions) (backend.Layer, *Report, error) {
	report := &Report{}
	if src == nil {
		return nil, report, quant.Errorf(quant.ErrShape, p.Name, "source", "one", "none")
	}
	made, err := c.content(ctx, src, &p)
	switch {
	case ctx.Err() != nil:
		return nil, report, ctx.Err()
	case errors.Is(err, quant.ErrUnsupported): // Load knows better what is wrong, if anything is
		report.note("not kept: %v", err)
	case err != nil:
		return nil, report, err
	default:
		l, err := c.restore(ctx, dev, made.key, &p, r, o, report)
		if l != nil || err != nil {
			return l, report, err
		}
	}
	l, err := c.pack(ctx, dev, src, &made, &p, r, o, report)
	return l, report, err
}

// restore returns the layer of a key, nil where there is none or what there is is damaged.
func (c *Cache) restore(ctx context.Context, dev backend.Device, key string, p *Part, r backend.Request, o bitlane.ChooseOptions, report *Report) (backend.Layer, error) {
	known, err := readFacts(c.factsPath(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		report.note("packed anew: %v", err)
		return nil, nil
	}
	spec, err := known.Spec.For(p.Name, r)
	if err != nil {
		return nil, err
	}
	k, choice, err := bitlane.Choose(dev, spec, o)
	report.Choice = choice
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	restorer, ok := k.(backend.Restorer)
	if !ok {
		return nil, nil
	}
	name, identity := c.weightsPath(key, k.Name(), restorer.Packing(dev.Info(), spec))
	f, err := open(name, identity)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		report.note("packed anew: %v", err)
		return nil, nil
	}
	defer f.Close()
	l, err := restorer.Restore(ctx, dev, spec, f)
	switch {
	case errors.Is(err, quant.ErrFormat):
		report.note("packed anew: %v", err)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s: %s: %w", p.Name, k.Name(), err)
	}
	c.use(name, c.factsPath(key))
	report.Findings, report.Restored = known.Findings, true
	return l, nil
}

// readFacts returns facts that were kept. They are what this program would write, to the byte: those
// of a program whose facts have other fields would leave some at zero.
func readFacts(path string) (known facts, err error) {
	text, err := readRecord(path)
	if err != nil {
		return known, err
	}
	if err := json.Unmarshal([]byte(text), &known); err != nil {
		return known, damage(path, "facts", "JSON of facts", "%v", err)
	}
	again, err := known.text()
	if err == nil && again != text {
		err = damage(path, "facts", "the fields that this version knows", "others")
	}
	return known, err
}

// pack makes the layer out of src and keeps it under its key, if there is one.
func (c *Cache) pack(ctx context.Context, dev backend.Device, src Source, made *content, p *Part, r backend.Request, o bitlane.ChooseOptions, report *Report) (backend.Layer, error) {
	var whole quant.Linear
	found, err := src.Load(ctx, &whole, p.Name)
	if err != nil {
		return nil, err
	}
	report.Findings = found
	part, err := p.Of(&whole)
	if err != nil {
		return nil, err
	}
	spec, err := backend.NewSpec(part, r)
	if err != nil {
		return nil, err
	}
	k, choice, err := bitlane.Choose(dev, spec, o)
	report.Choice = choice
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	l, err := k.Prepare(ctx, dev, part, spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", p.Name, k.Name(), err)
	}
	if made.key == "" {
		return l, nil
	}
	if err = made.unchanged(src, p); err == nil {
		err = c.keep(ctx, dev, made.key, k, l, facts{spec, found}, part.Recipe)
	}
	if err != nil {
		report.note("not kept: %v", err)
	}
	return l, nil
}

// keep writes the weights, then the facts, without which nobody looks for them.
func (c *Cache) keep(ctx context.Context, dev backend.Device, key string, k backend.Kernel, l backend.Layer, known facts, own quant.Recipe) error {
	restorer, restores := k.(backend.Restorer)
	keeper, keeps := l.(backend.Keeper)
	if !restores || !keeps {
		return quant.Errorf(quant.ErrUnsupported, k.Name(), "packed weights", "a kernel that restores them", "none")
	}
	name, identity := c.weightsPath(key, k.Name(), restorer.Packing(dev.Info(), known.Spec))
	if err := c.save(ctx, name, identity, keeper); err != nil {
		return err
	}
	known.Spec.Recipe = own
	text, err := known.text()
	if err != nil {
		return err
	}
	return c.writeRecord(c.factsPath(key), text)
}

func (c *Cache) factsPath(key string) string { return c.path("layers", key+".facts") }

// weightsPath is where weights are kept, and what their file says of itself.
func (c *Cache) weightsPath(key, kernel, packing string) (path, identity string) {
	return c.path("layers", key+"."+kernel+"."+fileName(packing)), key + " " + kernel + " " + packing
}
