//go:build interop

package interop_test

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// PyTorch's _dyn_quant_matmul_4bit in float32, channel-wise and group-wise,
// against the CPU backend's kernel in plain Go, which adds in the same order: y
// bit for bit. The other kernels fuse products and sums.
func TestDynamic4Bit(t *testing.T) {
	dev, err := bitlane.Open(t.Context(), "cpu", backend.OpenOptions{})
	require.NoError(t, err)
	defer func() { require.NoError(t, dev.Close()) }()
	stream, err := dev.NewStream()
	require.NoError(t, err)
	defer stream.Close()
	recipe := quant.Recipe{Kind: quant.Int8TokenAsym}
	for _, path := range glob(t, "dyn-*.safetensors") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f := open(t, path)
			n, k := f.shape("codes")
			_, groups := f.shape("scales")
			l := quant.Linear{Name: "dyn", Weight: weightOf(t, f, k/groups)}
			m, _ := f.shape("x")
			layer, _, err := bitlane.NewLinear(t.Context(), dev, &l, backend.Request{Recipe: &recipe, X: dtype.F32, MaxRows: m},
				bitlane.ChooseOptions{Kernel: "cpu_wxg_a8_go"})
			require.NoError(t, err)
			defer func() { require.NoError(t, layer.Close()) }()

			x, y, ws := alloc(t, dev, 4*m*k), alloc(t, dev, 4*m*n), alloc(t, dev, layer.Workspace(m))
			require.NoError(t, stream.Upload(x, f.bytes("x")))
			require.NoError(t, layer.Apply(stream, backend.Dense(y, dtype.F32, m, n), backend.Dense(x, dtype.F32, m, k), ws))
			require.NoError(t, stream.Sync(t.Context()))
			got := make([]byte, 4*m*n)
			require.NoError(t, stream.Download(got, y))
			want := f.bytes("y")
			for i := range m * n {
				a, b := dtype.F32.At(got, i), dtype.F32.At(want, i)
				require.Equal(t, math.Float32bits(b), math.Float32bits(a), "y[%d, %d] is %v, want %v", i/n, i%n, a, b)
			}
		})
	}
}

func alloc(t *testing.T, dev backend.Device, bytes int) backend.Span {
	b, err := dev.Alloc(bytes)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return backend.Whole(b)
}
