package redtest

import (
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// clone copies l under another form of the same sizes; nil keeps the form.
func clone(l *quant.Linear, change func(*quant.Form)) *quant.Linear {
	f := l.Weight.Form()
	if change != nil {
		change(&f)
	}
	out := *l
	out.Weight = quant.Weight{}
	if err := out.Weight.Reset(f); err != nil {
		panic(err)
	}
	out.Bias = append([]float32(nil), l.Bias...)
	for n := range f.N {
		copy(out.Weight.Row(n), l.Weight.Row(n))
		copy(out.Weight.ZeroRow(n), l.Weight.ZeroRow(n))
		for g := range f.Groups.Count() {
			out.Weight.SetScale(n, g, l.Weight.Scale(n, g))
		}
	}
	return &out
}

// regroup copies l with other groups, as many as before.
func regroup(l *quant.Linear, groups quant.Groups, err error) *quant.Linear {
	if err != nil {
		panic(err)
	}
	if groups.Count() != l.Weight.Groups().Count() {
		return nil
	}
	return clone(l, func(f *quant.Form) { f.Groups = groups })
}

// mapCodes copies l with each code changed.
func mapCodes(l *quant.Linear, change func(n, k int, u uint8) uint8) *quant.Linear {
	out := clone(l, nil)
	codes := make([]uint8, l.Weight.K())
	for n := range l.Weight.N() {
		out.Weight.UnpackRow(codes, n)
		for k, u := range codes {
			codes[k] = change(n, k, u)
		}
		out.Weight.PackRow(n, codes)
	}
	return out
}

// numbers are mutants that compute something else.
func numbers() []mutant {
	return []mutant{
		{name: "zero points are off by one, as when GPTQ v1 is taken for v2",
			fails: computed,
			alter: func(l *quant.Linear, s *backend.Spec) *quant.Linear {
				if s.Plain.Valid() || s.Symmetric {
					return nil
				}
				out := clone(l, nil)
				for n := range s.N {
					z := out.Weight.ZeroRow(n)
					for g := range z {
						z[g]++
					}
				}
				return out
			}},
		{name: "the group of the first feature after a boundary is the one before",
			fails: []string{"edges-group"},
			alter: func(l *quant.Linear, s *backend.Spec) *quant.Linear {
				if s.Groups.Kind != quant.Uniform || s.Groups.Size != 33 {
					return nil
				}
				bounds := l.Weight.Groups().Bounds(nil)
				if len(bounds) < 3 || bounds[len(bounds)-1]-bounds[len(bounds)-2] < 2 {
					return nil
				}
				for i := 1; i < len(bounds)-1; i++ {
					bounds[i]++
				}
				g, err := quant.RaggedGroups(bounds)
				return regroup(l, g, err)
			}},
		{name: "with act-order each feature has the group of the next one",
			fails: computed,
			alter: func(l *quant.Linear, s *backend.Spec) *quant.Linear {
				if s.Groups.Kind != quant.ActOrder {
					return nil
				}
				index := l.Weight.Groups().Index(nil)
				g, err := quant.IndexedGroups(append(index[1:], index[0]), s.Groups.Count)
				return regroup(l, g, err)
			}},
		{name: "with act-order the scales of a group that no feature uses are left out, but the groups keep their numbers",
			fails: []string{"act-order"},
			alter: func(l *quant.Linear, s *backend.Spec) *quant.Linear {
				if s.Groups.Kind != quant.ActOrder || s.Groups.Shortest > 0 {
					return nil
				}
				out := clone(l, nil)
				for n := range s.N {
					for g := 1; g+1 < s.Groups.Count; g++ {
						out.Weight.SetScale(n, g, l.Weight.Scale(n, g+1))
					}
				}
				return out
			}},
		{name: "scales are rounded to bfloat16",
			fails: and(rounded, "floor"),
			alter: func(l *quant.Linear, s *backend.Spec) *quant.Linear {
				if s.Plain.Valid() || s.Scales == dtype.BF16 {
					return nil
				}
				return clone(l, func(f *quant.Form) { f.Scales = dtype.BF16 })
			}},
		{name: "plain float32 weights are rounded to bfloat16",
			fails: []string{"plain"},
			alter: func(l *quant.Linear, s *backend.Spec) *quant.Linear {
				if s.Plain != dtype.F32 {
					return nil
				}
				out := clone(l, nil)
				for n := range s.N {
					for k := range s.K {
						s.Plain.Put(out.Weight.Row(n), k, dtype.BF16.Round(l.Weight.Value(n, k)))
					}
				}
				return out
			}},
		{name: "the bias is dropped",
			fails: and(small(computed), "plain"),
			alter: func(l *quant.Linear, s *backend.Spec) *quant.Linear {
				if !s.Bias {
					return nil
				}
				out := clone(l, nil)
				clear(out.Bias)
				return out
			}},
		{name: "the bias is rounded to bfloat16 before it is added",
			fails: and(small(rounded), "plain"),
			alter: func(l *quant.Linear, s *backend.Spec) *quant.Linear {
				out := clone(l, nil)
				for n, b := range out.Bias {
					out.Bias[n] = dtype.BF16.Round(b)
				}
				return out
			}},
		{name: "the last feature of 65 has another code",
			fails: []string{"edges-k"},
			alter: func(l *quant.Linear, s *backend.Spec) *quant.Linear {
				if s.K != 65 || s.Plain.Valid() {
					return nil
				}
				return mapCodes(l, func(_, k int, u uint8) uint8 {
					if k == 64 {
						u ^= 1
					}
					return u
				})
			}},
		{name: "the rows of a rank are taken from its second one on",
			fails: []string{"shard-n"},
			alter: func(l *quant.Linear, s *backend.Spec) *quant.Linear {
				if s.NRanges == nil || s.NRanges[0].Start == 0 {
					return nil
				}
				out := clone(l, nil)
				for n := range s.N {
					copy(out.Weight.Row(n), l.Weight.Row((n+1)%s.N))
				}
				return out
			}},
		{name: "a rank's groups begin with its first feature",
			fails: []string{"shard-k"},
			alter: func(l *quant.Linear, s *backend.Spec) *quant.Linear {
				if !s.KCut() || s.Groups.Kind != quant.Ragged {
					return nil
				}
				g, err := quant.UniformGroups(s.K, (s.K+s.Groups.Count-1)/s.Groups.Count)
				return regroup(l, g, err)
			}},
		{name: "8-bit codes are taken for signed",
			fails: computed,
			alter: func(l *quant.Linear, s *backend.Spec) *quant.Linear {
				if s.Bits != 8 {
					return nil
				}
				return mapCodes(l, func(_, _ int, u uint8) uint8 { return u ^ 0x80 })
			}},
		{name: "int8-token-xpu is replaced by int8-token-ascend",
			fails: rounded,
			request: func(q *backend.Request) {
				if q.Recipe.Kind == quant.Int8TokenXPU {
					q.Recipe = &quant.Recipe{Kind: quant.Int8TokenAscend}
				}
			}},
		{name: "int8-group has one scale for the whole row",
			fails: small(computed),
			request: func(q *backend.Request) {
				if q.Recipe.Kind == quant.Int8Group {
					q.Recipe = &quant.Recipe{Kind: quant.Int8TokenAscend}
				}
			}},
		{name: "the codes that are shown are not those in use",
			fails: []string{"codes"},
			codes: func(_ backend.Spec, codes []int8, _ []float32) {
				if len(codes) > 0 {
					codes[len(codes)-1] ^= 1
				}
			}},
		{name: "rows that are nearly zeros count as zeros, and Numerics does not say so",
			fails: []string{"codes"}, only: []string{"codes"}, codes: tinyRowsAreZeros},
		{name: "and more of them than Numerics says", fails: []string{"codes"}, only: []string{"codes"}, codes: tinyRowsAreZeros,
			numerics: func(_ backend.Spec, n *backend.Numerics) { n.FlushBelow = 0x1p-130 }},
		{name: "and Numerics says so", only: []string{"codes"}, codes: tinyRowsAreZeros,
			numerics: func(_ backend.Spec, n *backend.Numerics) { n.FlushBelow = 0x1p-119 }},
	}
}

// tinyRowsAreZeros gives rows of bfloat16 in the recipe int8-token whose scale is
// subnormal the codes and the scale of rows of zeros, as oneDNN does.
func tinyRowsAreZeros(s backend.Spec, codes []int8, scales []float32) {
	if s.Recipe.Kind != quant.Int8Token || s.X != dtype.BF16 {
		return
	}
	for i, scale := range scales {
		if scale > 0 && scale < 0x1p-126 {
			clear(codes[i*s.K : (i+1)*s.K])
			scales[i] = 0x1p-7
		}
	}
}
