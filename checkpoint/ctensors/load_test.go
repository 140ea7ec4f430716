package ctensors

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Words that compressed-tensors writes for known values.
func TestKnownWords(t *testing.T) {
	up := func(from, to int) (q []int) {
		for v := from; v <= to; v++ {
			q = append(q, v)
		}
		return q
	}
	for _, c := range []struct {
		bits  int
		q     []int
		words []uint32
	}{
		{4, []int{1, 2, 3, 4, 5, 6, 7, 0}, []uint32{0x8FEDCBA9}},
		{4, []int{-1, -2, -3, -4, -5, -6, -7, -8}, []uint32{0x01234567}},
		{5, up(-16, 15), []uint32{0x8A418820, 0xC5A92839, 0xCA307B9A, 0x38BDAB49, 0xFFBBCDEB}},
		{3, up(-4, 3), []uint32{0x00FAC688}},
	} {
		m := (&made{n: 1, k: len(c.q), bits: c.bits, strategy: "channel"}).fill(rand.New(rand.NewPCG(1, 1)))
		m.q = c.q
		m.put("weight_packed", safetensors.I32, wordBytes(c.words), 1, int64(len(c.words)))
		var l quant.Linear
		_, err := m.load(t, &l, nil)
		require.NoError(t, err)
		m.check(t, &l)
	}
}

// Every layout, strategy, symmetry and type, into one Linear and one Scratch
// that each case leaves dirty for the next.
func TestLoad(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var l quant.Linear
	var s module.Scratch
	types := []safetensors.Type{safetensors.F16, safetensors.BF16, safetensors.F32}
	sizes := [][2]int{{5, 333}, {37, 320}, {256, 97}, {1, 1}, {3, 8}}
	i := 0
	for bits := 2; bits <= 8; bits++ {
		for _, strategy := range []string{"group", "channel", "tensor"} {
			for _, asymmetric := range []bool{false, true} {
				for _, variant := range []string{"dense", "spaced", "int8", "zero bytes", "reordered"} {
					i++
					size := sizes[i%len(sizes)]
					m := &made{n: size[0], k: size[1], bits: bits, strategy: strategy, asymmetric: asymmetric,
						scales: types[i%3], bias: i%2 == 0, group: 32,
						spaced: variant == "spaced", plain: variant == "int8", zeroBytes: variant == "zero bytes"}
					if i%4 == 1 {
						m.shapes, m.indexes = safetensors.I32, safetensors.I64
					}
					if variant == "reordered" {
						if strategy != "group" {
							continue
						}
						m.order = true
					}
					m.fill(rng)
					t.Run(fmt.Sprintf("%dx%d/%d bits/%s/asymmetric=%t/%s", m.n, m.k, bits, strategy, asymmetric, variant), func(t *testing.T) {
						findings, err := m.load(t, &l, &s)
						require.NoError(t, err)
						if !(m.spaced && m.k <= 8) {
							require.Empty(t, findings)
						}
						m.check(t, &l)
						if m.plain {
							require.Equal(t, quant.Int8Token, l.Recipe.Kind)
						} else {
							require.Equal(t, quant.Exact, l.Recipe.Kind)
						}
					})
				}
			}
		}
	}
}

func TestModule(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	a := (&made{name: "model.layers.10.up", n: 8, k: 96, bits: 4, strategy: "group", group: 32, asymmetric: true, order: true, bias: true}).fill(rng)
	b := (&made{name: "model.layers.2.up", n: 8, k: 96, bits: 4, strategy: "group", group: 32, asymmetric: true, order: true, shapes: safetensors.I32}).fill(rng)
	f, err := Open([]byte(a.config()), source(t, a, b))
	require.NoError(t, err)
	require.Equal(t, "compressed-tensors", f.Name())
	require.Empty(t, f.Refused())
	// Natural order; 96 features at 4 bits are 12 words, 8 zero points one word.
	bytes := int64(8*12*4 + 8*3*2 + 3*4 + 96*4)
	want := module.Module{Name: b.name, Format: "compressed-tensors", Detail: "pack-quantized", N: 8, K: 96, Bits: 4, GroupSize: 32,
		ActOrder: true, Scales: dtype.F16, Recipe: quant.Recipe{Kind: quant.Exact}, Bytes: bytes + 8, Quantized: true}
	require.Equal(t, want, f.Modules()[0])
	want.Name, want.Bias, want.Bytes = a.name, true, bytes+16+8*2
	require.Equal(t, want, f.Modules()[1])

	c := (&made{n: 8, k: 32, bits: 8, strategy: "group", group: 32, plain: true}).fill(rng)
	f, err = Open([]byte(configOf("naive-quantized", c.weightsConfig(), dynamicToken)), source(t, c))
	require.NoError(t, err)
	got := f.Modules()[0]
	require.Equal(t, "naive-quantized", got.Detail)
	require.Equal(t, -1, got.GroupSize, "one group of 32 features spans K")
	require.True(t, got.Symmetric)
	require.Equal(t, quant.Int8Token, got.Recipe.Kind)

	_, err = f.Load(context.Background(), &quant.Linear{}, "model.norm", nil)
	require.ErrorIs(t, err, quant.ErrUnsupported)
	require.Contains(t, err.Error(), "model.norm")
}

// A group index that upstream allocated and never set, one that is trivial,
// and one with groups that do not come in order.
func TestGroupIndex(t *testing.T) {
	m := (&made{n: 4, k: 64, bits: 4, strategy: "group", group: 32, order: true}).fill(rand.New(rand.NewPCG(7, 8)))
	var l quant.Linear
	load := func(index ...int) error {
		for k := range m.index {
			m.index[k] = index[k%len(index)]
		}
		m.pack()
		_, err := m.load(t, &l, nil)
		return err
	}
	require.NoError(t, load(-1))
	require.Equal(t, quant.Uniform, l.Weight.Groups().Kind())
	require.Equal(t, 1, l.Weight.Groups().Of(32))

	require.NoError(t, load(1, 0))
	require.Equal(t, quant.ActOrder, l.Weight.Groups().Kind())
	m.check(t, &l)

	for k := range m.index {
		m.index[k] = k / 32
	}
	m.pack()
	_, err := m.load(t, &l, nil)
	require.NoError(t, err)
	require.Equal(t, quant.Uniform, l.Weight.Groups().Kind())

	for _, bad := range [][]int{{0, 2}, {0, -2}, {0, -1}, {-1, 0}, {math.MinInt32}, {math.MaxInt32}} {
		err := load(bad...)
		require.ErrorIs(t, err, quant.ErrFormat, "%v", bad)
		require.Contains(t, err.Error(), m.name+".weight_g_idx: element ")
		require.Contains(t, err.Error(), "0 to 1")
	}
	m.indexes = safetensors.I64
	require.ErrorIs(t, load(1<<32), quant.ErrFormat, "an index that is 0 in 32 bits")
	copy(m.index, make([]int, 64))
	for k := range m.index {
		m.index[k] = 1
	}
	m.index[0] = -1
	m.pack()
	_, err = m.load(t, &l, nil)
	require.ErrorIs(t, err, quant.ErrFormat)
}

// Rows so short that both layouts need as many words.
func TestShortRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, c := range []struct{ bits, n, k int }{{3, 11, 11}, {3, 64, 60}, {5, 20, 20}, {6, 30, 16}, {7, 6, 9}, {3, 400, 12}, {3, 12, 400}, {3, 4, 12}, {3, 12, 4}} {
		for _, spaced := range []bool{false, true} {
			for _, asymmetric := range []bool{false, true} {
				m := (&made{n: c.n, k: c.k, bits: c.bits, strategy: "group", group: 8, spaced: spaced, asymmetric: asymmetric}).fill(rng)
				t.Run(fmt.Sprintf("%+v spaced=%t asymmetric=%t", c, spaced, asymmetric), func(t *testing.T) {
					var l quant.Linear
					findings, err := m.load(t, &l, nil)
					require.NoError(t, err)
					require.Empty(t, findings)
					m.check(t, &l)
				})
			}
		}
	}

	m := (&made{n: 2, k: 12, bits: 3, strategy: "channel"}).fill(rng)
	set := func(words ...uint32) { m.put("weight_packed", safetensors.I32, wordBytes(words), 2, 2) }
	var l quant.Linear
	set(0x11111111, 0, 0x00000001, 1)
	findings, err := m.load(t, &l, nil)
	require.NoError(t, err)
	require.Len(t, findings, 1, "both layouts fit")
	require.Equal(t, m.name+".weight_packed", findings[0].Tensor)
	require.Contains(t, findings[0].Text, "dense")
	require.Equal(t, 4, l.Weight.Code(1, 11)<<2|l.Weight.Code(1, 10), "read as dense: code 10 straddles, its upper bit is the second word's first")

	set(0xC0000000, 0x10, 0, 0)
	_, err = m.load(t, &l, nil)
	require.ErrorIs(t, err, quant.ErrFormat)
	require.Contains(t, err.Error(), "padding")
}

func TestNumbersThatAreRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for name, c := range map[string]struct {
		m    made
		harm func(m *made)
		want []string
	}{
		"infinite scale":          {made{bits: 4, strategy: "group"}, func(m *made) { m.scale[5] = float32(math.Inf(1)) }, []string{"weight_scale", "row 1, group 2", "+Inf"}},
		"NaN bf16 scale":          {made{bits: 4, strategy: "channel", scales: safetensors.BF16}, func(m *made) { m.scale[2] = float32(math.NaN()) }, []string{"weight_scale", "row 2, group 0", "NaN"}},
		"NaN f32 scale":           {made{bits: 8, strategy: "tensor", plain: true, scales: safetensors.F32}, func(m *made) { m.scale[0] = float32(math.NaN()) }, []string{"weight_scale", "row 0, group 0"}},
		"value below 4 bits":      {made{bits: 4, strategy: "group", plain: true}, func(m *made) { m.q[3*96+17] = -9 }, []string{".weight: element [3 17] is -9", "-8 to 7"}},
		"value above 4 bits":      {made{bits: 4, strategy: "group", plain: true}, func(m *made) { m.q[95] = 8 }, []string{".weight: element [0 95] is 8"}},
		"value above 6 bits":      {made{bits: 6, strategy: "group", plain: true}, func(m *made) { m.q[96] = 127 }, []string{".weight: element [1 0] is 127", "-32 to 31"}},
		"zero point above 4 bits": {made{bits: 4, strategy: "group", plain: true, asymmetric: true}, func(m *made) { m.zero[4] = 8 }, []string{"weight_zero_point: zero point of row 1, group 1 is 8", "-8 to 7"}},
		"zero point below 4 bits": {made{bits: 4, strategy: "tensor", plain: true, asymmetric: true}, func(m *made) { m.zero[0] = -128 }, []string{"row 0, group 0 is -128"}},
		"infinite bias":           {made{bits: 4, strategy: "group", bias: true}, func(m *made) { m.biases[1] = float32(math.Inf(-1)) }, []string{".bias: element 1 is -Inf"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := c.m
			m.n, m.k, m.group = 4, 96, 32
			m.fill(rng)
			c.harm(&m)
			m.pack()
			_, err := m.load(t, &quant.Linear{}, nil)
			require.ErrorIs(t, err, quant.ErrFormat)
			for _, w := range c.want {
				require.Contains(t, err.Error(), w)
			}
		})
	}
}

// A symmetric scheme may store zero points, as early writers did: of zero.
func TestZeroPointsOfASymmetricScheme(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for _, plain := range []bool{false, true} {
		m := (&made{n: 9, k: 64, bits: 4, strategy: "group", group: 32, plain: plain, asymmetric: true}).fill(rng)
		kept := m.zero
		m.zero = make([]int, len(kept))
		m.pack()
		symmetric := *m
		symmetric.asymmetric = false
		load := func(l *quant.Linear) error {
			f, err := Open([]byte(symmetric.config()), source(t, &symmetric))
			require.NoError(t, err)
			_, err = f.Load(context.Background(), l, m.name, nil)
			return err
		}
		var l quant.Linear
		require.NoError(t, load(&l))
		symmetric.check(t, &l)

		m.zero[3] = 1
		m.pack()
		symmetric.tensors = m.tensors
		err := load(&l)
		require.ErrorIs(t, err, quant.ErrFormat)
		require.Contains(t, err.Error(), "row 1, group 1 is 1")
	}
}

func TestLoadStops(t *testing.T) {
	m := (&made{n: 4, k: 64, bits: 4, strategy: "channel"}).fill(rand.New(rand.NewPCG(15, 16)))
	f, err := Open([]byte(m.config()), source(t, m))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = f.Load(ctx, &quant.Linear{}, m.name, nil)
	require.ErrorIs(t, err, context.Canceled)
}

// A file that is cut after it was opened: each read of it may be the one that
// fails, and the error names the tensor.
func TestLoadOfAFileThatShrinks(t *testing.T) {
	for _, plain := range []bool{false, true} {
		m := (&made{n: 12, k: 64, bits: 3, strategy: "group", group: 32, plain: plain, asymmetric: true, order: true, bias: true}).fill(rand.New(rand.NewPCG(17, 18)))
		src := source(t, m)
		f, err := Open([]byte(m.config()), src)
		require.NoError(t, err)
		for _, d := range m.tensors {
			if d.Name == m.name+".weight_shape" {
				_, err := Open([]byte(m.config()), broken{src, d.Name})
				require.ErrorIs(t, err, quant.ErrFormat)
				continue
			}
			f.(*reader).src = broken{src, d.Name}
			_, err := f.Load(context.Background(), &quant.Linear{}, m.name, nil)
			require.ErrorIs(t, err, quant.ErrFormat, d.Name)
			require.Contains(t, err.Error(), d.Name)
		}
	}
	// Where both layouts fit, the weight is read twice.
	m := (&made{n: 4, k: 12, bits: 3, strategy: "channel"}).fill(rand.New(rand.NewPCG(19, 20)))
	f, err := Open([]byte(m.config()), source(t, m))
	require.NoError(t, err)
	f.(*reader).src = broken{f.(*reader).src, m.name + ".weight_packed"}
	_, err = f.Load(context.Background(), &quant.Linear{}, m.name, nil)
	require.ErrorIs(t, err, quant.ErrFormat)
}

// broken fails to read one tensor.
type broken struct {
	safetensors.Source
	name string
}

func (b broken) fail() error {
	return quant.Errorf(safetensors.MetadataIncompleteBuffer, b.name, "file", "", "cut short")
}

func (b broken) Read(dst []byte, name string) ([]byte, error) {
	if name == b.name {
		return dst, b.fail()
	}
	return b.Source.Read(dst, name)
}

func (b broken) ReadAt(dst []byte, name string, off int64) error {
	if name == b.name {
		return b.fail()
	}
	return b.Source.ReadAt(dst, name, off)
}

func TestConcurrentLoads(t *testing.T) {
	m := (&made{n: 64, k: 320, bits: 3, strategy: "group", group: 32, asymmetric: true, order: true}).fill(rand.New(rand.NewPCG(21, 22)))
	f, err := Open([]byte(m.config()), source(t, m))
	require.NoError(t, err)
	layers := make([]quant.Linear, 4)
	errs := make([]error, len(layers))
	var wg sync.WaitGroup
	for i := range layers {
		wg.Go(func() {
			for range 3 {
				_, errs[i] = f.Load(context.Background(), &layers[i], m.name, &module.Scratch{})
			}
		})
	}
	wg.Wait()
	for i := range layers {
		require.NoError(t, errs[i])
		m.check(t, &layers[i])
	}
}

// One layer after another of the same size needs no new memory but for small
// things.
func TestLoadReusesMemory(t *testing.T) {
	m := (&made{n: 512, k: 1024, bits: 4, strategy: "group", group: 128, asymmetric: true, bias: true}).fill(rand.New(rand.NewPCG(23, 24)))
	f, err := Open([]byte(m.config()), source(t, m))
	require.NoError(t, err)
	var l quant.Linear
	var s module.Scratch
	once := func() {
		_, err := f.Load(context.Background(), &l, m.name, &s)
		require.NoError(t, err)
	}
	once()
	require.LessOrEqual(t, testing.AllocsPerRun(5, once), 8.0)
}

func BenchmarkLoad(b *testing.B) {
	const n, k = 4096, 14336
	for _, c := range []struct {
		name string
		m    made
	}{
		{"w4g128-sym", made{bits: 4, strategy: "group", group: 128}},
		{"w4g128-asym", made{bits: 4, strategy: "group", group: 128, asymmetric: true}},
		{"w3g128-sym", made{bits: 3, strategy: "group", group: 128}},
		{"w3g128-asym", made{bits: 3, strategy: "group", group: 128, asymmetric: true}},
		{"w3g128-sym-spaced", made{bits: 3, strategy: "group", group: 128, spaced: true}},
		{"w4g128-g_idx", made{bits: 4, strategy: "group", group: 128, order: true}},
		{"int8-w8", made{bits: 8, strategy: "channel", plain: true}},
		{"int8-w4", made{bits: 4, strategy: "channel", plain: true}},
		{"int8-w6", made{bits: 6, strategy: "channel", plain: true}},
	} {
		m := c.m
		m.n, m.k = 32, k // the rest repeats these rows
		m.fill(rand.New(rand.NewPCG(1, 2)))
		m.n = n
		for _, suffix := range []string{"weight_packed", "weight", "weight_scale", "weight_zero_point"} {
			if d, ok := m.tensors[suffix]; ok {
				for range 7 { // 32 rows to 4096
					d.Bytes = append(d.Bytes, d.Bytes...)
					d.Shape[0] *= 2
				}
				m.tensors[suffix] = d
			}
		}
		if !m.plain {
			m.put("weight_shape", safetensors.I32, wordBytes([]uint32{n, k}), 2)
		}
		b.Run(c.name, func(b *testing.B) {
			f, err := Open([]byte(m.config()), source(b, &m))
			require.NoError(b, err)
			var l quant.Linear
			var s module.Scratch
			b.SetBytes(f.Modules()[0].Bytes)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Load(context.Background(), &l, m.name, &s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
