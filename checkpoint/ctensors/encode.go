package ctensors

import (
	"encoding/binary"
	"fmt"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// Encoder makes the tensors of a pack-quantized module from its weight: the inverse
// of Load, but for the bias, which is a tensor of its own. Codes and zero points
// are dense across words. It keeps its buffers: one goroutine at a time may use it,
// and what Encode returns is valid until the next call.
type Encoder struct {
	packed, scales, zeros, index []byte
}

// Entries returns what Encode makes of a weight of form f, without the bytes.
//
// Groups that are not of one size have their index stored. A plain weight is
// quant.ErrUnsupported.
func (e *Encoder) Entries(name string, f *quant.Form) ([]safetensors.Entry, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	if f.Plain.Valid() {
		return nil, quant.Errorf(quant.ErrUnsupported, name, "weight", "codes", "plain %v", f.Plain)
	}
	n, groups := int64(f.N), int64(f.Groups.Count())
	out := []safetensors.Entry{
		{Name: name + suffixPacked, Type: safetensors.I32, Shape: []int64{n, denseWords(f.K, f.Bits)}},
		{Name: name + suffixScale, Type: safetensors.TypeOf(f.Scales), Shape: []int64{n, groups}},
		{Name: name + suffixShape, Type: safetensors.I64, Shape: []int64{2}},
	}
	if f.Zeros {
		out = append(out, safetensors.Entry{Name: name + suffixZero, Type: safetensors.I32, Shape: []int64{denseWords(f.N, f.Bits), groups}})
	}
	if indexed(f) {
		out = append(out, safetensors.Entry{Name: name + suffixIndex, Type: safetensors.I32, Shape: []int64{int64(f.K)}})
	}
	return out, nil
}

// indexed reports whether the group of a feature is not k/size.
func indexed(f *quant.Form) bool { return f.Groups.Kind() > quant.Uniform }

// Encode returns the tensors of w, the weight of the module called name. The errors
// are those of Entries, and quant.ErrUnsupported for a zero point outside the codes.
func (e *Encoder) Encode(name string, w *quant.Weight) ([]safetensors.Data, error) {
	form := w.Form()
	entries, err := e.Entries(name, &form)
	if err != nil {
		return nil, err
	}
	words := 4 * int(denseWords(form.K, form.Bits))
	size := form.Groups.Count() * form.Scales.Size()
	e.packed, e.scales = resize(e.packed, form.N*words), resize(e.scales, form.N*size)
	for n := range form.N {
		copy(e.packed[n*words:], w.Row(n)[:words])
		copy(e.scales[n*size:], w.ScaleRow(n))
	}
	shape := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(form.N)), uint64(form.K))
	bytes := [][]byte{e.packed, e.scales, shape}
	if form.Zeros {
		if err := e.encodeZeros(name, w); err != nil {
			return nil, err
		}
		bytes = append(bytes, e.zeros)
	}
	if indexed(&form) {
		e.index = resize(e.index, 4*form.K)
		for k := range form.K {
			binary.LittleEndian.PutUint32(e.index[4*k:], uint32(form.Groups.Of(k)))
		}
		bytes = append(bytes, e.index)
	}
	out := make([]safetensors.Data, len(entries))
	for i, t := range entries {
		out[i] = safetensors.Data{Name: t.Name, Type: t.Type, Shape: t.Shape, Bytes: bytes[i]}
	}
	return out, nil
}

func resize(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// encodeZeros packs the zero points of each group down the rows.
func (e *Encoder) encodeZeros(name string, w *quant.Weight) error {
	groups, words := w.Groups().Count(), int(denseWords(w.N(), w.Bits()))
	e.zeros = resize(e.zeros, 4*words*groups)
	column, packed := make([]uint8, w.N()), make([]byte, 4*words)
	for g := range groups {
		for n := range column {
			z := w.Zero(n, g)
			if z < 0 || z >= 1<<w.Bits() {
				return quant.Errorf(quant.ErrUnsupported, name, fmt.Sprintf("zero point of row %d, group %d", n, g),
					fmt.Sprintf("0 to %d", 1<<w.Bits()-1), "%d", z)
			}
			column[n] = uint8(z)
		}
		quant.Pack(packed, column, w.Bits())
		for i := range words {
			copy(e.zeros[4*(i*groups+g):][:4], packed[4*i:])
		}
	}
	return nil
}
