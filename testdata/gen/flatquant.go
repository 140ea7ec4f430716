package main

import (
	"math"
	"math/big"
)

// transform is FlatQuant's: a row of x, as a matrix X of l rows and r columns,
// becomes leftᵀ·X·right.
type transform struct {
	l, r        int
	left, right []float64 // values of the type that they are used in
	stored      string    // the type in the file
	clip        float64
}

// drawTransform draws factors near the identity, exact in the type that they
// are stored in.
func drawTransform(name, stored string, l, r int, clip float64) *transform {
	rng := newRNG(seedOf("transform of " + name))
	factor := func(n int) []float64 {
		p := make([]float64, n*n)
		for i := range p {
			p[i] = rng.gauss() * 0.125
			if i%(n+1) == 0 {
				p[i] += 0.75
			}
			p[i] = round(stored, p[i])
		}
		return p
	}
	return &transform{l, r, factor(l), factor(r), stored, f32(clip)}
}

// quantize gives the codes of a row x of float type t and their scale. Factors
// that are stored in float32 are taken in the type of the model, which is t;
// each sum is of float32 fused multiply-adds, ascending; the first product is rounded to t and the second to
// float16, whatever t is.
func (f *transform) quantize(codes []int8, t string, x []float64) float64 {
	used := t
	if f.stored != "F32" {
		used = f.stored
	}
	a, b := make([]float64, len(x)), make([]float64, len(x))
	most := 0.0
	for i := range f.l {
		for j := range f.r {
			sum := 0.0
			for p := range f.r {
				sum = fma32(x[i*f.r+p], round(used, f.right[p*f.r+j]), sum)
			}
			a[i*f.r+j] = round(t, sum)
		}
	}
	for i := range f.l {
		for j := range f.r {
			sum := 0.0
			for p := range f.l {
				sum = fma32(round(used, f.left[p*f.l+i]), a[p*f.r+j], sum)
			}
			b[i*f.r+j] = round("F16", sum)
			most = math.Max(most, math.Abs(b[i*f.r+j]))
		}
	}
	factor := 7.0
	if most != 0 {
		factor = f32(f32(7/f.clip) / most)
	}
	for k, v := range b {
		codes[k] = int8(clamp(math.RoundToEven(round("F16", f32(v*factor))), -8, 7))
	}
	return f32(f32(most*f.clip) / 7)
}

// fma32 is a·b + c of float32 values, rounded once to float32.
func fma32(a, b, c float64) float64 {
	exact := new(big.Float).SetPrec(1000).SetFloat64(a * b) // 48 bits
	v, _ := exact.Add(exact, big.NewFloat(c)).Float32()
	return float64(v)
}
