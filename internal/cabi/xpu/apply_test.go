//go:build linux && xpu

package xpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
)

// weights are those of a test's layer: codes [n][k], zeros and scales [k/group][n].
type weights struct {
	k, n, group int
	codes       [][]int32
	zeros       [][]int32
	scales      [][]float32
	bias        []float32
}

func randomWeights(rng *rand.Rand, p *Plan) *weights {
	w := &weights{k: int(p.K), n: int(p.N), group: int(p.Group)}
	lo, hi := int32(0), int32(15)
	switch p.WeightType {
	case S4:
		lo, hi = -8, 7
	case S8:
		lo, hi = -128, 127
	}
	zero := func() int32 { return lo + rng.Int32N(hi-lo+1) }
	switch p.ZeroKind {
	case ZeroNone:
		zero = func() int32 { return 0 }
	case ZeroScalar:
		zero = func() int32 { return int32(p.ZeroValue) }
	}
	for range w.k / w.group {
		zeros, scales := make([]int32, w.n), make([]float32, w.n)
		for n := range w.n {
			zeros[n], scales[n] = zero(), float32(rng.IntN(64)+1)/256
		}
		w.zeros, w.scales = append(w.zeros, zeros), append(w.scales, scales)
	}
	for n := range w.n {
		row := make([]int32, w.k)
		for k := range row {
			row[k] = lo + rng.Int32N(hi-lo+1)
			if k >= int(p.XCols) {
				row[k] = w.zeros[k/w.group][n]
			}
		}
		w.codes = append(w.codes, row)
	}
	if p.BiasType != 0 {
		for range w.n {
			w.bias = append(w.bias, float32(rng.IntN(256)-128)/16)
		}
	}
	return w
}

// pack returns codes as the plan wants them in memory.
func (w *weights) pack(p *Plan) []byte {
	half := p.WeightType != S8
	outer := w.n
	if p.WeightOrder == NContiguous {
		outer = w.k
	}
	b := make([]byte, outer*int(p.WeightStride))
	for n, row := range w.codes {
		for k, c := range row {
			e := n*int(p.WeightStride) + k
			if p.WeightOrder == NContiguous {
				e = k*int(p.WeightStride) + n
			}
			if half {
				b[e/2] |= byte(c&15) << (e % 2 * 4)
			} else {
				b[e] = byte(c)
			}
		}
	}
	if half {
		b = b[:len(b)/2]
	}
	return b
}

func (w *weights) packZeros(p *Plan) []byte {
	if p.ZeroKind != ZeroGrouped {
		return nil
	}
	var b []byte
	for _, row := range w.zeros {
		for n, z := range row {
			switch {
			case p.ZeroType == S32:
				b = append(b, byte(z), byte(z>>8), byte(z>>16), byte(z>>24))
			case p.ZeroType != U4:
				b = append(b, byte(z))
			case n%2 == 0:
				b = append(b, byte(z))
			default:
				b[len(b)-1] |= byte(z) << 4
			}
		}
	}
	return b
}

func (w *weights) flatScales() []float32 {
	var s []float32
	for _, row := range w.scales {
		s = append(s, row...)
	}
	return s
}

// y returns the exact product for x [rows][cols], and the sum of absolute values; codes
// are what the product is of, with a scale for each row.
func (w *weights) y(x []float64, cols int, scale float64, n int) (sum, abs float64) {
	for k := range cols {
		v := x[k] * float64(w.codes[n][k]-w.zeros[k/w.group][n]) * float64(w.scales[k/w.group][n]) * scale
		sum, abs = sum+v, abs+math.Abs(v)
	}
	if w.bias != nil {
		sum, abs = sum+float64(w.bias[n]), abs+math.Abs(float64(w.bias[n]))
	}
	return sum, abs
}

// within reports whether got is a value that rounds from want ± bound.
func within(t int64, got float32, want, bound float64) bool {
	lo, hi := types[t].RoundF64(want-bound), types[t].RoundF64(want+bound)
	return float64(got) >= lo && float64(got) <= hi
}

func (l *layer) holds(t *testing.T, w *weights, x []float32, rows int, y []float32, depth float64) {
	cols := int(l.plan.XCols)
	for m := range rows {
		row, scale := make([]float64, cols), 1.0
		for k, v := range x[m*cols : (m+1)*cols] {
			row[k] = float64(v)
		}
		if l.plan.Activations != Exact {
			codes, scales := make([]int8, cols), make([]float32, 1)
			act := quant.OneGroup(cols)
			kind := quant.Int8TokenXPU
			if l.plan.Activations == Int8TokenCT {
				kind = quant.Int8Token
			}
			quant.Recipe{Kind: kind}.QuantizeRow(types[l.plan.XType], &act, codes, scales, x[m*cols:(m+1)*cols])
			scale = float64(scales[0])
			for k, c := range codes {
				row[k] = float64(c)
			}
		}
		for n := range int(l.plan.YCols) {
			want, abs := w.y(row, cols, scale, n)
			got := y[m*int(l.plan.YCols)+n]
			require.True(t, within(l.plan.YType, got, want, depth*0x1p-24*abs), "y[%d, %d] = %v, not %v", m, n, got, want)
		}
	}
}

// cells are plans that the tests go through: all types, all kinds of zeros, both orders
// of weights, padding of k and n, slices.
func cells() map[string]Plan {
	all := map[string]Plan{}
	type kind struct{ weight, zeroKind, zeroType, zeroValue int64 }
	kinds := []kind{{U4, ZeroScalar, S8, 8}, {U4, ZeroGrouped, U4, 0}, {U4, ZeroGrouped, S8, 0}, {S4, ZeroNone, 0, 0}, {S8, ZeroNone, 0, 0}, {S8, ZeroGrouped, S8, 0}, {S8, ZeroGrouped, S32, 0}}
	floats := []int64{F32, F16, BF16}
	for i, kind := range kinds {
		for j, x := range floats {
			for _, act := range []int64{Exact, Int8Token, Int8TokenCT} {
				y, scale, bias := floats[(i+j)%3], floats[(i+2*j)%3], []int64{0, F32, F16, BF16}[(i+j)%4]
				p := Plan{Activations: act, XType: x, WeightType: kind.weight, ZeroKind: kind.zeroKind, ZeroType: kind.zeroType, ZeroValue: kind.zeroValue,
					ScaleType: scale, BiasType: bias, YType: y, K: 128, XCols: 128, N: 24, YCols: 24, Group: []int64{32, 64, 128}[j], MaxRows: 12, Deterministic: 1}
				p.WeightOrder = int64(i+j) % 2
				if (i+j)%3 == 1 { // padded
					p.XCols, p.YCols = 101, 23
				}
				p.WeightStride = p.K + 2
				if p.WeightOrder == NContiguous {
					p.WeightStride = p.N + 2
				}
				if act == Exact {
					p.ComputeType = F32
					p.Slice = []int64{0, 32, 96, 16}[(i+j)%4] / (p.Group / 32) * (p.Group / 32)
					if p.Slice%p.Group != 0 && p.Group%max(p.Slice, 1) != 0 {
						p.Slice = p.Group
					}
				} else {
					p.RowScales = int64(i+j) / 2 % 2
				}
				if p.BiasType != 0 && p.RowScales == RowScalesAfter {
					p.BiasType = F32
				}
				name := fmt.Sprintf("%s x %d zeros %d of %d, x %v y %v", []string{"exact", "int8", "int8 ct"}[act], kind.weight, kind.zeroKind, kind.zeroType, types[x], types[y])
				all[name] = p
			}
		}
	}
	return all
}

// Every plan that oneDNN's CPU engine takes is right for every number of rows, for rows with gaps,
// and writes nothing but its y.
func TestApply(t *testing.T) {
	r := real(t)
	rng := rand.New(rand.NewPCG(3, 4))
	for name, p := range cells() {
		t.Run(name, func(t *testing.T) {
			w := randomWeights(rng, &p)
			l := r.layer(t, &p, w.pack(&p), w.flatScales(), w.packZeros(&p), w.bias)
			for _, c := range []struct{ rows, xGap, yGap int }{{1, 0, 0}, {1, 3, 1}, {2, 0, 0}, {3, 0, 0}, {7, 0, 5}, {8, 7, 0}, {11, 1, 1}, {12, 0, 0}} {
				x := make([]float32, c.rows*int(p.XCols))
				for i := range x {
					x[i] = types[p.XType].Round(float32(rng.NormFloat64()))
				}
				y := l.apply(x, c.rows, int(p.XCols)+c.xGap, int(p.YCols)+c.yGap)
				l.holds(t, w, x, c.rows, y, float64(p.K)+8)
			}
		})
	}
}

// Weights that are numbers: of float32, as oneDNN's CPU engine has them everywhere.
func TestPlainWeights(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *rig{
		"stand-in": func(t *testing.T) *rig { return open(t, standIn(t), GPU) },
		"oneDNN":   func(t *testing.T) *rig { return real(t) },
	} {
		for _, slice := range []int64{0, 24, 100} {
			for order := range int64(2) {
				t.Run(fmt.Sprintf("%s, slice %d, order %d", name, slice, order), func(t *testing.T) {
					r := open(t)
					rng := rand.New(rand.NewPCG(11, 12))
					p := Plan{XType: F16, XCols: 100, ComputeType: F32, WeightType: F32, WeightOrder: order, WeightStride: 100, K: 100, N: 10, YCols: 10, Group: 100,
						BiasType: F32, YType: BF16, MaxRows: 5, Deterministic: 1, Slice: slice}
					w := randomWeights(rng, &p)
					for n := range w.n {
						w.scales[0][n] = 1
					}
					flat := make([]float32, 100*100)
					for n, row := range w.codes {
						for k, c := range row {
							if order == NContiguous {
								flat[k*100+n] = float32(c)
							} else {
								flat[n*100+k] = float32(c)
							}
						}
					}
					l := r.layer(t, &p, encode(F32, flat), nil, nil, w.bias)
					x := make([]float32, 300)
					for i := range x {
						x[i] = types[F16].Round(float32(rng.NormFloat64()))
					}
					for _, rows := range []int{1, 3} {
						l.holds(t, w, x[:rows*100], rows, l.apply(x[:rows*100], rows, 100, 10), 108)
					}
				})
			}
		}
	}
}

// Codes and scales of the caller give what apply gives.
func TestApplyCodes(t *testing.T) {
	r := real(t)
	rng := rand.New(rand.NewPCG(5, 6))
	for name, p := range cells() {
		if p.Activations == Exact {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p.Codes = 1
			w := randomWeights(rng, &p)
			l := r.layer(t, &p, w.pack(&p), w.flatScales(), w.packZeros(&p), w.bias)
			for _, rows := range []int{1, 5, 8, 12} {
				x := rowsOf(rng, p.XType, rows, int(p.XCols))
				y := l.apply(x, rows, int(p.XCols), int(p.YCols))
				codes, scales := l.quantize(x, rows, int(p.XCols))
				b := make([]byte, len(codes))
				for i, c := range codes {
					b[i] = byte(c)
				}
				dst := l.room(rows * int(p.YCols) * types[p.YType].Size())
				require.NoError(t, l.s.ApplyCodes(l.f, l.binding, l.alloc(b), l.alloc(encode(F32, scales)), dst, p.YCols, int64(rows), l.workspace, l.bytes))
				got := decode(p.YType, l.read(dst, len(y)*types[p.YType].Size()))
				for i := range y {
					if y[i] != y[i] {
						require.True(t, got[i] != got[i])
					} else {
						require.Equal(t, y[i], got[i], "element %d", i)
					}
				}
				for m := range rows {
					for n := range int(p.YCols) {
						bad := scales[m] != scales[m]
						require.Equal(t, bad, y[m*int(p.YCols)+n] != y[m*int(p.YCols)+n], "row %d", m)
					}
				}
			}
		})
	}
}
