package ptx

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/dtype"
)

// A cellCase is the product of testdata/cell.cu with its inputs.
type cellCase struct {
	m, n, k  int
	w, x, sc []byte
	want     []float64
}

func newCell(m, n, k int) *cellCase {
	c := &cellCase{m: m, n: n, k: k, w: make([]byte, n*k/2), x: make([]byte, m*k*2), sc: make([]byte, k/128*n*4), want: make([]float64, m*n)}
	g := rng(uint64(m*n + k))
	for i := range c.w {
		c.w[i] = byte(g.next())
	}
	for i := range m * k {
		binary.LittleEndian.PutUint16(c.x[2*i:], dtype.F16FromF32(float32(g.below(17)-8)))
	}
	for i := range k / 128 * n {
		binary.LittleEndian.PutUint32(c.sc[4*i:], math.Float32bits([]float32{0.25, 0.5, 1, 2}[g.below(4)]))
	}
	for row := range n {
		for tok := range m {
			sum := 0.0
			for word := range k / 8 {
				v := binary.LittleEndian.Uint32(c.w[(row*k/8+word)*4:])
				for nib := range 8 {
					// pick(v >> 4p) takes nibbles p and p+4: columns of the pair.
					p, odd := nib&3, nib>>2
					col := word>>2*32 + p>>1*16 + p&1*8 + word&3*2 + odd
					x := dtype.F16ToF32(binary.LittleEndian.Uint16(c.x[2*(tok*k+col):]))
					s := math.Float32frombits(binary.LittleEndian.Uint32(c.sc[4*(col/128*n+row):]))
					sum += float64(x) * float64(s) * (float64(v>>(4*nib)&15) - 8)
				}
			}
			c.want[tok*n+row] = sum
		}
	}
	return c
}

func (c *cellCase) run(t testing.TB, e *Entry, cfg Config) {
	m := NewMachine(cfg)
	put := func(b []byte) uint64 {
		a, err := m.Alloc(len(b))
		require.NoError(t, err)
		require.NoError(t, m.Write(a, b))
		return a
	}
	w, x, sc := put(c.w), put(c.x), put(c.sc)
	y, err := m.Alloc(c.m * c.n * 4)
	require.NoError(t, err)
	require.NoError(t, m.Launch(context.Background(), e, Launch{
		Grid: [3]uint32{uint32(c.n / 64), 1, 1}, Block: [3]uint32{128, 1, 1}, Shared: 2 * 24 * 272,
		Args: []uint64{w, x, sc, y, uint64(c.m), uint64(c.n), uint64(c.k)},
	}))
	out := make([]byte, c.m*c.n*4)
	require.NoError(t, m.Read(out, y))
	for i, want := range c.want {
		got := math.Float32frombits(binary.LittleEndian.Uint32(out[4*i:]))
		require.Equal(t, want, float64(got), "token %d column %d", i/c.n, i%c.n)
	}
}

func cellEntry(t testing.TB) *Entry {
	src, err := os.ReadFile("testdata/cell.ptx")
	require.NoError(t, err)
	return mustParse(t, string(src)).Entry("cell")
}

// Integers and powers of two: every model of the sums gives the exact product.
func TestCell(t *testing.T) {
	e := cellEntry(t)
	for _, m := range []int{1, 8, 17, 24} {
		newCell(m, 128, 256).run(t, e, Config{Seed: uint64(m)})
		newCell(m, 128, 256).run(t, e, Config{Seed: uint64(m), MMA: MMAExact})
	}
}

func BenchmarkCell(b *testing.B) {
	e, c := cellEntry(b), newCell(17, 256, 512)
	for _, x := range []struct {
		name string
		cfg  Config
	}{{"races=on", Config{Workers: 1}}, {"races=off", Config{Workers: 1, Checks: Checks{NoRaces: true}}}, {"workers=2", Config{Workers: 2}}} {
		b.Run(x.name, func(b *testing.B) {
			for b.Loop() {
				c.run(b, e, x.cfg)
			}
		})
	}
}
