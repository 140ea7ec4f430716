package gptq

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// The buffers of module.Scratch that a load uses.
const (
	bufZeros = iota
	bufScales
	bufIndex
	bufWords
	bufFields
	bufBias
)

// stripBytes is how much of qweight is read at a time: small enough to stay
// in cache until it is transposed, and no second copy of the layer.
const stripBytes = 1 << 20

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
	groups, err := l.groupMap()
	if err != nil {
		return err
	}
	zeros, err := l.readZeros()
	if err != nil {
		return err
	}
	w := &l.dst.Weight
	err = w.Reset(quant.Form{N: l.n, K: l.k, Bits: l.Bits, Scales: l.scales, Zeros: zeros != nil, Groups: groups})
	if err != nil {
		return err
	}
	if zeros != nil {
		storeZeros(w, zeros)
	}
	if err := module.ReadScales(w, l.src, l.scale, l.s, bufScales); err != nil {
		return err
	}
	if err := module.ReadBias(l.dst, l.src, l.layer.name+".bias", l.n, l.s, bufBias); err != nil {
		return err
	}
	return l.readCodes(ctx, w)
}

// groupMap returns the group of every feature: from g_idx where it is stored,
// otherwise k/G. A g_idx that says no more than k/G is dropped.
func (l *load) groupMap() (quant.Groups, error) {
	plain, err := quant.UniformGroups(l.k, l.GroupSize)
	if err != nil {
		return plain, err
	}
	if l.gIndex == "" {
		if l.ActOrder != nil && *l.ActOrder && l.groups > 1 {
			l.find(l.layer.name+".g_idx", "desc_act is set but there is no g_idx; groups read as k/%d", l.GroupSize)
		}
		return plain, nil
	}
	b, err := l.s.Read(bufIndex, l.src, l.gIndex)
	if err != nil {
		return plain, err
	}
	index := l.s.Ints(l.k)
	trivial, next, left := true, int32(0), l.GroupSize
	for k := range index {
		g := int32(binary.LittleEndian.Uint32(b[4*k:]))
		if g < 0 || int(g) >= l.groups {
			return plain, quant.Errorf(quant.ErrFormat, l.gIndex, fmt.Sprintf("element %d", k), fmt.Sprintf("a group, 0..%d", l.groups-1), "%d", g)
		}
		index[k] = g
		trivial = trivial && g == next
		if left--; left == 0 {
			next, left = next+1, l.GroupSize
		}
	}
	if trivial {
		return plain, nil
	}
	if l.ActOrder != nil && !*l.ActOrder {
		l.find(l.gIndex, "desc_act is false but g_idx is not k/%d; g_idx is used", l.GroupSize)
	}
	return quant.IndexedGroups(index, l.groups)
}

// readCodes transposes qweight strip by strip.
func (l *load) readCodes(ctx context.Context, w *quant.Weight) error {
	rows := l.k * l.Bits / 32
	strip := max(tile, stripBytes/(4*l.n)/tile*tile)
	for at := 0; at < rows; at += strip {
		if err := ctx.Err(); err != nil {
			return err
		}
		here := min(strip, rows-at)
		b := l.s.Bytes(bufWords, 4*l.n*here)
		if err := l.src.ReadAt(b, l.qweight, 4*int64(l.n)*int64(at)); err != nil {
			return err
		}
		transposeWords(w, b, here, l.n, at)
	}
	if p := l.planes(); p != nil {
		for n := range l.n {
			p.dense(w.Row(n)[:l.k*l.Bits/8])
		}
	}
	return ctx.Err()
}

// planes is how codes and zero points lie, nil for dense.
func (l *layer) planes() *planar {
	if !l.Planar {
		return nil
	}
	return newPlanar(l.Bits)
}
