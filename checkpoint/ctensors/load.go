package ctensors

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// The buffers of a module.Scratch.
const (
	bufWeight = iota
	bufScale
	bufZero
	bufIndex
	bufBias
)

// piece is how many bytes of a weight are read at once: few enough to stay in
// the cache until they are copied.
const piece = 1 << 19

// Name returns "compressed-tensors".
func (r *reader) Name() string { return Name }

// Modules returns the modules that Load reads.
func (r *reader) Modules() []module.Module { return r.modules }

// Refused returns the modules that are not read, with the reasons.
func (r *reader) Refused() []module.Refused { return r.refused }

// Load reads a module; see module.Format.
func (r *reader) Load(ctx context.Context, dst *quant.Linear, name string, s *module.Scratch) ([]module.Finding, error) {
	l, ok := r.layers[name]
	if !ok {
		return nil, module.Unknown(name)
	}
	if s == nil {
		s = &module.Scratch{}
	}
	groups, err := l.readGroups(r.src, s)
	if err != nil {
		return nil, err
	}
	dst.Reset(name)
	w := &dst.Weight
	if err := w.Reset(quant.Form{N: l.N, K: l.K, Bits: l.Bits, Scales: l.Scales, Zeros: !l.Symmetric, Groups: groups}); err != nil {
		return nil, err
	}
	if err := l.readScales(w, r.src, s); err != nil {
		return nil, err
	}
	zeros, err := l.zeroBytes(r.src, s)
	if err != nil {
		return nil, err
	}
	var findings []module.Finding
	zeroLayout := dense
	if l.packed {
		c, err := l.chooseLayouts(ctx, r.src, s, zeros)
		if err != nil {
			return nil, err
		}
		if c.unsure {
			findings = append(findings, module.Finding{Module: name, Tensor: l.weight.Name,
				Text: fmt.Sprintf("shape and content fit both layouts of %d-bit codes; read as the dense one", l.Bits)})
		}
		zeroLayout = c.zero
		err = l.readPacked(ctx, w, r.src, s, c.weight)
		if err != nil {
			return nil, err
		}
	} else if err := l.readSigned(ctx, w, r.src, s); err != nil {
		return nil, err
	}
	if err := l.decodeZeros(w, zeros, zeroLayout); err != nil {
		return nil, err
	}
	if err := module.ReadBias(dst, r.src, name+suffixBias, l.N, s, bufBias); err != nil {
		return nil, err
	}
	dst.Recipe = l.Recipe
	return findings, nil
}

// readGroups makes the group map. A weight_g_idx of −1 everywhere is one that
// the writer allocated and never set: it counts as none, as upstream has it.
func (l *layer) readGroups(src safetensors.Source, s *module.Scratch) (quant.Groups, error) {
	if l.index.Name == "" {
		if l.groups == 1 {
			return quant.OneGroup(l.K), nil
		}
		return quant.UniformGroups(l.K, l.scheme.weights.group)
	}
	b, err := s.Read(bufIndex, src, l.index.Name)
	if err != nil {
		return quant.Groups{}, err
	}
	index := s.Ints(l.K)
	unset := 0
	for k := range index {
		v := int64(0)
		if l.index.Type == safetensors.I64 {
			v = int64(binary.LittleEndian.Uint64(b[8*k:]))
		} else {
			v = int64(int32(binary.LittleEndian.Uint32(b[4*k:])))
		}
		if v == -1 && unset == k {
			unset++
			index[k] = -1
			continue
		}
		if v < 0 || v >= int64(l.groups) || unset > 0 {
			return quant.Groups{}, quant.Errorf(quant.ErrFormat, l.index.Name, fmt.Sprintf("element %d", k),
				fmt.Sprintf("0 to %d, or -1 in all elements", l.groups-1), "%d", v)
		}
		index[k] = int32(v)
	}
	if unset == l.K {
		plain := *l
		plain.index.Name = ""
		return plain.readGroups(src, s)
	}
	if unset > 0 {
		return quant.Groups{}, quant.Errorf(quant.ErrFormat, l.index.Name, "element 0", fmt.Sprintf("0 to %d, or -1 in all elements", l.groups-1), "-1")
	}
	return quant.IndexedGroups(index, l.groups)
}

func (l *layer) readScales(w *quant.Weight, src safetensors.Source, s *module.Scratch) error {
	b, err := s.Read(bufScale, src, l.scale.Name)
	if err != nil {
		return err
	}
	row := l.groups * l.Scales.Size()
	step := row
	if l.scheme.weights.strategy == perTensor {
		step = 0
	}
	for n := range l.N {
		copy(w.ScaleRow(n), b[n*step:][:row])
	}
	if n, g, bad := w.NonFiniteScale(); bad {
		return quant.Errorf(quant.ErrFormat, l.scale.Name, fmt.Sprintf("scale of row %d, group %d", n, g), "a finite number", "%v", w.Scale(n, g))
	}
	return nil
}

// pieces reads the weight in rows of so many bytes, a piece at a time, and
// gives them to use with the number of the first row.
func (l *layer) pieces(ctx context.Context, src safetensors.Source, s *module.Scratch, row int, use func(n int, rows []byte) error) error {
	step := min(l.N, max(1, piece/row))
	buf := s.Bytes(bufWeight, step*row)
	for n := 0; n < l.N; n += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(step, l.N-n)*row]
		if err := src.ReadAt(b, l.weight.Name, int64(n)*int64(row)); err != nil {
			return err
		}
		if err := use(n, b); err != nil {
			return err
		}
	}
	return nil
}

func (l *layer) readPacked(ctx context.Context, w *quant.Weight, src safetensors.Source, s *module.Scratch, in layout) error {
	row := 4 * int(l.weight.Shape[1])
	decode := denseRow
	if in == spaced {
		decode = spacedRow
	}
	return l.pieces(ctx, src, s, row, func(n int, rows []byte) error {
		for ; len(rows) > 0; rows, n = rows[row:], n+1 {
			decode(w.Row(n), rows[:row], l.K, l.Bits)
		}
		return nil
	})
}

func (l *layer) readSigned(ctx context.Context, w *quant.Weight, src safetensors.Source, s *module.Scratch) error {
	return l.pieces(ctx, src, s, l.K, func(n int, rows []byte) error {
		for ; len(rows) > 0; rows, n = rows[l.K:], n+1 {
			if k := module.SignedRow(w.Row(n), rows[:l.K], l.Bits); k >= 0 {
				half := 1 << (l.Bits - 1)
				return quant.Errorf(quant.ErrFormat, l.weight.Name, fmt.Sprintf("element [%d %d]", n, k),
					fmt.Sprintf("%d to %d, as %d bits hold", -half, half-1, l.Bits), "%d", int8(rows[k]))
			}
		}
		return nil
	})
}

func (l *layer) zeroBytes(src safetensors.Source, s *module.Scratch) ([]byte, error) {
	if l.zero.Name == "" {
		return nil, nil
	}
	return s.Read(bufZero, src, l.zero.Name)
}

// decodeZeros stores the zero points. Like codes they are stored minus
// 2^(bits−1), packed ones with it added back. A symmetric scheme may store
// them too, if they are zero.
func (l *layer) decodeZeros(w *quant.Weight, b []byte, in layout) error {
	if l.zero.Name == "" {
		return nil
	}
	half := int16(1) << (l.Bits - 1)
	row := make([]int16, l.groups)
	for n := range l.N {
		if !l.Symmetric {
			row = w.ZeroRow(n)
		}
		if l.zero.Type == safetensors.I32 {
			column(row, b, n, l.Bits, in)
		} else {
			at := n * l.groups
			if l.scheme.weights.strategy == perTensor {
				at = 0
			}
			for g := range row {
				row[g] = int16(int8(b[at+g])) + half
				if z := row[g]; z>>l.Bits != 0 {
					return quant.Errorf(quant.ErrFormat, l.zero.Name, fmt.Sprintf("zero point of row %d, group %d", n, g),
						fmt.Sprintf("%d to %d, as %d bits hold", -half, half-1, l.Bits), "%d", z-half)
				}
			}
		}
		if l.Symmetric {
			if g := slices.IndexFunc(row, func(z int16) bool { return z != half }); g >= 0 {
				return quant.Errorf(quant.ErrFormat, l.zero.Name, fmt.Sprintf("zero point of row %d, group %d", n, g),
					"0, as a symmetric scheme has", "%d", row[g]-half)
			}
		}
	}
	return nil
}
