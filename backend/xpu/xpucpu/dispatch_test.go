package xpucpu_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// TestDispatch logs what oneDNN makes of each kind of layer; it asserts that
// oneDNN says so.
func TestDispatch(t *testing.T) {
	r := open(t)
	defer r.close()
	for _, bits := range []int{4, 8} {
		for _, recipe := range []quant.RecipeKind{quant.Int8TokenXPU, quant.Int8Token, quant.Exact} {
			for _, scales := range types {
				for _, zeros := range []bool{false, true} {
					f := form{bits: bits, group: 128, zeros: zeros, n: 256, k: 512, m: 8, x: dtype.BF16, y: dtype.BF16, recipe: recipe, scales: scales}
					l, x := f.layer(t)
					made, k := r.prepare(l, f)
					o := r.operands(made, x, f.m)
					require.NoError(t, made.Apply(r.stream, o.y, o.x, o.ws))
					require.NoError(t, r.stream.Sync(t.Context()))
					begin := time.Now()
					require.NoError(t, made.Apply(r.stream, o.y, o.x, o.ws))
					require.NoError(t, r.stream.Sync(t.Context()))
					took := time.Since(begin)
					all := made.(interface{ Buckets() []driver.Bucket }).Buckets()
					last := all[len(all)-1]
					require.NotEmpty(t, last.Implementation)
					require.Equal(t, []int{1, 2, 4, 8}, []int{all[0].Rows, all[1].Rows, all[2].Rows, last.Rows})
					t.Logf("%-19s %-14v scales %-8v zeros %-5v  %-22s scratchpad %7d  %v", k.Name(), recipe, scales, zeros, last.Implementation, last.Scratchpad, took.Round(10*time.Microsecond))
					o.close(t)
					require.NoError(t, made.Close())
				}
			}
		}
	}
}
