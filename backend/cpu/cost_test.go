package cpu

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Eager is the processor, whose threads share whatever there is to do, however little: so tests of
// small layers have several at work.
type Eager struct{ cpu }

// Open implements backend.Backend.
func (e Eager) Open(ctx context.Context, id string, o backend.OpenOptions) (backend.Device, error) {
	d, err := e.cpu.Open(ctx, id, o)
	if err == nil {
		d.(*Device).fork = 0
	}
	return d, err
}

// TestWidth is how many goroutines Apply takes: the caller alone for what is done before another has begun.
func TestWidth(t *testing.T) {
	d := &Device{fork: forkTime}
	for _, c := range []struct {
		ns   float64
		want int
	}{{0, 1}, {forkTime - 1, 1}, {forkTime, 2}, {2 * forkTime, 4}, {1e30, 1 << 16}} {
		require.Equal(t, c.want, d.width(c.ns), "%g ns", c.ns)
	}
	require.Equal(t, 2, (&Device{}).width(0.01), "eager")

	rng := rand.New(rand.NewPCG(5, 150))
	everywhere(t, backend.OpenOptions{Threads: 2}, func(t *testing.T, b *bench) {
		for _, c := range []struct {
			n, k, rows int
			alone      bool // the caller does the products
		}{{256, 256, 1, true}, {512, 256, 1, true}, {512, 512, 1, false}, {64, 256, 16, true}, {512, 512, 16, false}} {
			s := shape{n: c.n, k: c.k, bits: 4, groups: uniform(t, c.k, 128), scales: dtype.F16}
			made, _ := b.prepare(s.linear(t, rng), backend.Request{Recipe: &quant.Recipe{Kind: quant.Int8Token}, X: dtype.F32, MaxRows: c.rows})
			l := made.(interface{ whole() *layer }).whole()
			_, fast := l.parts[0].matrix.(*product)
			require.Equal(t, c.alone && fast, d.width(l.costOfParts(c.rows)) == 1, "%+v", c)
			each := l.fronts[0].cost / float64(c.k)
			require.Contains(t, []float64{featureTime, featureTimeGo}, each)
			require.Equal(t, each*float64(c.k*c.rows) < forkTime, d.width(l.costOfFronts(c.rows)) == 1, "%+v", c)
			require.NoError(t, made.Close())
		}
	})
}
