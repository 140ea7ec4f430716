package quantize

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// Model quantizes the linear layers of the plain model in the directory in and writes
// the directory out: the quantized tensors in the chosen format, every other tensor
// bit for bit, config.json with the quantization configuration, and the other files
// as they are. It holds one layer at a time. The files are the same whatever the
// number of threads.
//
// out appears whole or not at all: after an error, or when ctx ends, nothing of it is
// left, and what Replace was to replace is still there. What a killed process left
// beside out the next one on the same machine that makes it removes, where files can be locked, so that it
// is sure; Progress and Warnings of the Report say so.
//
// Errors name the layer, tensor or file: quant.ErrUnsupported for an input, a place or
// settings that cannot be, all that is wrong with the layers at once and before
// anything is written, a *GlobError for a glob without effect among it; quant.ErrFormat and quant.ErrRange for damaged weights; the
// system's for a disk that is full or not writable.
func Model(ctx context.Context, in, out string, o Options) (*Report, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	m, err := checkpoint.Open(ctx, in, checkpoint.Options{Dense: checkpoint.DenseOptions{
		// Which layers are quantized; how is the plan's business.
		RTN: quant.RTN{Bits: 4, Group: -1, Accurate: true}, Quantize: o.Quantize, Keep: o.Keep, Skip: o.Skip,
	}})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	at, err := findPlace(ctx, in, out, &o)
	if err != nil {
		return nil, err
	}
	p, err := newPlan(m, in, o)
	if err != nil {
		return nil, err
	}
	w := &writer{plan: p, model: m, in: in, report: Report{
		In: in, Out: out, Format: o.Format, Layers: []Layer{}, Kept: append([]module.Refused{}, p.kept...), Files: []string{}, LeftOut: []module.Refused{},
		Warnings: append(append([]string{}, m.Warnings()...), p.warnings...),
	}}
	for _, note := range at.clear() { // what a run that fails has found is not lost
		w.report.Warnings = append(w.report.Warnings, note)
		w.step(Step{Note: note})
	}
	if err := at.make(func(dir string) error { return w.write(ctx, dir) }); err != nil {
		return nil, err
	}
	return &w.report, nil
}

// copyBytes is how much is copied at a time.
const copyBytes = 1 << 20

// writer is one run of Model.
type writer struct {
	*plan
	model  *checkpoint.Model
	in     string
	report Report
	total  sums

	linear quant.Linear // a layer as it is stored
	packed quant.Weight // the same quantized
	buf    []byte
}

func (w *writer) write(ctx context.Context, dir string) error {
	shards := w.model.Files().Files()
	others, left, err := otherFiles(w.in, shards)
	if err != nil {
		return err
	}
	w.report.LeftOut = append(w.report.LeftOut, left...)
	if err := copyFiles(ctx, w.o.disk, w.in, dir, others); err != nil {
		return err
	}
	for _, o := range others {
		if !o.dir {
			w.report.Files = append(w.report.Files, filepath.ToSlash(o.path))
		}
	}
	for shard, at := 0, 0; shard < w.shards(); shard++ {
		end := at
		for end < len(w.units) && w.units[end].shard == shard {
			end++
		}
		if err := w.writeShard(ctx, dir, w.file(shard), at, end); err != nil {
			return err
		}
		at = end
	}
	if err := w.writeConfig(dir); err != nil {
		return err
	}
	w.summarize()
	return w.verify(ctx, dir)
}

// writeShard writes the file called name with units from..end−1.
func (w *writer) writeShard(ctx context.Context, dir, name string, from, end int) error {
	metadata := w.model.Files().Metadata()
	if metadata["format"] == "" { // which transformers insists on
		if metadata == nil {
			metadata = map[string]string{}
		}
		metadata["format"] = "pt"
	}
	var entries []safetensors.Entry
	for _, u := range w.units[from:end] {
		entries = append(entries, u.entries...)
	}
	w.report.Files = append(w.report.Files, name)
	return create(w.o.disk, filepath.Join(dir, name), func(f file) error {
		s, err := safetensors.NewWriter(f, metadata, entries)
		if err != nil {
			return err
		}
		for i := from; i < end; i++ {
			u := &w.units[i]
			if err := ctx.Err(); err != nil {
				return err
			}
			w.step(Step{Number: i + 1, Of: len(w.units), Name: u.name})
			if u.layer == nil {
				err = w.copy(ctx, s, u)
			} else {
				err = w.quantize(ctx, s, i)
			}
			if err != nil {
				return err
			}
		}
		return s.Finish()
	})
}

func (w *writer) step(s Step) {
	if w.o.Progress != nil {
		w.o.Progress(s)
	}
}

// copy copies a tensor a piece at a time.
func (w *writer) copy(ctx context.Context, s *safetensors.Writer, u *unit) error {
	w.buf = resize(w.buf, copyBytes)
	for off := int64(0); off < u.bytes; off += copyBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := w.buf[:min(copyBytes, u.bytes-off)]
		if err := w.model.Files().ReadAt(b, u.name, off); err != nil {
			return err
		}
		if err := s.WriteAt(b, u.name, off); err != nil {
			return err
		}
	}
	w.report.Summary.Copied++
	return nil
}

// quantize quantizes and writes the layer of unit i.
func (w *writer) quantize(ctx context.Context, s *safetensors.Writer, i int) error {
	u := &w.units[i]
	l := u.layer
	if err := w.model.LoadPlain(ctx, &w.linear, l.Name); err != nil {
		return err
	}
	sums, err := quantizeLayer(ctx, &w.packed, &w.linear.Weight, l, w.o.Threads)
	if err != nil {
		return err
	}
	tensors, err := w.encoder.Encode(l.Name, &w.packed)
	if err != nil {
		if w.o.RisksZero() {
			err = fmt.Errorf("%w: write gptq_v2 (Format, --format), or search scales (Parity, --method rtn-accurate), which keeps away from 0", err)
		}
		return err
	}
	for _, t := range tensors {
		if err := s.WriteAt(t.Bytes, t.Name, 0); err != nil {
			return err
		}
	}
	r := Layer{
		Name: l.Name, N: l.N, K: l.K, Bits: l.settings.Bits, Group: l.settings.Group, Symmetric: !l.settings.Asymmetric,
		Method: "rtn-accurate", Bytes: u.bytes,
	}
	if l.settings.Parity {
		r.Method = "rtn"
	}
	r.Error, r.RTNError = sums.relative()
	w.total.add(sums)
	w.report.Layers = append(w.report.Layers, r)
	w.step(Step{Number: i + 1, Of: len(w.units), Name: u.name, Layer: &r})
	return nil
}

// index is model.safetensors.index.json.
type index struct {
	Metadata struct {
		TotalSize int64 `json:"total_size"`
	} `json:"metadata"`
	WeightMap map[string]string `json:"weight_map"`
}

func (w *writer) writeConfig(dir string) error {
	put := func(name string, text []byte) error {
		w.report.Files = append(w.report.Files, name)
		return create(w.o.disk, filepath.Join(dir, name), func(f file) error {
			_, err := f.Write(text)
			return err
		})
	}
	if w.shards() > 1 {
		x := index{WeightMap: map[string]string{}}
		for _, u := range w.units {
			x.Metadata.TotalSize += u.bytes
			for _, e := range u.entries {
				x.WeightMap[e.Name] = w.file(u.shard)
			}
		}
		text, err := json.MarshalIndent(&x, "", "  ")
		if err != nil {
			return err
		}
		if err := put(safetensors.IndexName, append(text, '\n')); err != nil {
			return err
		}
	}
	fields := w.config()
	if w.o.Format != CompressedTensors {
		if err := put(quantizeName, append(module.WriteObject(fields, 0), '\n')); err != nil {
			return err
		}
	}
	text, err := modelConfig(filepath.Join(w.in, configName), fields)
	if err != nil {
		return err
	}
	return put(configName, text)
}

func (w *writer) summarize() {
	s := &w.report.Summary
	s.Layers, s.Shards = len(w.layers), w.shards()
	s.Error, s.RTNError = w.total.relative()
	for _, t := range w.model.Tensors() {
		s.InBytes += t.Bytes
	}
	for _, u := range w.units {
		s.OutBytes += u.bytes
	}
}

// verify opens what was written, as a reader does, and compares what it says of every
// layer with the plan.
func (w *writer) verify(ctx context.Context, dir string) error {
	m, err := checkpoint.Open(ctx, dir, checkpoint.Options{})
	if err != nil {
		return fmt.Errorf("what was written cannot be opened: %w", err)
	}
	defer m.Close()
	read := map[string]module.Module{}
	for _, mod := range m.Modules() {
		read[mod.Name] = mod
	}
	for _, l := range w.layers {
		r, ok := read[l.Name]
		group := r.GroupSize
		if l.form.Groups.Kind() == quant.PerChannel { // of which readers differ in the name
			group = l.settings.Group
		}
		if !ok || !r.Quantized || r.N != l.N || r.K != l.K || r.Bits != l.settings.Bits || group != l.settings.Group || r.Symmetric == l.settings.Asymmetric || r.Bias != l.Bias {
			return quant.Errorf(quant.ErrFormat, l.Name, "written", fmt.Sprintf("%d bits, groups of %d, [%d, %d], as planned", l.settings.Bits, l.settings.Group, l.N, l.K), "%+v", r)
		}
	}
	return nil
}
