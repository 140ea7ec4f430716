package ctensors

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// made is a module of known numbers, in the signed form that upstream speaks
// of: w[n][k] = scale[n][g]·(q[n][k] − zero[n][g]).
type made struct {
	name            string
	n, k, bits      int
	strategy        string
	group           int
	asymmetric      bool
	spaced          bool                        // the old layout of packed codes
	plain           bool                        // int8 values, not packed
	zeroBytes       bool                        // zero points as int8 although the codes are packed
	order           bool                        // a group index that is not trivial
	scales, indexes safetensors.Type            // F16 and I32 where empty
	shapes          safetensors.Type            // of weight_shape; I64 where empty
	bias            bool                        //
	q, zero, index  []int                       // [N·K], [N·groups], [K]
	scale, biases   []float32                   // [N·groups], [N]
	groups          int                         //
	tensors         map[string]safetensors.Data // by suffix
}

// fill draws the numbers and packs the tensors, bit by bit.
func (m *made) fill(rng *rand.Rand) *made {
	if m.name == "" {
		m.name = "model.layers.0.mlp.up_proj"
	}
	for t, def := range map[*safetensors.Type]safetensors.Type{&m.scales: safetensors.F16, &m.indexes: safetensors.I32, &m.shapes: safetensors.I64} {
		if *t == "" {
			*t = def
		}
	}
	m.groups = 1
	if m.strategy == "group" {
		m.groups = (m.k + m.group - 1) / m.group
	}
	half := 1 << (m.bits - 1)
	for range m.n * m.k {
		m.q = append(m.q, rng.IntN(2*half)-half)
	}
	stored := m.n * m.groups // scales and zero points in the file
	if m.strategy == "tensor" {
		stored = 1
	}
	for range stored {
		z := 0
		if m.asymmetric {
			z = rng.IntN(2*half) - half
		}
		m.zero = append(m.zero, z)
		m.scale = append(m.scale, float32(1+rng.IntN(127))/64)
	}
	for k := range m.k {
		m.index = append(m.index, k/max(m.group, 1)%m.groups)
	}
	if m.order {
		rng.Shuffle(m.k, func(i, j int) { m.index[i], m.index[j] = m.index[j], m.index[i] })
	}
	for range m.n {
		m.biases = append(m.biases, float32(rng.IntN(64)-32)/4)
	}
	m.pack()
	return m
}

func (m *made) pack() {
	m.tensors = map[string]safetensors.Data{}
	n, k, g := int64(m.n), int64(m.k), int64(m.groups)
	half := 1 << (m.bits - 1)
	if m.plain {
		var b []byte
		for _, q := range m.q {
			b = append(b, byte(int8(q)))
		}
		m.put("weight", safetensors.I8, b, n, k)
	} else {
		var words []uint32
		for row := range m.n {
			words = append(words, packBits(m.q[row*m.k:][:m.k], half, m.bits, m.spaced)...)
		}
		m.put("weight_packed", safetensors.I32, wordBytes(words), n, int64(len(words))/n)
		var shape []byte
		if m.shapes == safetensors.I64 {
			shape = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(n)), uint64(k))
		} else {
			shape = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(n)), uint32(k))
		}
		m.put("weight_shape", m.shapes, shape, 2)
	}
	scaleShape := []int64{n, g}
	if m.strategy == "tensor" {
		scaleShape = []int64{1}
	}
	m.put("weight_scale", m.scales, floats(m.scales, m.scale), scaleShape...)
	if m.asymmetric {
		if m.plain || m.zeroBytes || m.strategy == "tensor" {
			var b []byte
			for _, z := range m.zero {
				b = append(b, byte(int8(z)))
			}
			m.put("weight_zero_point", safetensors.I8, b, scaleShape...)
		} else {
			columns := make([][]uint32, m.groups)
			for i := range columns {
				column := make([]int, m.n)
				for row := range column {
					column[row] = m.zero[row*m.groups+i]
				}
				columns[i] = packBits(column, half, m.bits, m.spaced)
			}
			var words []uint32
			for w := range columns[0] {
				for _, c := range columns {
					words = append(words, c[w])
				}
			}
			m.put("weight_zero_point", safetensors.I32, wordBytes(words), int64(len(columns[0])), g)
		}
	}
	if m.order {
		var b []byte
		for _, i := range m.index {
			if m.indexes == safetensors.I64 {
				b = binary.LittleEndian.AppendUint64(b, uint64(i))
			} else {
				b = binary.LittleEndian.AppendUint32(b, uint32(i))
			}
		}
		m.put("weight_g_idx", m.indexes, b, k)
	}
	if m.bias {
		m.put("bias", m.scales, floats(m.scales, m.biases), n)
	}
}

func (m *made) put(suffix string, t safetensors.Type, b []byte, shape ...int64) {
	m.tensors[suffix] = safetensors.Data{Name: m.name + "." + suffix, Type: t, Shape: shape, Bytes: b}
}

// packBits packs values + offset into words, one bit after another.
func packBits(values []int, offset, bits int, spaced bool) []uint32 {
	at := func(i int) int {
		if spaced {
			return i/(32/bits)*32 + i%(32/bits)*bits
		}
		return i * bits
	}
	words := make([]uint32, (at(len(values)-1)+bits-1)/32+1)
	for i, v := range values {
		for b := range bits {
			if (v+offset)>>b&1 == 1 {
				words[(at(i)+b)/32] |= 1 << ((at(i) + b) % 32)
			}
		}
	}
	return words
}

func wordBytes(words []uint32) (b []byte) {
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

func floats(t safetensors.Type, v []float32) []byte {
	d, _ := t.DType()
	b := make([]byte, len(v)*d.Size())
	for i, x := range v {
		d.Put(b, i, x)
	}
	return b
}

// weightsConfig is the "weights" object for m.
func (m *made) weightsConfig() string {
	group := "null"
	if m.strategy == "group" {
		group = fmt.Sprint(m.group)
	}
	order := "null"
	if m.order {
		order = `"group"`
	}
	return fmt.Sprintf(`{"num_bits":%d,"type":"int","symmetric":%t,"strategy":%q,"group_size":%s,"dynamic":false,"actorder":%s,"observer":"minmax","observer_kwargs":{}}`,
		m.bits, !m.asymmetric, m.strategy, group, order)
}

const dynamicToken = `{"num_bits":8,"type":"int","symmetric":true,"strategy":"token","dynamic":true}`

func configOf(format, weights, inputs string) string {
	return fmt.Sprintf(`{"quant_method":"compressed-tensors","format":%q,"quantization_status":"compressed","ignore":["lm_head"],"new_key":[1],
		"config_groups":{"group_0":{"targets":["Linear"],"weights":%s,"input_activations":%s,"output_activations":null}}}`, format, weights, inputs)
}

func (m *made) config() string {
	if m.plain {
		return configOf("int-quantized", m.weightsConfig(), dynamicToken)
	}
	return configOf("pack-quantized", m.weightsConfig(), "null")
}

func source(t testing.TB, ms ...*made) safetensors.Source {
	t.Helper()
	var all []safetensors.Data
	for _, m := range ms {
		for _, d := range m.tensors {
			all = append(all, d)
		}
	}
	var b bytes.Buffer
	require.NoError(t, safetensors.Write(&b, nil, all...))
	f, err := safetensors.New(bytes.NewReader(b.Bytes()), int64(b.Len()), "file")
	require.NoError(t, err)
	return f
}

// load opens m's file and loads it into dst.
func (m *made) load(t testing.TB, dst *quant.Linear, s *module.Scratch) ([]module.Finding, error) {
	t.Helper()
	f, err := Open([]byte(m.config()), source(t, m))
	if err != nil {
		return nil, err
	}
	return f.Load(context.Background(), dst, m.name, s)
}

// check compares what was loaded with what was made.
func (m *made) check(t testing.TB, l *quant.Linear) {
	t.Helper()
	require.NoError(t, l.Check())
	w := &l.Weight
	require.Equal(t, [3]int{m.n, m.k, m.bits}, [3]int{w.N(), w.K(), w.Bits()})
	require.Equal(t, !m.asymmetric, w.Symmetric())
	require.Equal(t, m.groups, w.Groups().Count())
	d, _ := m.scales.DType()
	require.Equal(t, d, w.ScaleType())
	half := 1 << (m.bits - 1)
	for n := range m.n {
		for k := range m.k {
			if got := w.Code(n, k); got != m.q[n*m.k+k]+half {
				t.Fatalf("code [%d %d] is %d, want %d", n, k, got, m.q[n*m.k+k]+half)
			}
		}
		// Bits beyond K are zero.
		row := w.Row(n)
		for bit := m.k * m.bits; bit < 8*len(row); bit++ {
			if row[bit/8]>>(bit%8)&1 != 0 {
				t.Fatalf("row %d: bit %d is set", n, bit)
			}
		}
		for g := range m.groups {
			at := n*m.groups + g
			if m.strategy == "tensor" {
				at = 0
			}
			require.Equal(t, m.scale[at], w.Scale(n, g))
			require.Equal(t, m.zero[at]+half, w.Zero(n, g))
		}
	}
	for k, g := range m.index {
		require.Equal(t, g, w.Groups().Of(k))
	}
	if m.bias {
		require.Equal(t, m.biases, l.Bias)
	} else {
		require.Empty(t, l.Bias)
	}
}
