package gptq

import (
	"encoding/binary"
	"fmt"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// Encoder makes the tensors of a module from its weight: the inverse of Load, but
// for the bias, which is a tensor of its own. It keeps its buffers: one goroutine at
// a time may use it, and what Encode returns is valid until the next call.
type Encoder struct {
	Version int // of zero points: 1, which stores them minus one, or 2; 0 means 1

	qweight, qzeros, scales, index []byte
}

// blockOf is how many codes of a width fill whole 32-bit words.
func blockOf(bits int) int {
	switch bits {
	case 2, 4, 8:
		return 32 / bits
	}
	return 32
}

// Entries returns what Encode makes of a weight of form f, without the bytes. The
// module's group size must be such that it has as many groups as f.
//
// A form that GPTQ has not is quant.ErrUnsupported, naming the module and what it
// would take: other bits, or sizes that fill whole words.
func (e *Encoder) Entries(name string, f *quant.Form) ([]safetensors.Entry, error) {
	refuse := func(field, want, format string, args ...any) ([]safetensors.Entry, error) {
		return nil, quant.Errorf(quant.ErrUnsupported, name, field, want, format, args...)
	}
	if err := f.Check(); err != nil {
		return nil, err
	}
	if e.Version < 0 || e.Version > 2 {
		return refuse("version of zero points", "1 or 2", "%d", e.Version)
	}
	switch f.Bits {
	case 2, 3, 4, 8:
	case 0:
		return refuse("weight", "codes", "plain %v", f.Plain)
	default:
		return refuse("bits", "2, 3, 4 or 8, as GPTQ has", "%d", f.Bits)
	}
	block := blockOf(f.Bits)
	want := fmt.Sprintf("a multiple of %d, so that %d-bit codes fill whole words", block, f.Bits)
	if f.K%block != 0 {
		return refuse("K", want, "%d", f.K)
	}
	if f.N%block != 0 {
		return refuse("N", want, "%d", f.N)
	}
	n, k, groups := int64(f.N), int64(f.K), int64(f.Groups.Count())
	return []safetensors.Entry{
		{Name: name + ".qweight", Type: safetensors.I32, Shape: []int64{k * int64(f.Bits) / 32, n}},
		{Name: name + ".qzeros", Type: safetensors.I32, Shape: []int64{groups, n * int64(f.Bits) / 32}},
		{Name: name + ".scales", Type: safetensors.TypeOf(f.Scales), Shape: []int64{groups, n}},
		{Name: name + ".g_idx", Type: safetensors.I32, Shape: []int64{k}},
	}, nil
}

// Encode returns the tensors of w, the weight of the module called name. Their
// group index is stored also where it is k/G: other readers expect it.
//
// The errors are those of Entries, and quant.ErrUnsupported for a zero point that
// the version cannot store: version 1 has no field for a zero point of 0 that all
// readers agree on (AutoGPTQ's packer destroys its neighbours, vLLM reads it as
// 2^bits), and neither has one of 2^bits or more.
func (e *Encoder) Encode(name string, w *quant.Weight) ([]safetensors.Data, error) {
	form := w.Form()
	entries, err := e.Entries(name, &form)
	if err != nil {
		return nil, err
	}
	if err := e.encodeZeros(name, w); err != nil {
		return nil, err
	}
	e.encodeCodes(w)
	e.encodeScales(w)
	e.index = resize(e.index, 4*form.K)
	for k := range form.K {
		binary.LittleEndian.PutUint32(e.index[4*k:], uint32(w.Groups().Of(k)))
	}
	out := make([]safetensors.Data, len(entries))
	for i, b := range [][]byte{e.qweight, e.qzeros, e.scales, e.index} {
		out[i] = safetensors.Data{Name: entries[i].Name, Type: entries[i].Type, Shape: entries[i].Shape, Bytes: b}
	}
	return out, nil
}

func resize(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// encodeCodes transposes the rows' words to qweight, in squares that stay in cache.
func (e *Encoder) encodeCodes(w *quant.Weight) {
	n, words := w.N(), w.K()*w.Bits()/32
	e.qweight = resize(e.qweight, 4*n*words)
	for from := 0; from < n; from += tile {
		to := min(from+tile, n)
		for at := 0; at < words; at += tile {
			end := min(at+tile, words)
			for c := from; c < to; c++ {
				row := w.Row(c)[4*at : 4*end]
				for r := at; r < end; r++ {
					copy(e.qweight[4*(r*n+c):][:4], row[4*(r-at):])
				}
			}
		}
	}
}

func (e *Encoder) encodeScales(w *quant.Weight) {
	n, groups, size := w.N(), w.Groups().Count(), w.ScaleType().Size()
	e.scales = resize(e.scales, n*groups*size)
	for c := range n {
		row := w.ScaleRow(c)
		for g := range groups {
			copy(e.scales[(g*n+c)*size:][:size], row[g*size:])
		}
	}
}

func (e *Encoder) encodeZeros(name string, w *quant.Weight) error {
	n, groups, bits := w.N(), w.Groups().Count(), w.Bits()
	pitch := n * bits / 8
	e.qzeros = resize(e.qzeros, groups*pitch)
	least, offset := 1, 1
	if e.Version == 2 {
		least, offset = 0, 0
	}
	row := make([]uint8, n)
	for g := range groups {
		for c := range row {
			z := w.Zero(c, g)
			if z < least || z >= 1<<bits {
				want := fmt.Sprintf("%d to %d", least, 1<<bits-1)
				if z == 0 {
					want += ": readers of version 1 disagree about 0; gptq_v2 stores it"
				}
				return quant.Errorf(quant.ErrUnsupported, name, fmt.Sprintf("zero point of row %d, group %d", c, g), want, "%d", z)
			}
			row[c] = uint8(z - offset)
		}
		quant.Pack(e.qzeros[g*pitch:(g+1)*pitch], row, bits)
	}
	return nil
}
