package bench

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

func TestParseShapes(t *testing.T) {
	shapes, models, err := ParseShapes([]string{"4096x4096", "llama-8b", "64x32"})
	require.NoError(t, err)
	require.Equal(t, []Shape{{4096, 4096}, {4096, 1024}, {4096, 14336}, {14336, 4096}, {64, 32}}, shapes)
	require.Len(t, models, 1)
	require.Equal(t, []Shape{{4096, 4096}, {4096, 1024}, {4096, 1024}}, models[0].Sets()[0].Layers)
	for _, bad := range []string{"", "x", "4096", "0x4", "4x0", "4x4x4", "-1x4", "4x1073741825", "gpt-9"} {
		_, _, err := ParseShapes([]string{bad})
		require.Error(t, err, bad)
	}
}

func TestBytes(t *testing.T) {
	s := Shape{100, 3}
	for _, c := range []struct {
		form Form
		want int64
	}{
		{Form{Bits: 4, Group: -1}, 150 + 3*2},
		{Form{Bits: 4, Group: 32}, 150 + 3*4*2}, // the last group is short
		{Form{Bits: 4, Group: 32, Zeros: true}, 150 + 3*4*2 + 3*4/2},
		{Form{Bits: 8, Group: 100, Zeros: true}, 300 + 3*2 + 3},
		{Form{Bits: 3, Group: -1}, 113 + 3*2},
		{Form{Bits: PlainBits, X: dtype.F16}, 600},
		{Form{Bits: PlainBits, X: dtype.F32}, 600},
	} {
		require.Equal(t, c.want, c.form.Bytes(s), "%+v", c.form)
	}
}

func TestLinearIsALayerOfItsForm(t *testing.T) {
	for _, f := range []Form{
		{Bits: 4, Group: 32, X: dtype.F32},
		{Bits: 8, Group: -1, Zeros: true, X: dtype.BF16, Recipe: quant.Recipe{Kind: quant.Int8Group}},
		{Bits: 3, Group: 7, ActOrder: true, Zeros: true, X: dtype.F16},
		{Bits: 5, Group: 40, X: dtype.F16},
		{Bits: PlainBits, Group: -1, X: dtype.F16},
		{Bits: PlainBits, Group: -1, X: dtype.F32},
	} {
		l, err := f.Linear(Shape{101, 5}, 1)
		require.NoError(t, err)
		require.NoError(t, l.Check())
		w := &l.Weight
		require.Equal(t, 101, w.K())
		require.Equal(t, 5, w.N())
		if plain, is := w.Plain(); is {
			require.Equal(t, f.Plain(), plain)
			continue
		}
		require.Equal(t, !f.Zeros, w.Symmetric())
		want := quant.Uniform
		switch {
		case f.ActOrder:
			want = quant.ActOrder
		case f.Group < 0:
			want = quant.PerChannel
		}
		require.Equal(t, want, w.Groups().Kind())
		for n := range w.N() {
			row := w.Row(n)
			for bit := w.K() * f.Bits; bit < 8*len(row); bit++ {
				require.Zero(t, row[bit/8]>>(bit%8)&1, "a bit beyond K")
			}
		}
		again, err := f.Linear(Shape{101, 5}, 1)
		require.NoError(t, err)
		require.Equal(t, w, &again.Weight)
	}
	_, err := Form{Bits: 1, Group: 32}.Linear(Shape{8, 8}, 1)
	require.Error(t, err)
}

func TestOnePerCore(t *testing.T) {
	root := fstest.MapFS{}
	for cpu, siblings := range map[string]string{"0": "0,4\n", "1": "1,5\n", "4": "0,4\n", "5": "1,5\n"} {
		root["sys/devices/system/cpu/cpu"+cpu+"/topology/thread_siblings_list"] = &fstest.MapFile{Data: []byte(siblings)}
	}
	require.Equal(t, []int{0, 1}, onePerCore(root, []int{0, 1, 4, 5}))
	require.Equal(t, []int{4, 5}, onePerCore(root, []int{4, 5}))
	require.Equal(t, []int{4, 7, 8}, onePerCore(root, []int{4, 0, 7, 8}), "what is not said is a core")
}

func TestLastLevelCache(t *testing.T) {
	root := fstest.MapFS{}
	for index, size := range map[string]string{"index0": "32K\n", "index2": "1024K\n", "index3": "32768K\n", "index4": "odd"} {
		root["sys/devices/system/cpu/cpu3/cache/"+index+"/size"] = &fstest.MapFile{Data: []byte(size)}
	}
	bytes, known := lastLevelCache(root, 3)
	require.True(t, known)
	require.Equal(t, 32<<20, bytes)
	_, known = lastLevelCache(root, 0)
	require.False(t, known)
}
