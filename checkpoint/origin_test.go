package checkpoint_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/checkpoint/gptq"
	"github.com/bitlane/bitlane/quant"
)

// stamps is whether the system tells when a file was changed.
const stamps = runtime.GOOS == "linux" || runtime.GOOS == "darwin"

// TestOrigins: every module of every bundled checkpoint says which tensors it is made of, and
// no tensor of a module is left out.
func TestOrigins(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(bundled, "*", "config.json"))
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	for _, config := range dirs {
		m, err := checkpoint.Open(t.Context(), filepath.Dir(config), checkpoint.Options{})
		require.NoError(t, err)
		for _, mod := range m.Modules() {
			o, err := m.Origin(mod.Name)
			require.NoError(t, err, "%s: %s", config, mod.Name)
			require.NotEmpty(t, o.Settings)
			var bytes int64
			for _, tensor := range o.Tensors {
				if stamps {
					require.Contains(t, tensor.Stamp, filepath.Base(filepath.Dir(config)))
				}
				bytes += tensor.Bytes
			}
			require.GreaterOrEqual(t, bytes+16, mod.Bytes, "%s: %s", config, mod.Name) // but for weight_shape, whose numbers are in Settings
		}
		_, err = m.Origin("nothing")
		require.ErrorIs(t, err, quant.ErrUnsupported)
		require.NoError(t, m.Close())
	}
}

// TestOriginsDiffer by options, and by whatever becomes of the file.
func TestOriginsDiffer(t *testing.T) {
	const layer = "model.layers.0.mlp.down_proj"
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(bundled, "gptq-w4-g128"))))
	origin := func(dir string, o checkpoint.Options, name string) checkpoint.Origin {
		m, err := checkpoint.Open(t.Context(), dir, o)
		require.NoError(t, err)
		defer func() { require.NoError(t, m.Close()) }()
		out, err := m.Origin(name)
		require.NoError(t, err)
		return out
	}
	first := origin(dir, checkpoint.Options{}, layer)
	require.Equal(t, first, origin(dir, checkpoint.Options{}, layer))
	unmasked := origin(dir, checkpoint.Options{GPTQ: []gptq.Option{gptq.UnmaskedZeros}}, layer)
	require.NotEqual(t, first.Settings, unmasked.Settings)

	path := filepath.Join(dir, "model.safetensors")
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Unix(1e9, 1)))
	touched := origin(dir, checkpoint.Options{}, layer)
	require.Equal(t, first.Settings, touched.Settings)
	require.Equal(t, stamps, first.Tensors[0].Stamp != touched.Tensors[0].Stamp)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, b, 0o600))
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Unix(1e9, 1)))
	replaced := origin(dir, checkpoint.Options{}, layer)
	require.Equal(t, stamps, touched.Tensors[0].Stamp != replaced.Tensors[0].Stamp, "another file with the old one's times")

	plain := filepath.Join(bundled, "dense-bf16")
	rtn := func(bits int) string {
		return origin(plain, checkpoint.Options{Dense: checkpoint.DenseOptions{RTN: quant.RTN{Bits: bits, Group: 32}}}, layer).Settings
	}
	require.NotEqual(t, rtn(4), rtn(8))
}
