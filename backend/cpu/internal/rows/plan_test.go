package rows_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend/cpu/internal/asm"
	"github.com/bitlane/bitlane/backend/cpu/internal/rows"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// good is a form of 40 features in two segments.
func good(r quant.Recipe, v rows.Values) rows.Form {
	weights := quant.OneGroup(40)
	return rows.Form{
		ISA: rows.AVX2, Recipe: r, X: dtype.F16, K: 40, Act: r.ActGroups(&weights), Values: v,
		Segments: []rows.Segment{{Lo: 0, Hi: 30, At: 0}, {Lo: 30, Hi: 40, At: 32}}, Width: 48,
	}
}

func TestNewRefusesWhatNoRowCanHave(t *testing.T) {
	token, asym, group := quant.Recipe{Kind: quant.Int8Token}, quant.Recipe{Kind: quant.Int8TokenAsym}, quant.Recipe{Kind: quant.Int8Group, Group: 20}
	for name, tt := range map[string]struct {
		form   rows.Form
		change func(*rows.Form)
	}{
		"recipe":                {good(token, rows.Int8), func(f *rows.Form) { f.Recipe.Kind = 99 }},
		"group of no use":       {good(token, rows.Int8), func(f *rows.Form) { f.Recipe.Group = 4 }},
		"type":                  {good(token, rows.Int8), func(f *rows.Form) { f.X = dtype.Invalid }},
		"K":                     {good(token, rows.Int8), func(f *rows.Form) { f.K = 0 }},
		"values":                {good(token, rows.Int8), func(f *rows.Form) { f.Values = rows.Float32 }},
		"codes of exact":        {good(quant.Recipe{}, rows.Float32), func(f *rows.Form) { f.Values = rows.Int8 }},
		"no such values":        {good(token, rows.Int8), func(f *rows.Form) { f.Values = 4 }},
		"values of another x":   {good(quant.Recipe{}, rows.Float32), func(f *rows.Form) { f.Values = rows.BFloat16 }},
		"swapped":               {good(quant.Recipe{}, rows.Float32), func(f *rows.Form) { f.Swapped = true }},
		"features":              {good(token, rows.Int8), func(f *rows.Form) { f.Act = quant.OneGroup(39) }},
		"transform missing":     {good(token, rows.Int8), func(f *rows.Form) { f.Recipe.Kind = quant.Int4FlatQuant }},
		"transform":             {good(token, rows.Int8), func(f *rows.Form) { f.Transform = &quant.Transform{L: 5, R: 8} }},
		"length of order":       {good(token, rows.Int8), func(f *rows.Form) { f.Order = []int32{0} }},
		"order":                 {good(token, rows.Int8), func(f *rows.Form) { f.Order = make([]int32, 40); f.Order[3] = 40 }},
		"negative order":        {good(token, rows.Int8), func(f *rows.Form) { f.Order = make([]int32, 40); f.Order[3] = -1 }},
		"order of groups":       {good(token, rows.Int8), func(f *rows.Form) { f.Recipe, f.Order = group, make([]int32, 40) }},
		"gap":                   {good(token, rows.Int8), func(f *rows.Form) { f.Segments[1].Lo = 31 }},
		"empty":                 {good(token, rows.Int8), func(f *rows.Form) { f.Segments[1].Hi = 30 }},
		"too few":               {good(token, rows.Int8), func(f *rows.Form) { f.Segments[1].Hi = 39 }},
		"no segments":           {good(token, rows.Int8), func(f *rows.Form) { f.Segments = nil }},
		"not at a step":         {good(token, rows.Int8), func(f *rows.Form) { f.Segments[1].At = 36 }},
		"overlap":               {good(token, rows.Int8), func(f *rows.Form) { f.Segments[1].At = 24 }},
		"not from 0":            {good(token, rows.Int8), func(f *rows.Form) { f.Segments[0].At = 8; f.Segments[1].At = 40; f.Width = 56 }},
		"width":                 {good(token, rows.Int8), func(f *rows.Form) { f.Width = 40 }},
		"width of no steps":     {good(token, rows.Int8), func(f *rows.Form) { f.Width = 50 }},
		"zeros":                 {good(token, rows.Int8), func(f *rows.Form) { f.Zeros = asm.ScalesF16 }},
		"zeros of asym":         {good(asym, rows.Int8), func(f *rows.Form) {}},
		"zero":                  {good(token, rows.Int8), func(f *rows.Form) { f.Zero = 1 << 15 }},
		"segment in two groups": {good(group, rows.Int8), func(f *rows.Form) {}},
		"long segment": {good(token, rows.Int8), func(f *rows.Form) {
			weights := quant.OneGroup(256)
			f.K, f.Width, f.Act, f.Zeros = 256, 256, f.Recipe.ActGroups(&weights), asm.ZeroBytes
			f.Segments = []rows.Segment{{Hi: 256}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := tt.form
			f.Segments = slices.Clone(f.Segments)
			if f.Recipe != group && f.Recipe != asym {
				_, err := rows.New(f)
				require.NoError(t, err)
			}
			tt.change(&f)
			_, err := rows.New(f)
			var e *quant.FieldError
			require.ErrorAs(t, err, &e)
		})
	}
}

func TestSame(t *testing.T) {
	base := good(quant.Recipe{Kind: quant.Int8Token}, rows.Int8)
	p, err := rows.New(base)
	require.NoError(t, err)
	for name, change := range map[string]func(*rows.Form){
		"recipe":   func(f *rows.Form) { f.Recipe.Kind = quant.Int8TokenXPU },
		"type":     func(f *rows.Form) { f.X = dtype.BF16 },
		"values":   func(f *rows.Form) { f.Values = rows.Int16 },
		"zeros":    func(f *rows.Form) { f.Zeros = asm.ZeroBytes },
		"zero":     func(f *rows.Form) { f.Zero = 8 },
		"width":    func(f *rows.Form) { f.Width = 56 },
		"segments": func(f *rows.Form) { f.Segments[1].At = 40; f.Width = 56 },
		"order": func(f *rows.Form) {
			f.Order = make([]int32, 40)
			for i := range f.Order {
				f.Order[i] = int32(39 - i)
			}
		},
	} {
		f := base
		f.Segments = slices.Clone(f.Segments)
		change(&f)
		q, err := rows.New(f)
		require.NoError(t, err, name)
		require.False(t, p.Same(q), name)
		require.False(t, q.Same(p), name)
		require.True(t, q.Same(q), name)
	}
	base.ISA = rows.Go // the same bits
	q, err := rows.New(base)
	require.NoError(t, err)
	require.True(t, p.Same(q))

	base = good(quant.Recipe{}, rows.BFloat16)
	base.X = dtype.BF16
	p, err = rows.New(base)
	require.NoError(t, err)
	base.Swapped = true
	q, err = rows.New(base)
	require.NoError(t, err)
	require.False(t, p.Same(q))
}

func TestRowAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	weights := groupings(t, rng, 120)[5]
	for _, isa := range isas {
		for _, kind := range quant.Recipes() {
			values := rows.Int16
			if kind == quant.Exact {
				values = rows.BFloat16
			}
			f := form(rng, quant.Recipe{Kind: kind}, dtype.BF16, values, &weights, 128)
			f.ISA = isa
			if kind == quant.Int4FlatQuant {
				f.Transform = transform(rng, dtype.F16, 10, 12)
			}
			g := newGuarded(t, f)
			require.Zero(t, testing.AllocsPerRun(10, func() { g.Row(g.dst, g.x, g.scratch) }), "%v", kind)
			if kind != quant.Exact {
				require.Zero(t, testing.AllocsPerRun(10, func() { g.Codes(g.codes, g.actScales, g.x, g.codesScratch) }), "%v", kind)
			}
		}
	}
}
