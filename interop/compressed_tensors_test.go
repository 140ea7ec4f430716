//go:build interop

package interop_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Models packed by compressed-tensors' own compressors.
func TestReadTheirModels(t *testing.T) {
	for _, path := range glob(t, "ct/*/expected.safetensors") {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			m, err := checkpoint.Open(t.Context(), dir, checkpoint.Options{})
			require.NoError(t, err)
			defer m.Close()
			require.Empty(t, m.Refused())
			require.Empty(t, m.Warnings())
			require.Len(t, m.Modules(), 1)
			var l quant.Linear
			findings, err := m.Load(t.Context(), &l, m.Modules()[0].Name)
			require.NoError(t, err)
			require.Empty(t, findings)
			require.NoError(t, l.Check())

			want := quant.Exact
			if strings.Contains(dir, "a8") {
				want = quant.Int8Token
			}
			require.Equal(t, want, l.Recipe.Kind)
			f := open(t, path)
			sameCodes(t, f, &l.Weight)
			n, groups := f.shape("scales")
			zeros := f.bytes("zeros") // I32, all below 256
			for row := range n {
				for g := range groups {
					require.Equal(t, int(zeros[4*(row*groups+g)]), l.Weight.Zero(row, g), "zero [%d, %d]", row, g)
				}
			}
			bias, _ := f.floats("bias")
			require.Equal(t, bias, l.Bias)
		})
	}
}

// sameCodes compares codes and scales bit for bit.
func sameCodes(t *testing.T, f file, w *quant.Weight) {
	n, k := f.shape("codes")
	require.Equal(t, []int{n, k}, []int{w.N(), w.K()})
	codes := make([]byte, n*k)
	for row := range n {
		w.UnpackRow(codes[row*k:(row+1)*k], row)
	}
	require.Equal(t, f.bytes("codes"), codes)
	scales, _ := f.floats("scales")
	require.Len(t, scales, n*w.Groups().Count())
	for i, s := range scales {
		row, g := i/w.Groups().Count(), i%w.Groups().Count()
		require.Equal(t, math.Float32bits(s), math.Float32bits(w.Scale(row, g)), "scale [%d, %d]", row, g)
	}
}

// Dynamic per-token activations, in three types.
func TestTokenActivations(t *testing.T) {
	recipe := quant.Recipe{Kind: quant.Int8Token}
	for _, path := range glob(t, "token-*.safetensors") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f := open(t, path)
			m, k := f.shape("x")
			x, xt := f.floats("x")
			wantCodes := f.int8s("codes")
			wantScales, _ := f.floats("scales")
			groups := quant.OneGroup(k)
			act := recipe.ActGroups(&groups)
			codes, scale := make([]int8, k), make([]float32, 1)
			for row := range m {
				zero := recipe.QuantizeRow(xt, &act, codes, scale, x[row*k:(row+1)*k])
				require.Zero(t, zero)
				require.Equal(t, math.Float32bits(wantScales[row]), math.Float32bits(scale[0]), "scale of row %d: %v, want %v", row, scale[0], wantScales[row])
				require.Equal(t, wantCodes[row*k:(row+1)*k], codes, "codes of row %d", row)
			}
		})
	}
}

// Round-to-nearest on load, in three types, and its packed form.
func TestRTN(t *testing.T) {
	for _, path := range glob(t, "rtn-*.safetensors") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f := open(t, path)
			n, k := f.shape("w")
			_, xt := f.floats("w")
			_, groups := f.shape("scales")
			r := quant.RTN{Bits: 8, Group: k / groups}
			if strings.Contains(path, "-w4") {
				r.Bits = 4
			}
			if strings.HasSuffix(path, "g-1.safetensors") {
				r.Group = -1
			}
			var w quant.Weight
			require.NoError(t, r.Quantize(&w, "w", xt, n, k, f.bytes("w")))
			require.Equal(t, xt, w.ScaleType())
			sameCodes(t, f, &w)
			packed, err := quant.PackRTN(&w)
			require.NoError(t, err)
			require.Equal(t, f.bytes("packed"), packed)

			var back quant.Weight
			scales := make([]byte, 0, n*groups*xt.Size())
			for row := range n {
				scales = append(scales, w.ScaleRow(row)...)
			}
			require.NoError(t, quant.UnpackRTN(&back, xt, r.Bits, r.Group, n, k, packed, scales))
			sameCodes(t, f, &back)
		})
	}
}

// weightOf makes a weight from codes and float32 scales.
func weightOf(t *testing.T, f file, block int) quant.Weight {
	n, k := f.shape("codes")
	groups, err := quant.UniformGroups(k, block)
	require.NoError(t, err)
	var w quant.Weight
	require.NoError(t, w.Reset(quant.Form{N: n, K: k, Bits: 4, Scales: dtype.F32, Groups: groups}))
	codes := f.bytes("codes")
	scales, _ := f.floats("scales")
	for row := range n {
		w.PackRow(row, codes[row*k:(row+1)*k])
		for g := range groups.Count() {
			w.SetScale(row, g, scales[row*groups.Count()+g])
		}
	}
	return w
}
