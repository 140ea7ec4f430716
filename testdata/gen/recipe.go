package main

import (
	"fmt"
	"math"
)

// quantized is a quantized input: x ≈ scales[m][act(k)]·(codes[m][k] − zeros[m]).
type quantized struct {
	codes  []int8    // [rows, k]
	act    []int     // activation group of each feature
	count  int       // activation groups
	scales []float64 // [rows, count], float32 values
	zeros  []int32   // [rows]
}

// expectRecipe adds the codes and scales of x under a recipe, and y.
func (l *layer) expectRecipe(ts *tensors, t, recipe string, x []float64) {
	y := make([]float64, rows*l.n)
	var q *quantized
	if recipe != "exact" {
		q = l.quantize(t, recipe, x)
		ts.add(ints(l.name+".x.codes."+recipe, "I8", q.codes, rows, l.k))
		ts.add(floats(l.name+".x.scales."+recipe, "F32", q.scales, rows, q.count))
		ts.add(ints(l.name+".x.zeros."+recipe, "I32", q.zeros, rows))
	}
	for m := range rows {
		for n := range l.n {
			sum := 0.0
			for k := range l.k {
				u, s := l.w(n, k)
				a := x[m*l.k+k]
				if q != nil {
					a = float64(q.scales[m*q.count+q.act[k]] * float64(int32(q.codes[m*l.k+k])-q.zeros[m]))
				}
				sum += float64(a * float64(s*float64(u)))
			}
			if l.bias != nil {
				sum += l.bias[n]
			}
			y[m*l.n+n] = sum
		}
	}
	ts.add(floats(l.name+".y."+recipe, "F64", y, rows, l.n))
}

// actGroupSize is the number of features under one scale of int8-group.
const actGroupSize = 128

// quantize applies a recipe to x [rows, k] of float type t.
func (l *layer) quantize(t, recipe string, x []float64) *quantized {
	q := &quantized{codes: make([]int8, rows*l.k), act: make([]int, l.k), count: 1, zeros: make([]int32, rows)}
	if recipe == "int8-group" {
		q.count = 0
		for g := range l.groups {
			have := 0
			for k := range l.k {
				if l.group[k] != g {
					continue
				}
				if have%actGroupSize == 0 {
					q.count++
				}
				have++
				q.act[k] = q.count - 1
			}
		}
	}
	q.scales = make([]float64, rows*q.count)
	for m := range rows {
		row := x[m*l.k : (m+1)*l.k]
		codes := q.codes[m*l.k : (m+1)*l.k]
		if recipe == "int4-flatquant" {
			q.scales[m] = l.transform.quantize(codes, t, row)
			continue
		}
		if recipe == "int8-token-asym" {
			q.scales[m], q.zeros[m] = tokenAsym(codes, row)
			continue
		}
		for a := range q.count {
			amax := 0.0
			for k, v := range row {
				if q.act[k] == a {
					amax = math.Max(amax, math.Abs(v))
				}
			}
			s, code := scaleOf(recipe, t, amax)
			q.scales[m*q.count+a] = s
			for k, v := range row {
				if q.act[k] == a {
					codes[k] = code(v)
				}
			}
		}
	}
	return q
}

// f32 rounds to float32; every operation of the recipes is float32.
func f32(f float64) float64 { return float64(float32(f)) }

// epsilon is the machine epsilon of a float type.
var epsilon = map[string]float64{"F32": 0x1p-23, "F16": 0x1p-10, "BF16": 0x1p-7}

// scaleOf returns the scale of a symmetric recipe for the largest magnitude,
// and the function from an element to its code. A quotient of two float32
// numbers rounded to float64 and then to float32 is rounded as if once
// (53 ≥ 2·24 + 2).
func scaleOf(recipe, t string, amax float64) (float64, func(float64) int8) {
	switch recipe {
	case "int8-token": // compressed-tensors
		s := round(t, f32(amax/127.5))
		if s == 0 {
			s = epsilon[t]
		}
		return s, func(v float64) int8 {
			return int8(math.RoundToEven(clamp(round(t, f32(v/s)), -128, 127)))
		}
	case "int8-token-xpu":
		s := round(t, math.Max(f32(amax/127), f32(1e-5)))
		return s, func(v float64) int8 { return int8(clamp(math.RoundToEven(f32(v/s)), -128, 127)) }
	case "int8-token-ascend", "int8-group", "int4-token-ascend":
		least, most := -128.0, 127.0
		switch recipe {
		case "int8-group":
			least = -127
		case "int4-token-ascend":
			least, most = -8, 7
		}
		s := f32(amax / most)
		if s == 0 {
			return 0, func(float64) int8 { return 0 }
		}
		return s, func(v float64) int8 { return int8(clamp(math.RoundToEven(f32(v/s)), least, most)) }
	}
	panic(fmt.Sprintf("no recipe %s", recipe))
}

func clamp(v, lo, hi float64) float64 { return math.Min(math.Max(v, lo), hi) }

// tokenAsym quantizes a row as _dyn_quant_matmul_4bit does: asymmetric, ties
// away from zero. It returns the scale (1 over the multiplier) and the zero.
func tokenAsym(codes []int8, row []float64) (float64, int32) {
	lo, hi := 0.0, 0.0
	for _, v := range row {
		lo, hi = math.Min(lo, v), math.Max(hi, v)
	}
	scale := 1.0
	if lo != hi {
		scale = f32(255 / f32(hi-lo))
	}
	recip := 0.0
	if scale != 0 {
		recip = f32(1 / scale)
	}
	dlo, dhi := f32(lo*scale), f32(hi*scale)
	zero := f32(127 - dhi)
	if f32(f32(-128+dlo)+f32(127+dhi)) > 0 {
		zero = f32(-128 - dlo)
	}
	zero = math.RoundToEven(clamp(zero, -128, 127))
	for k, v := range row {
		codes[k] = int8(clamp(math.Round(f32(v*scale))+zero, -128, 127))
	}
	return recip, int32(zero)
}
