package gptq

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// The words of formats that are written down elsewhere: if the packer of
// these tests had the reader's mistakes, these would show it.
func TestWorkedExamples(t *testing.T) {
	codes := func(n int, f func(i int) int) []int {
		c := make([]int, n)
		for i := range c {
			c[i] = f(i)
		}
		return c
	}
	for _, c := range []struct {
		bits  int
		codes []int
		words []uint32
	}{
		{4, codes(8, func(i int) int { return i }), []uint32{0x76543210}},
		{2, codes(16, func(i int) int { return i % 4 }), []uint32{0xE4E4E4E4}},
		{8, []int{0, 1, 127, 255}, []uint32{0xFF7F0100}},
		{3, codes(32, func(i int) int { return i % 8 }), []uint32{0x88FAC688, 0xC688FAC6, 0xFAC688FA}},
		{3, codes(32, func(int) int { return 1 }), []uint32{0x49249249, 0x92492492, 0x24924924}},
	} {
		t.Run(fmt.Sprintf("%d bits %x", c.bits, c.words), func(t *testing.T) {
			require.Equal(t, c.words, stream(c.codes, c.bits))
			const n = 32
			k := len(c.codes)
			src := tensors{}
			var q []uint32
			for _, w := range c.words {
				q = append(q, slices.Repeat([]uint32{w}, n)...)
			}
			src.ints("m.qweight", q, int64(len(c.words)), n)
			src.ints("m.qzeros", slices.Repeat(c.words, n/k), 1, int64(n*c.bits/32))
			src.floats("m.scales", dtype.F32, slices.Repeat([]float32{1}, n), 1, n)
			l, _ := loadOne(t, open(t, settingsJSON(c.bits, -1, `,"sym":false,"checkpoint_format":"gptq_v2"`), src), "m")
			for i := range n {
				for j, u := range c.codes {
					require.Equal(t, u, l.Weight.Code(i, j))
				}
				require.Equal(t, c.codes[i%k], l.Weight.Zero(i, 0), "zero points follow the same rule")
			}
		})
	}
}

// All words zero and a scale of 1 read as -1 in version 1 and as 0 in version 2.
func TestVersionsInOneLine(t *testing.T) {
	src := tensors{}
	src.ints("m.qweight", make([]uint32, 8), 1, 8)
	src.ints("m.qzeros", []uint32{0}, 1, 1)
	src.floats("m.scales", dtype.F16, slices.Repeat([]float32{1}, 8), 1, 8)
	for format, want := range map[string]float32{`"gptq"`: -1, `"gptq_v2"`: 0, `null`: -1} {
		l, found := loadOne(t, open(t, settingsJSON(4, 8, `,"sym":false,"checkpoint_format":`+format), src), "m")
		require.Equal(t, want, l.Weight.Value(3, 3), format)
		require.Empty(t, found)
	}
}

func TestRoundTrip(t *testing.T) {
	seed := uint64(0)
	for _, bits := range []int{2, 3, 4, 8} {
		for _, shape := range [][2]int{{32, 32}, {64, 96}, {160, 544}, {48 * 2, 1024}} {
			for _, size := range []int{-1, 32, 80, 4096} {
				for _, sym := range []bool{true, false} {
					for version := 1; version <= 2; version++ {
						seed++
						l := random(seed, shape[0], shape[1], bits, size, sym)
						l.scales = []dtype.DType{dtype.F16, dtype.BF16, dtype.F32}[seed%3]
						if l.scales == dtype.BF16 {
							for _, s := range l.s {
								dtype.Decode(dtype.F32, s, bf16Exact(s))
							}
						}
						if seed%2 == 0 {
							l.bias = slices.Repeat([]float32{-0.5}, l.n)
						}
						src := tensors{}
						l.write(src, "a.b", version-2)
						f := open(t, settingsJSON(bits, size, fmt.Sprintf(`,"sym":%t,"checkpoint_format":%q`, sym, []string{"gptq", "gptq_v2"}[version-1])), src)
						got, found := loadOne(t, f, "a.b")
						l.check(t, got)
						require.Empty(t, found)
						require.Equal(t, sym, got.Weight.Symmetric())
						require.Equal(t, quant.Recipe{}, got.Recipe)
						require.Equal(t, dtype.Invalid, got.DType)
						kind := quant.Uniform
						if size < 0 || size >= l.k {
							kind = quant.PerChannel
						}
						require.Equal(t, kind, got.Weight.Groups().Kind())
					}
				}
			}
		}
	}
}

func bf16Exact(s []float32) []byte {
	b := make([]byte, 4*len(s))
	for i, v := range s {
		s[i] = dtype.BF16.Round(v)
	}
	dtype.Encode(dtype.F32, b, s)
	return b
}

func TestGroupIndex(t *testing.T) {
	const n, k, size = 32, 96, 32
	shuffled := make([]int, k)
	ragged := make([]int, k)
	plain := make([]int, k)
	for i := range k {
		shuffled[i] = i * 5 % 3
		ragged[i] = min(i/10, 2)
		plain[i] = i / size
	}
	for _, c := range []struct {
		name    string
		index   []int
		extra   string
		kind    quant.GroupKind
		finding string
	}{
		{"act-order", shuffled, `,"desc_act":true`, quant.ActOrder, ""},
		{"act-order with static groups", shuffled, `,"desc_act":true,"static_groups":true`, quant.ActOrder, ""},
		{"not said", shuffled, ``, quant.ActOrder, ""},
		{"denied", shuffled, `,"desc_act":false`, quant.ActOrder, "desc_act is false but g_idx is not k/32"},
		{"contiguous", ragged, `,"desc_act":true`, quant.Ragged, ""},
		{"trivial", plain, `,"desc_act":true`, quant.Uniform, ""},
		{"trivial, denied", plain, `,"desc_act":false`, quant.Uniform, ""},
		{"missing", nil, `,"desc_act":false`, quant.Uniform, ""},
		{"missing although promised", nil, `,"desc_act":true`, quant.Uniform, "no g_idx; groups read as k/32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := random(7, n, k, 4, size, false)
			l.index = c.index
			src := tensors{}
			l.write(src, "m", -1)
			f := open(t, settingsJSON(4, size, `,"sym":false`+c.extra), src)
			got, found := loadOne(t, f, "m")
			l.check(t, got)
			require.Equal(t, c.kind, got.Weight.Groups().Kind())
			if c.finding == "" {
				require.Empty(t, found)
			} else {
				require.Len(t, found, 1)
				require.Contains(t, found[0].Text, c.finding)
				require.Equal(t, "m.g_idx", found[0].Tensor)
			}
		})
	}
	t.Run("one group", func(t *testing.T) {
		l := random(8, n, k, 4, -1, true)
		l.index = make([]int, k)
		src := tensors{}
		l.write(src, "m", -1)
		f := open(t, settingsJSON(4, -1, `,"sym":true,"desc_act":true`), src)
		require.False(t, f.Modules()[0].ActOrder)
		got, found := loadOne(t, f, "m")
		l.check(t, got)
		require.Empty(t, found)
		require.Equal(t, quant.PerChannel, got.Weight.Groups().Kind())
	})
}

// The rules for a label that contradicts the data: a symmetric model is read
// by its data, any other by its label.
func TestLabels(t *testing.T) {
	for _, bits := range []int{2, 3, 4, 8} {
		middle := 1 << (bits - 1)
		for _, c := range []struct {
			name    string
			label   int
			sym     bool
			field   int // stored everywhere
			zero    int
			finding string
		}{
			{"v1, right", 1, true, middle - 1, middle, ""},
			{"v2, right", 2, true, middle, middle, ""},
			{"v2 labelled v1", 1, true, middle, middle, "labelled v1"},
			{"v1 labelled v2", 2, true, middle - 1, middle, "labelled v2"},
			{"asymmetric, all in the middle", 1, false, middle - 1, middle, ""},
			{"asymmetric label is trusted", 2, false, middle - 1, middle - 1, "read as labelled"},
			{"asymmetric label is trusted", 1, false, middle, (middle + 1) % (1 << bits), "read as labelled"},
			{"not symmetric at all", 1, true, 0, 1, "says symmetric"},
		} {
			t.Run(fmt.Sprintf("%d bits, %s", bits, c.name), func(t *testing.T) {
				l := random(3, 32, 64, bits, 32, true)
				for _, z := range l.zeros {
					for i := range z {
						z[i] = c.field
					}
				}
				src := tensors{}
				l.write(src, "m", 0)
				for _, z := range l.zeros {
					for i := range z {
						z[i] = c.zero
					}
				}
				f := open(t, settingsJSON(bits, 32, fmt.Sprintf(`,"sym":%t,"checkpoint_format":%q`, c.sym, []string{"gptq", "gptq_v2"}[c.label-1])), src)
				got, found := loadOne(t, f, "m")
				l.check(t, got)
				require.Equal(t, c.zero == middle, got.Weight.Symmetric())
				if c.finding == "" {
					require.Empty(t, found)
					return
				}
				require.Len(t, found, 1)
				require.Contains(t, found[0].Text, c.finding)
				require.Equal(t, module.Finding{Module: "m", Tensor: "m.qzeros", Text: found[0].Text}, found[0])
			})
		}
	}
	t.Run("one zero point off is not symmetric", func(t *testing.T) {
		l := random(3, 32, 64, 4, 32, true)
		l.zeros[1][31] = 9
		src := tensors{}
		l.write(src, "m", -1)
		got, found := loadOne(t, open(t, settingsJSON(4, 32, `,"sym":true`), src), "m")
		l.check(t, got)
		require.Len(t, found, 1)
	})
}

func TestUnmaskedZeros(t *testing.T) {
	l := random(5, 32, 32, 4, 32, false)
	for i := range l.zeros[0] {
		l.zeros[0][i] = i % 16 // a zero of 0 is stored as 15
	}
	src := tensors{}
	l.write(src, "m", -1)
	config := settingsJSON(4, 32, `,"sym":false`)
	got, _ := loadOne(t, open(t, config, src), "m")
	l.check(t, got)
	l.zeros[0][0], l.zeros[0][16] = 16, 16
	got, _ = loadOne(t, open(t, config, src, UnmaskedZeros), "m")
	l.check(t, got)
}

// smear stores zero points as AutoGPTQ does: zero-1 shifted into a 32-bit word
// without being cut to the bits.
func smear(zeros []int, bits int) []uint32 {
	words := make([]uint32, len(zeros)*bits/32)
	for i, z := range zeros {
		v, at := uint32(z-1), i*bits
		words[at/32] |= v << (at % 32)
		if at%32+bits > 32 {
			words[at/32+1] |= v & (1<<bits - 1) >> (32 - at%32)
		}
	}
	return words
}

func TestSmearedZeroWords(t *testing.T) {
	for _, bits := range []int{2, 3, 4, 8} {
		for _, c := range []struct {
			name   string
			zeros  func(i int) int
			smears bool
			found  bool
		}{
			{"a zero of 0 smears", func(i int) int { return map[bool]int{true: 0, false: 1}[i == 1] }, true, true},
			{"a packer that cuts", func(i int) int { return map[bool]int{true: 0, false: 1}[i == 1] }, false, false},
			{"no zero of 0", func(i int) int { return 1 + i%2 }, true, false},
			{"cannot be told", func(int) int { return 0 }, false, true},
		} {
			t.Run(fmt.Sprintf("%d bits, %s", bits, c.name), func(t *testing.T) {
				l := random(9, 64, 32, bits, 32, false)
				for i := range l.zeros[0] {
					l.zeros[0][i] = c.zeros(i)
				}
				src := tensors{}
				l.write(src, "m", -1)
				if c.smears {
					src.ints("m.qzeros", smear(l.zeros[0], bits), 1, int64(64*bits/32))
				}
				_, found := loadOne(t, open(t, settingsJSON(bits, 32, `,"sym":false`), src), "m")
				if !c.found {
					require.Empty(t, found)
					return
				}
				require.Len(t, found, 1)
				require.Contains(t, found[0].Text, "AutoGPTQ packer fault")
				if c.smears {
					require.Contains(t, found[0].Text, "words that end in nothing but ones: 1, the first from column 1 of group 0")
				}
				_, found = loadOne(t, open(t, settingsJSON(bits, 32, `,"sym":false,"format":"gptq_v2"`), src), "m")
				require.Empty(t, found, "version 2 stores zero points as they are")
			})
		}
	}
}

// cancelling cancels its context when codes are read for the second time.
type cancelling struct {
	safetensors.Source
	cancel context.CancelFunc
	reads  *int
}

func (c cancelling) ReadAt(dst []byte, name string, off int64) error {
	if *c.reads++; *c.reads == 2 {
		c.cancel()
	}
	return c.Source.ReadAt(dst, name, off)
}

// A layer of several strips is right across their borders, and can be stopped
// between them.
func TestStrips(t *testing.T) {
	const n = 8224 // 31 rows of words in a strip before rounding to the tile
	l := random(11, n, 512, 4, 128, true)
	src := tensors{}
	l.write(src, "m", -1)
	got, _ := loadOne(t, open(t, settingsJSON(4, 128, `,"sym":true`), src), "m")
	for row := 0; row < n; row += 97 {
		for k, u := range l.codes[row] {
			require.Equal(t, u, got.Weight.Code(row, k))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	reads := 0
	f := open(t, settingsJSON(4, 128, `,"sym":true`), cancelling{src, cancel, &reads})
	_, err := f.Load(ctx, new(quant.Linear), "m", nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, reads)
}

// Loading one layer after another into one Linear reuses its memory.
func TestLoadReusesMemory(t *testing.T) {
	src := tensors{}
	random(1, 256, 1024, 4, 64, false).write(src, "a", -1)
	random(2, 128, 512, 4, 64, false).write(src, "b", -1)
	f := open(t, settingsJSON(4, 64, `,"sym":false`), src)
	var dst quant.Linear
	var s module.Scratch
	load := func() {
		for _, name := range []string{"a", "b"} {
			if _, err := f.Load(t.Context(), &dst, name, &s); err != nil {
				t.Fatal(err)
			}
		}
	}
	load()
	// The name of the bias to look for is what remains.
	require.LessOrEqual(t, testing.AllocsPerRun(10, load), 10.0)
}

func TestConcurrentLoads(t *testing.T) {
	src := tensors{}
	var layers [4]*truth
	for i := range layers {
		layers[i] = random(uint64(i), 64, 128, 4, 32, i%2 == 0)
		layers[i].write(src, fmt.Sprint("m.", i), -1)
	}
	f := open(t, settingsJSON(4, 32, `,"sym":false`), src)
	var loaded [len(layers)]quant.Linear
	var errs [len(layers)]error
	var wg sync.WaitGroup
	for i := range layers {
		wg.Go(func() {
			var s module.Scratch
			for j := range 8 {
				name := fmt.Sprint("m.", (i+j+1)%len(layers)) // ends at i
				if _, errs[i] = f.Load(t.Context(), &loaded[i], name, &s); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for i, l := range layers {
		require.NoError(t, errs[i])
		l.check(t, &loaded[i])
	}
}
