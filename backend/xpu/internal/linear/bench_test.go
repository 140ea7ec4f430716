package linear

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// idle is an Apply of which nothing but what Go does is left.
func idle(t testing.TB) (apply func() error, end func()) {
	lib := newStandin()
	r := open(t, lib, backend.OpenOptions{})
	l, err := r.prepare(small(t, 8, 64, 4, 32, true), 4)
	require.NoError(t, err)
	o := r.operands(l, 1)
	lib.Idle = true
	apply = func() error { return l.Apply(r.stream, o.y, o.x, o.ws) }
	require.NoError(t, apply())
	return apply, func() {
		o.close(t)
		require.NoError(t, l.Close())
		r.close()
	}
}

func TestApplyAllocatesNothing(t *testing.T) {
	apply, end := idle(t)
	defer end()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := apply(); err != nil {
			t.Error(err)
		}
	}))
}

// BenchmarkApply is what Go adds to a call of oneDNN's.
func BenchmarkApply(b *testing.B) {
	apply, end := idle(b)
	defer end()
	b.ReportAllocs()
	for b.Loop() {
		if err := apply(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPack packs codes on all threads: bytes are those that it writes.
func BenchmarkPack(b *testing.B) {
	for _, name := range []string{"xpu_w4g_a8_onednn", "xpu_w8_a8_onednn"} {
		b.Run(name, func(b *testing.B) {
			k := named(b, name)
			l := small(b, 4096, 4096, k.most, 128, false)
			s := specOf(b, l, quant.Int8TokenXPU, 1)
			p := k.plan(&s, true)
			pack := &packer{plan: p, src: &l.Weight, spec: &s}
			dst := make([]byte, p.n*p.rowBytes())
			b.SetBytes(int64(len(dst)))
			for b.Loop() {
				if err := pack.pack(b.Context(), dst, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
