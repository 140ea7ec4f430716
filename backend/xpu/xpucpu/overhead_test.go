//go:build xpu && linux

package xpucpu_test

import (
	"os"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/backend/xpu/internal/linear"
	"github.com/bitlane/bitlane/backend/xpu/internal/onednn"
	"github.com/bitlane/bitlane/csrc/xpu/build"
	"github.com/bitlane/bitlane/csrc/xpu/fake"
	"github.com/bitlane/bitlane/csrc/xpu/meter"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// inOneDNN is what package meter counts: of execute, set_data_handle and wait.
type inOneDNN struct {
	spent, calls *[3]int64 // nanoseconds
	clock        float64   // nanoseconds that counting takes beside a call
}

func (c *inOneDNN) sums() (spent, calls int64) {
	return c.spent[0] + c.spent[1] + c.spent[2], c.calls[0] + c.calls[1] + c.calls[2]
}

// realOneDNN is the library of PyPI's package.
func realOneDNN(b testing.TB) (path string) {
	if path = os.Getenv(build.Variable); path == "" {
		b.Skipf("%s is not set: make tools installs oneDNN, make xpu sets it", build.Variable)
	}
	return path
}

// metered is a device of the library at real behind a meter.
func metered(b testing.TB, real string) (*rig, *inOneDNN) {
	path, err := meter.Build(b.TempDir(), real)
	require.NoError(b, err)
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	require.NoError(b, err)
	at := func(name string) unsafe.Pointer {
		address, err := purego.Dlsym(handle, name)
		require.NoError(b, err)
		return *(*unsafe.Pointer)(unsafe.Pointer(&address)) // memory of the library, which stays
	}
	var cost func() int64
	purego.RegisterLibFunc(&cost, handle, "bitlane_meter_cost")
	c := &inOneDNN{(*[3]int64)(at("bitlane_meter_spent")), (*[3]int64)(at("bitlane_meter_calls")), float64(cost()) / 1000}

	b.Setenv(build.Variable, path)
	of := linear.Backend("xpu-cpu", driver.CPU, onednn.System("xpu-cpu"))
	dev, err := of.Open(b.Context(), "0", backend.OpenOptions{})
	require.NoError(b, err)
	r := &rig{TB: b, backend: of, dev: dev}
	r.stream = r.newStream()
	return r, c
}

// TestMeter counts what a call is made of.
func TestMeter(t *testing.T) {
	r, c := metered(t, realOneDNN(t))
	defer r.close()
	for recipe, executes := range map[quant.RecipeKind]int64{quant.Int8TokenXPU: 9, quant.Int8Token: 12, quant.Exact: 3} {
		l, x := tiny(recipe).layer(t)
		made, _ := r.prepare(l, tiny(recipe))
		o := r.operands(made, x, 1)
		*c.spent, *c.calls = [3]int64{}, [3]int64{}
		require.NoError(t, made.Apply(r.stream, o.y, o.x, o.ws))
		require.Equal(t, executes, c.calls[0], "%v", recipe)
		require.Positive(t, c.spent[0], "%v", recipe)
		o.close(t)
		require.NoError(t, made.Close())
	}
}

func tiny(recipe quant.RecipeKind) form {
	return form{bits: 4, group: 32, bias: true, n: 8, k: 64, m: 1, x: dtype.BF16, y: dtype.BF16, recipe: recipe}
}

// BenchmarkBesideOneDNN is one Apply of one row, from the contract down: what of it is not
// spent in oneDNN's own functions. The clock that knows is taken off. The operands
// are where they were in the call before, or have moved: oneDNN is then told, and on
// this engine waited for, which is its time, but leaves colder caches behind.
func BenchmarkBesideOneDNN(b *testing.B) { besideLibrary(b, realOneDNN(b)) }

// BenchmarkBesideStandin is the same with a stand-in for oneDNN, whose functions compute in
// a few nanoseconds on the caller's thread: what bitlane itself takes, with warm caches.
func BenchmarkBesideStandin(b *testing.B) {
	path, err := fake.Build(b.TempDir())
	require.NoError(b, err)
	besideLibrary(b, path)
}

func besideLibrary(b *testing.B, path string) {
	r, c := metered(b, path)
	defer r.close()
	for _, recipe := range []quant.RecipeKind{quant.Int8TokenXPU, quant.Int8Token, quant.Exact} {
		b.Run(recipe.String(), func(b *testing.B) { r.beside(b, c, recipe, 1) })
		b.Run(recipe.String()+"/moved", func(b *testing.B) { r.beside(b, c, recipe, 2) })
	}
}

// beside takes its operands from so many sets in turn. The stream is waited for now and then, as a
// queue of SYCL's that grows slows execute down.
func (r *rig) beside(b *testing.B, c *inOneDNN, recipe quant.RecipeKind, sets int) {
	const queued = 8
	l, x := tiny(recipe).layer(b)
	made, _ := r.prepare(l, tiny(recipe))
	all := make([]operands, sets)
	for i := range all {
		all[i] = r.operands(made, x, 1)
	}
	var beside []float64
	*c.spent, *c.calls = [3]int64{}, [3]int64{}
	for i := 0; b.Loop(); i++ {
		o := &all[i%sets]
		spent, calls := c.sums()
		begin := time.Now()
		if err := made.Apply(r.stream, o.y, o.x, o.ws); err != nil {
			b.Fatal(err)
		}
		took := time.Since(begin)
		spent1, calls1 := c.sums()
		beside = append(beside, float64(took.Nanoseconds()-(spent1-spent))-c.clock*float64(calls1-calls))
		if i%queued == queued-1 {
			if err := r.stream.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	n := float64(len(beside))
	b.ReportMetric(float64(c.calls[0])/n, "executes")
	b.ReportMetric(float64(c.spent[0])/n, "ns-execute")
	b.ReportMetric(c.clock*float64(c.calls[0])/n, "ns-clock")
	slices.Sort(beside)
	for name, part := range map[string]float64{"p10": 0.1, "p50": 0.5, "p90": 0.9} {
		b.ReportMetric(beside[int(part*(n-1))], "ns-beside-"+name)
	}
	for _, o := range all {
		o.close(b)
	}
	require.NoError(b, made.Close())
}
