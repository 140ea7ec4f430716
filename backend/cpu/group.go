package cpu

import (
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/quant"
)

// Group implements backend.Grouper. Layers of different kernels and group maps
// may be in one group: x is prepared once for each way that they need it. The
// group holds no memory of its own.
func (d *Device) Group(layers ...backend.Layer) (backend.Layer, error) {
	members := make([]*layer, len(layers))
	for i, l := range layers {
		m, ok := l.(interface{ whole() *layer })
		if !ok || m.whole().dev != d {
			return nil, quant.Errorf(backend.ErrDevice, fmt.Sprintf("layer %d of the group", i), "device", d.Info().String(), "another")
		}
		members[i] = m.whole()
	}
	spec, err := groupSpec(members)
	if err != nil {
		return nil, err
	}
	var held []*hostmem.Layer
	release := func() {
		for _, h := range held {
			h.Release()
		}
	}
	for _, m := range members {
		if err := m.Hold(); err != nil {
			release()
			return nil, err
		}
		held = append(held, m.Layer)
	}
	base, err := hostmem.NewLayer(d.Device, spec)
	if err != nil {
		release()
		return nil, err
	}
	var fronts []*front
	var parts []part
	scratch := 0
	for _, m := range members {
		scratch = max(scratch, m.scratch)
		for _, p := range m.parts {
			f := m.fronts[p.front]
			i := slices.IndexFunc(fronts, f.same)
			if i < 0 {
				i, fronts = len(fronts), append(fronts, f)
			}
			parts = append(parts, part{matrix: p.matrix, front: i})
		}
	}
	return newLayer(base, d, nil, fronts, parts, scratch, held), nil
}

// groupSpec is the Spec of the first layer with the outputs of all, or the
// Refusal of layers that cannot share x.
func groupSpec(members []*layer) (backend.Spec, error) {
	const name = "group"
	if len(members) == 0 {
		var r *backend.Refusal
		return backend.Spec{}, r.Add(name, "layers", "none", "at least one", "")
	}
	s := members[0].Spec()
	var r *backend.Refusal
	for i, m := range members[1:] {
		t := m.Spec()
		differ := func(field string, has, wants any) {
			r = r.Add(name, fmt.Sprintf("%s of layer %d", field, i+1), fmt.Sprint(has), fmt.Sprintf("%v as in layer 0", wants), "")
		}
		if t.K != s.K {
			differ("K", t.K, s.K)
		}
		if t.X != s.X {
			differ("x type", t.X, s.X)
		}
		if t.Y != s.Y {
			differ("y type", t.Y, s.Y)
		}
		if t.Recipe != s.Recipe {
			differ("recipe", t.Recipe, s.Recipe)
		} else if !m.fronts[0].transform.Equal(members[0].fronts[0].transform) {
			differ("transform", "another", "the same")
		}
		s.NRanges = joinRanges(&s, &t)
		s.N += t.N
		s.FullN += t.FullN
		s.Bias = s.Bias || t.Bias
		s.MaxRows = min(s.MaxRows, t.MaxRows)
	}
	return s, r.Err()
}

// joinRanges returns the rows of a and then of b, of a whole layer that has
// those of the whole b after those of the whole a; nil where both are whole.
func joinRanges(a, b *backend.Spec) []quant.Range {
	if a.NRanges == nil && b.NRanges == nil {
		return nil
	}
	rows := func(s *backend.Spec) []quant.Range {
		if s.NRanges == nil {
			return []quant.Range{{Start: 0, End: s.N}}
		}
		return s.NRanges
	}
	joined := slices.Clone(rows(a))
	for _, r := range rows(b) {
		joined = append(joined, quant.Range{Start: a.FullN + r.Start, End: a.FullN + r.End})
	}
	return joined
}
