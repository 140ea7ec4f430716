package main

import "math"

// quantizeOnLoad is round-to-nearest in the arithmetic of the weight's own
// type t, every operation rounded to it: per group the scale is 2·max|w| /
// (2^bits − 1), and a code is w / scale, clamped, then rounded half to even.
// size −1 is one group per row.
func quantizeOnLoad(name, t string, w []float64, n, k, bits, size int) *layer {
	if size < 0 {
		size = k
	}
	l := &layer{name: name, n: n, k: k, bits: bits, groups: k / size, symmetric: true, scaleType: t}
	for i := range k {
		l.group = append(l.group, i/size)
	}
	half := float64(int(1) << (bits - 1))
	for at := 0; at < n*k; at += size {
		m := 0.0
		for _, v := range w[at : at+size] {
			m = math.Max(m, math.Abs(v))
		}
		scale := round(t, f32(round(t, m*2)/(2*half-1)))
		l.scales = append(l.scales, scale)
		l.zeros = append(l.zeros, int32(half))
		for _, v := range w[at : at+size] {
			q := 0.0
			if scale != 0 {
				q = math.RoundToEven(clamp(round(t, f32(v/scale)), -half, half-1))
			}
			l.codes = append(l.codes, uint8(q+half))
		}
	}
	return l
}
