package main

import (
	"crypto/sha256"
)

// layer is a quantized linear layer as its author means it:
// W[n][k] = scales[n][g(k)] · (codes[n][k] − zeros[n][g(k)]).
type layer struct {
	name      string
	n, k      int
	bits      int
	groups    int       // how many
	group     []int     // of each feature
	codes     []uint8   // [n, k]
	zeros     []int32   // [n, groups]
	symmetric bool      // every zero is 2^(bits−1)
	scales    []float64 // [n, groups], values of scaleType
	scaleType string
	bias      []float64  // [n] values of the model's type, or nil
	transform *transform // FlatQuant's, or nil
}

// spec is what drawLayer needs to know.
type spec struct {
	name      string
	n, k      int
	bits      int
	size      int // group size; -1: one group
	asym      bool
	shuffled  bool // act-order: the groups are spread over K
	bias      bool
	scaleType string
	modelType string
}

// drawLayer draws a layer from its name's seed.
func drawLayer(s spec) *layer {
	r := newRNG(seedOf(s.name) + uint64(s.bits)<<48 + uint64(s.n)<<24 + uint64(s.k))
	size := s.size
	if size < 0 {
		size = s.k
	}
	l := &layer{name: s.name, n: s.n, k: s.k, bits: s.bits, groups: (s.k + size - 1) / size, symmetric: !s.asym, scaleType: s.scaleType}
	for k := range s.k {
		l.group = append(l.group, k/size)
	}
	if s.shuffled {
		r.shuffle(l.group)
	}
	top := 1<<s.bits - 1
	for range s.n * l.groups {
		l.scales = append(l.scales, round(s.scaleType, (0.5+r.uniform())*0.25/float64(top)))
		z := (top + 1) / 2
		if s.asym {
			z = min(max(z+int(r.gauss()*float64(top)/6+0.5), 0), top)
		}
		l.zeros = append(l.zeros, int32(z))
	}
	if s.asym { // the ends of the range, where off-by-one conversions break
		l.zeros[0], l.zeros[len(l.zeros)-1] = 0, int32(top)
	}
	for range s.n * s.k {
		c := float64(top)/2 + r.gauss()*float64(top)/5
		l.codes = append(l.codes, uint8(min(max(int(c+0.5), 0), top)))
	}
	l.codes[0], l.codes[1] = 0, uint8(top)
	if s.bias {
		for range s.n {
			l.bias = append(l.bias, round(s.modelType, r.gauss()*0.125))
		}
	}
	return l
}

// w returns the code less its zero, and the scale, of one weight.
func (l *layer) w(n, k int) (int, float64) {
	g := n*l.groups + l.group[k]
	return int(l.codes[n*l.k+k]) - int(l.zeros[g]), l.scales[g]
}

// drawInput draws x [rows, k] in float type t: Gaussian with a few outlier
// columns, the second row small, the last one zero where zeroRow.
func drawInput(name, t string, rows, k int, zeroRow bool) []float64 {
	r := newRNG(seedOf(name + ".x"))
	x := make([]float64, rows*k)
	for i := range x {
		v := r.gauss()
		if i%k%61 == 7 {
			v *= 16
		}
		if i/k == 1 {
			v *= 0x1p-6
		}
		if i/k == rows-1 && zeroRow {
			v = 0
		}
		x[i] = round(t, v)
	}
	return x
}

// rows is M of every expected input.
const rows = 3

// most is the number of codes up to which expected files hold them in full.
const most = 9000

// expectWeights adds what a reader must find in the file.
func (l *layer) expectWeights(ts *tensors, as string) {
	sum := sha256.Sum256(l.codes)
	ts.add(ints(as+".codes.sha256", "U8", sum[:], len(sum)))
	if len(l.codes) <= most {
		ts.add(ints(as+".codes", "U8", l.codes, l.n, l.k))
	}
	ts.add(ints(as+".groups", "I32", l.group, l.k))
	if l.symmetric {
		ts.add(ints(as+".zeros", "I32", l.zeros[:1], 1, 1))
	} else {
		ts.add(ints(as+".zeros", "I32", l.zeros, l.n, l.groups))
	}
	ts.add(floats(as+".scales", "F32", l.scales, l.n, l.groups))
	if l.bias != nil {
		ts.add(floats(as+".bias", "F32", l.bias, l.n))
	}
}

// expect adds everything that is to be known of l for inputs of float type t.
func (l *layer) expect(ts *tensors, t string, zeroRow bool, recipes ...string) {
	l.expectWeights(ts, l.name)
	x := drawInput(l.name, t, rows, l.k, zeroRow)
	ts.add(floats(l.name+".x", t, x, rows, l.k))
	for _, recipe := range recipes {
		l.expectRecipe(ts, t, recipe, x)
	}
}

// expectPlain adds x and y of a plain weight w [n, k].
func expectPlain(ts *tensors, name, t string, w []float64, n, k int) {
	x := drawInput(name, t, rows, k, false)
	y := make([]float64, rows*n)
	for i := range y {
		for c := range k {
			y[i] += float64(x[i/n*k+c] * w[i%n*k+c])
		}
	}
	ts.add(floats(name+".x", t, x, rows, k), floats(name+".y.exact", "F64", y, rows, n))
}

// drawPlain draws the elements of a plain weight of float type t.
func drawPlain(name, t string, n int, spread float64) []float64 {
	r := newRNG(seedOf(name))
	w := make([]float64, n)
	for i := range w {
		w[i] = round(t, r.gauss()*spread)
	}
	return w
}
