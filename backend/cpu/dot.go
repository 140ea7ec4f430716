package cpu

// lanes are the eight partial sums of a float32 sum.
type lanes [8]float32

// sum adds the lanes in the order that the package comment gives.
func (l *lanes) sum() float32 {
	return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

// dot returns Σ x·w in eight lanes, lane = k mod 8. The lengths are equal and
// multiples of eight.
func dot(x, w []float32) float32 {
	var a0, a1, a2, a3, a4, a5, a6, a7 float32
	for len(x) >= 8 && len(w) >= 8 {
		u, v := (*[8]float32)(x), (*[8]float32)(w)
		a0 += float32(u[0] * v[0])
		a1 += float32(u[1] * v[1])
		a2 += float32(u[2] * v[2])
		a3 += float32(u[3] * v[3])
		a4 += float32(u[4] * v[4])
		a5 += float32(u[5] * v[5])
		a6 += float32(u[6] * v[6])
		a7 += float32(u[7] * v[7])
		x, w = x[8:], w[8:]
	}
	l := lanes{a0, a1, a2, a3, a4, a5, a6, a7}
	return l.sum()
}

// dotCodes returns Σ q·w exactly. block is how many products an int32 holds.
func dotCodes(q []int16, w []int32, block int) int64 {
	var total int64
	for len(q) > block {
		total += int64(dotBlock(q[:block], w[:block]))
		q, w = q[block:], w[block:]
	}
	return total + int64(dotBlock(q, w))
}

func dotBlock(q []int16, w []int32) int32 {
	var a0, a1, a2, a3 int32
	for len(q) >= 8 && len(w) >= 8 {
		u, v := (*[8]int16)(q), (*[8]int32)(w)
		a0 += int32(u[0])*v[0] + int32(u[4])*v[4]
		a1 += int32(u[1])*v[1] + int32(u[5])*v[5]
		a2 += int32(u[2])*v[2] + int32(u[6])*v[6]
		a3 += int32(u[3])*v[3] + int32(u[7])*v[7]
		q, w = q[8:], w[8:]
	}
	w = w[:len(q)]
	for i, u := range q {
		a0 += int32(u) * w[i]
	}
	return a0 + a1 + a2 + a3
}

// products is how many products of a code minus zero point, at most 255 in
// magnitude, and a weight minus zero point, at most limit, an int32 holds.
func products(limit int) int { return max(1, (1<<31-1)/(255*max(limit, 1))) }
