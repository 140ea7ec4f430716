package awq

import (
	"context"
	"fmt"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// The buffers of module.Scratch that a load uses.
const (
	bufZeros = iota
	bufFields
	bufScales
	bufWords
	bufBias
)

// stripBytes is how much of qweight is read at a time: small enough to stay
// in cache until it is decoded, and no second copy of the layer. gemm's strips
// are larger, since each one goes to all canonical rows: the longer the part of
// a row, the fewer pages are touched for it.
const (
	stripBytes     = 1 << 20
	gemmStripBytes = 4 << 20
)

// Load implements module.Format.
func (r *reader) Load(ctx context.Context, dst *quant.Linear, name string, s *module.Scratch) ([]module.Finding, error) {
	i, ok := r.byName[name]
	if !ok {
		return nil, module.Unknown(name)
	}
	if s == nil {
		s = new(module.Scratch)
	}
	l := load{reader: r, layer: &r.layers[i], dst: dst, s: s}
	dst.Reset(name)
	err := l.run(ctx)
	return l.findings, err
}

// load is one run of Load.
type load struct {
	*reader
	*layer
	dst      *quant.Linear
	s        *module.Scratch
	findings []module.Finding
}

func (l *load) find(tensor, format string, args ...any) {
	l.findings = append(l.findings, module.Finding{Module: l.layer.name, Tensor: tensor, Text: fmt.Sprintf(format, args...)})
}

func (l *load) run(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.said != l.Version {
		l.find(l.weight.Name, "labelled %s, but types and shapes are those of %s; read so", l.said, l.Version)
	}
	groups, err := quant.UniformGroups(l.k, l.GroupSize)
	if err != nil {
		return err
	}
	zeros, err := l.readZeros()
	if err != nil {
		return err
	}
	w := &l.dst.Weight
	err = w.Reset(quant.Form{N: l.n, K: l.k, Bits: Bits, Scales: l.scales, Zeros: zeros != nil, Groups: groups})
	if err != nil {
		return err
	}
	if zeros != nil {
		for n := range l.n {
			row := w.ZeroRow(n)
			for g, z := range zeros[n*l.groups:][:l.groups] {
				row[g] = int16(z)
			}
		}
	}
	if err := l.readScales(w); err != nil {
		return err
	}
	if err := module.ReadBias(l.dst, l.src, l.layer.name+".bias", l.n, l.s, bufBias); err != nil {
		return err
	}
	return l.readCodes(ctx, w)
}

func (l *load) readScales(w *quant.Weight) error {
	if l.Version != GEMV {
		return module.ReadScales(w, l.src, l.scale, l.s, bufScales)
	}
	// Padding is between the rows.
	b, err := l.s.Read(bufScales, l.src, l.scale)
	if err != nil {
		return err
	}
	pitch := len(b) / l.n
	for n := range l.n {
		row := w.ScaleRow(n)
		copy(row, b[n*pitch:])
		if g := module.NonFinite(l.scales, row); g >= 0 {
			return quant.Errorf(quant.ErrFormat, l.scale, fmt.Sprintf("element [%d, %d]", n, g), "a finite number", "%v", w.Scale(n, g))
		}
	}
	return nil
}

// readCodes decodes qweight strip by strip. A strip is whole rows, as many as
// are decoded together at least.
func (l *load) readCodes(ctx context.Context, w *quant.Weight) error {
	rows, pitch := int(l.weight.Shape[0]), 4*int(l.weight.Shape[1])
	decode, together, bytes := gemvRows, 1, stripBytes
	switch l.Version {
	case GEMM:
		decode, together, bytes = gemmRows, tileFeatures, gemmStripBytes
	case GEMVFast:
		decode, pitch = fastRows, pitch/2
	}
	strip := max(together, bytes/pitch/together*together)
	for at := 0; at < rows; at += strip {
		if err := ctx.Err(); err != nil {
			return err
		}
		here := min(strip, rows-at)
		b := l.s.Bytes(bufWords, pitch*here)
		if err := l.src.ReadAt(b, l.weight.Name, int64(pitch)*int64(at)); err != nil {
			return err
		}
		decode(w, b, at, here)
	}
	return nil
}
