package exllama

import (
	"encoding/binary"
	"fmt"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Tensors are the arguments of gptq_gemm but for the activations, in memory of
// the host, little endian. They are read, never kept.
type Tensors struct {
	N, K, Bits int

	QWeight []byte // int32 [K·Bits/32, N]
	QZeros  []byte // int32 [groups, N·Bits/32]; empty: the middle, 2^(Bits−1)
	Scales  []byte // float16 [groups, N]

	// GIdx is the operator's b_g_idx: with Shuffled the permutation
	// argsort(g_idx) that Shuffle was given, or empty; without it the group of
	// each feature, or empty for groups in order.
	GIdx []int32

	Shuffled bool // use_exllama: QWeight is as Shuffle leaves it
	V2       bool // use_v2_format: zero points are stored as they are, not minus one
	Bias     []float32
}

// groups is the number of groups, which the operator takes from its scales.
func (t *Tensors) groups() int { return len(t.Scales) / 2 / max(t.N, 1) }

func (t *Tensors) check() error {
	if err := checkWeights(t.QWeight, t.K, t.N, t.Bits); err != nil {
		return err
	}
	g := t.groups()
	switch {
	case g < 1 || g > t.K || len(t.Scales) != 2*g*t.N:
		return quant.Errorf(quant.ErrShape, "scales", "size", fmt.Sprintf("float16 [groups,%d]", t.N), "%d bytes", len(t.Scales))
	case t.K%g != 0 && (t.Shuffled || len(t.GIdx) == 0):
		return quant.Errorf(quant.ErrShape, "scales", "groups", fmt.Sprintf("a divisor of K = %d", t.K), "%d", g)
	case len(t.QZeros) > 0 && t.N*t.Bits%32 != 0:
		return quant.Errorf(quant.ErrShape, "qzeros", "N", fmt.Sprintf("whole words of %d-bit fields", t.Bits), "%d", t.N)
	case len(t.QZeros) > 0 && len(t.QZeros) != g*(t.N*t.Bits/32)*4:
		return quant.Errorf(quant.ErrShape, "qzeros", "size", fmt.Sprintf("int32 [%d,%d]", g, t.N*t.Bits/32), "%d bytes", len(t.QZeros))
	case len(t.Bias) > 0 && len(t.Bias) != t.N:
		return quant.Errorf(quant.ErrShape, "bias", "length", fmt.Sprint(t.N), "%d", len(t.Bias))
	}
	if t.Shuffled {
		return checkPerm(t.GIdx, t.K)
	}
	if len(t.GIdx) != 0 && len(t.GIdx) != t.K {
		return quant.Errorf(quant.ErrShape, "g_idx", "length", fmt.Sprintf("%d or 0", t.K), "%d", len(t.GIdx))
	}
	return nil
}

// groupMap gives each feature, in the order of x, its group.
func (t *Tensors) groupMap() (quant.Groups, error) {
	g := t.groups()
	if !t.Shuffled && len(t.GIdx) > 0 {
		return quant.IndexedGroups(t.GIdx, g)
	}
	if len(t.GIdx) == 0 {
		return quant.UniformGroups(t.K, t.K/g)
	}
	index := make([]int32, t.K) // rows were sorted by group
	for row, feature := range t.GIdx {
		index[feature] = int32(row / (t.K / g))
	}
	return quant.IndexedGroups(index, g)
}

// Linear makes dst the layer of t: the same weights, scale·(code − zero), that
// the operator means. Zero points of version 1 are stored + 1, without a wrap at
// the bits, as the operator has it. Errors name the tensor; dst is empty then.
func (t *Tensors) Linear(dst *quant.Linear) error {
	name := dst.Name
	dst.Reset(name)
	if err := t.check(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	groups, err := t.groupMap()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w := &dst.Weight
	if err := w.Reset(quant.Form{N: t.N, K: t.K, Bits: t.Bits, Scales: dtype.F16, Zeros: len(t.QZeros) > 0, Groups: groups}); err != nil {
		return err
	}
	t.codes(w)
	for g := range groups.Count() {
		for n := range t.N {
			copy(w.ScaleRow(n)[2*g:][:2], t.Scales[2*(g*t.N+n):])
			if len(t.QZeros) > 0 {
				w.ZeroRow(n)[g] = t.zero(g, n)
			}
		}
	}
	if len(t.Bias) > 0 {
		dst.ResizeBias(t.N)
		copy(dst.Bias, t.Bias)
	}
	dst.DType = dtype.F16
	if err := dst.Check(); err != nil {
		dst.Reset(name)
		return err
	}
	return nil
}

// zero is the zero point of output n in group g.
func (t *Tensors) zero(g, n int) int16 {
	row := t.QZeros[g*(t.N*t.Bits/32)*4:][:t.N*t.Bits/8]
	bit := n * t.Bits
	v := int(row[bit/8])
	if i := bit/8 + 1; i < len(row) {
		v |= int(row[i]) << 8
	}
	v = v >> (bit % 8) & (1<<t.Bits - 1)
	if !t.V2 {
		v++
	}
	return int16(v)
}

// codes writes the rows of w.
func (t *Tensors) codes(w *quant.Weight) {
	places := plainPlaces(t.Bits)
	if t.Shuffled {
		places = shuffledPlaces(t.Bits)
	}
	rows, words := unitRows(t.Bits), unitWords(t.Bits)
	row := make([]uint8, t.K)
	for n := range t.N {
		for u := range t.K / rows {
			var unit [3]uint32
			for i := range words {
				unit[i] = binary.LittleEndian.Uint32(t.QWeight[4*((u*words+i)*t.N+n):])
			}
			for r := range rows {
				code := uint8(0)
				for i, p := range places[r][:t.Bits] {
					code |= uint8(unit[p.word]>>p.bit&1) << i
				}
				at := u*rows + r
				if t.Shuffled && len(t.GIdx) > 0 {
					at = int(t.GIdx[at])
				}
				row[at] = code
			}
		}
		w.PackRow(n, row)
	}
}
