package rows_test

import (
	"math/rand/v2"
	"testing"

	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// FuzzRow compares every instruction set with the reference for any bits of x.
func FuzzRow(f *testing.F) {
	for kind := range uint8(7) {
		f.Add(uint64(kind), kind, kind%3, []byte("\x00\x3c\x00\xbc\xff\x7b\x01\x00\x80\x3f\x00\x00\xc0\xbf\x00\x80"))
	}
	f.Fuzz(func(t *testing.T, seed uint64, kind, xt uint8, raw []byte) {
		x := floats[int(xt)%len(floats)]
		k := min(len(raw)/x.Size(), 600)
		if k == 0 {
			return
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		weights := groupings(t, rng, k)[rng.IntN(6)]
		r := quant.Recipe{Kind: quant.Recipes()[int(kind)%len(quant.Recipes())]}
		if r.Kind == quant.Int8Group {
			r.Group = 1 + rng.IntN(200)
		}
		values := rows.Float32
		if r.Kind != quant.Exact {
			values = []rows.Values{rows.Int8, rows.Int16}[rng.IntN(2)]
		}
		if values == rows.Float32 && x == dtype.BF16 && rng.IntN(2) == 0 {
			values = rows.BFloat16
		}
		fm := form(rng, r, x, values, &weights, 1+rng.IntN(128))
		fm.Swapped = values == rows.BFloat16 && rng.IntN(2) == 0
		if r.Kind == quant.Int4FlatQuant {
			left, right := factors(k)
			fm.Transform = transform(rng, floats[rng.IntN(3)], left, right)
		}
		row := make([]float32, k)
		dtype.Decode(x, row, raw)
		for i, v := range row {
			row[i] = x.Round(v) // signalling NaN would become quiet on the way to x
		}
		checkForm(t, fm, map[string][]float32{"fuzz": row})
	})
}
