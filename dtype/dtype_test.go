package dtype

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for name, want := range map[string]DType{
		"float32": F32, "fp32": F32, "f32": F32, "float": F32, "torch.float32": F32, "F32": F32,
		"float16": F16, "fp16": F16, "f16": F16, "half": F16, "torch.float16": F16, "Torch.Half": F16,
		"bfloat16": BF16, "bf16": BF16, "BF16": BF16, "torch.bfloat16": BF16,
	} {
		got, err := Parse(name)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
	for _, name := range []string{"", "torch.", "int8", "float64", "float16 ", "torch.torch.half", "flöat16", "\xff"} {
		got, err := Parse(name)
		require.ErrorContains(t, err, "want float32, float16 or bfloat16", "%q", name)
		require.Equal(t, Invalid, got)
	}
}

func TestNamesRoundTrip(t *testing.T) {
	for _, d := range []DType{F32, F16, BF16} {
		got, err := Parse(d.String())
		require.NoError(t, err)
		require.Equal(t, d, got)
	}
	require.Equal(t, "dtype(0)", Invalid.String())
	text, err := json.Marshal(map[string]DType{"type": BF16})
	require.NoError(t, err)
	require.JSONEq(t, `{"type": "bfloat16"}`, string(text))
}

// The properties of a type follow from its own conversions.
func TestProperties(t *testing.T) {
	for _, c := range []struct {
		d    DType
		size int
	}{{F32, 4}, {F16, 2}, {BF16, 2}} {
		d := c.d
		require.True(t, d.Valid())
		require.Equal(t, c.size, d.Size())
		require.Equal(t, d.MaxFinite(), d.RoundF64(d.MaxFinite()))
		require.True(t, math.IsInf(d.RoundF64(d.MaxFinite()*(1+d.Epsilon()/2)), 1))
		require.Equal(t, 1+d.Epsilon(), d.RoundF64(1+d.Epsilon()))
		require.Equal(t, 1.0, d.RoundF64(1+d.Epsilon()/2))
		require.Equal(t, d.SmallestNormal(), d.RoundF64(d.SmallestNormal()))
		step := d.SmallestNormal() * d.Epsilon() // of the subnormals
		require.Equal(t, d.SmallestNormal()-step, d.RoundF64(d.SmallestNormal()-step))
		require.Equal(t, step, d.RoundF64(step))
		require.Equal(t, 0.0, d.RoundF64(step/2))
	}
	for _, d := range []DType{Invalid, BF16 + 1} {
		require.False(t, d.Valid())
		require.Zero(t, d.Size())
		require.Zero(t, d.MaxFinite())
		require.Zero(t, d.SmallestNormal())
		require.Zero(t, d.Epsilon())
	}
}
