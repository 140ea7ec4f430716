package reference

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Result is what a layer should give for M rows of input, and what Bound needs
// to say how far a kernel may be from it. It holds about 32 bytes for each of
// the M·N outputs and keeps no reference to the layer. It may be read by
// several goroutines at once.
type Result struct {
	M, N, K   int
	Y         []float64 // [M, N] before rounding to the output type, bias added
	NonFinite []bool    // [M] rows whose outputs must all be NaN or infinite

	// Quantized activations; nil for Exact. Of Int4FlatQuant those of the
	// transformed row.
	Codes  []int8    // [M, K]
	Scales []float32 // [M, Groups]
	Zeros  []int32   // [M]
	Groups int       // activation scales of a row

	mag   []float64 // [M, N] Σ|a|·s·(u+|z|) + |bias|
	abs   []float64 // [M, N] Σ|a|·|w|
	slack []float64 // [M, N] Σ(hi−lo)·sx·|w| for a slack of one; nil for Exact
	rows  []float64 // [M] Σ|a|
	cols  []float64 // [N] Σs·(u+|z|)
}

// Run computes l for x [M, K], m rows of values that are each exact in xt, by
// the recipe r, which may differ from l.Recipe. Sizes that do not fit are
// ErrShape, a value that xt has not is ErrDType, a recipe that the layer cannot
// have ErrUnsupported, a transform that is not finite ErrRange. Scales and
// plain weights may be anything. It uses all processors.
func Run(l *quant.Linear, r quant.Recipe, xt dtype.DType, x []float32, m int) (*Result, error) {
	if err := check(l, r); err != nil {
		return nil, err
	}
	k := l.Weight.K()
	if m < 0 || len(x)/k != m || len(x)%k != 0 {
		return nil, quant.Errorf(quant.ErrShape, l.Name, "x", fmt.Sprintf("[%d,%d]", m, k), "%d elements", len(x))
	}
	if !xt.Valid() {
		return nil, quant.Errorf(quant.ErrDType, l.Name, "x type", "float32, float16 or bfloat16", "%v", xt)
	}
	for i, v := range x {
		if v == v && xt.Round(v) != v {
			return nil, quant.Errorf(quant.ErrDType, l.Name, fmt.Sprintf("x[%d,%d]", i/k, i%k), "a value of "+xt.String(), "%v", v)
		}
	}
	act := r.ActGroups(l.Weight.Groups())
	res := &Result{M: m, N: l.Weight.N(), K: k, Groups: act.Count()}
	if r.Kind == quant.Exact {
		in := input{a: make([]float64, m*k)}
		for i, v := range x {
			in.a[i] = float64(v)
		}
		res.multiply(l, in)
		return res, nil
	}
	res.Codes = make([]int8, m*k)
	res.Scales = make([]float32, m*res.Groups)
	res.Zeros = make([]int32, m)
	parallel(m, func(i int) {
		row, scales := x[i*k:(i+1)*k], res.Scales[i*res.Groups:(i+1)*res.Groups]
		var codes []int8
		if r.Kind == quant.Int4FlatQuant {
			_, codes, scales[0] = FlatQuant(l.Transform, xt, row)
		} else {
			var s []float32
			codes, s, res.Zeros[i] = Quantize(r, xt, &act, row)
			copy(scales, s)
		}
		copy(res.Codes[i*k:], codes)
	})
	res.multiply(l, res.dequantize(r.Kind, &act))
	return res, nil
}

// RunGiven computes l for activations that are quantized already, as a kernel
// shows them: codes [M, K] in the order of K, scales [M, act.Count()] of the
// recipe's ActGroups, zeros [M]. It copies them.
func RunGiven(l *quant.Linear, r quant.Recipe, codes []int8, scales []float32, zeros []int32, m int) (*Result, error) {
	if err := check(l, r); err != nil {
		return nil, err
	}
	if r.Kind == quant.Exact {
		return nil, quant.Errorf(quant.ErrUnsupported, l.Name, "recipe", "one with codes", "%v", r)
	}
	k := l.Weight.K()
	act := r.ActGroups(l.Weight.Groups())
	if m < 0 || len(codes)/k != m || len(codes)%k != 0 || len(scales) != m*act.Count() || len(zeros) != m {
		return nil, quant.Errorf(quant.ErrShape, l.Name, "activations", fmt.Sprintf("%d codes, %d scales, %d zero points", m*k, m*act.Count(), m),
			"%d, %d, %d", len(codes), len(scales), len(zeros))
	}
	res := &Result{M: m, N: l.Weight.N(), K: k, Groups: act.Count(),
		Codes: append([]int8{}, codes...), Scales: append([]float32{}, scales...), Zeros: append([]int32{}, zeros...)}
	res.multiply(l, res.dequantize(r.Kind, &act))
	return res, nil
}

// check reports a recipe that the layer cannot have.
func check(l *quant.Linear, r quant.Recipe) error {
	form := l.Weight.Form()
	if err := form.Check(); err != nil {
		return err
	}
	if l.HasBias() && len(l.Bias) != form.N {
		return quant.Errorf(quant.ErrShape, l.Name, "bias", fmt.Sprintf("%d elements", form.N), "%d elements", len(l.Bias))
	}
	if err := l.CheckRecipe(r); err != nil {
		return err
	}
	if l.Transform != nil {
		return l.Transform.Check(l.Name, form.K)
	}
	return nil
}

// input is the left factor of the product.
type input struct {
	a     []float64 // [M, K] what enters: x, or sx·(code − zero)
	slack []float64 // [M, K] (hi − lo)·sx for a code slack of one; nil for Exact
}

// dequantize returns the values that the codes stand for; exact in float64.
func (r *Result) dequantize(kind quant.RecipeKind, act *quant.Groups) input {
	group := act.Index(nil)
	in := input{a: make([]float64, r.M*r.K), slack: make([]float64, r.M*r.K)}
	for i, c := range r.Codes {
		row := i / r.K
		s := float64(r.Scales[row*r.Groups+int(group[i%r.K])])
		lo, hi := Interval(kind, c, 1)
		in.a[i] = s * float64(int32(c)-r.Zeros[row])
		in.slack[i] = math.Abs(s) * float64(max(0, hi-lo))
	}
	return in
}

// multiply fills everything that depends on the weights, spreading the rows of
// W over the processors.
func (r *Result) multiply(l *quant.Linear, in input) {
	r.Y = make([]float64, r.M*r.N)
	r.mag = make([]float64, r.M*r.N)
	r.abs = make([]float64, r.M*r.N)
	r.cols = make([]float64, r.N)
	r.rows = make([]float64, r.M)
	r.NonFinite = make([]bool, r.M)
	if in.slack != nil {
		r.slack = make([]float64, r.M*r.N)
	}
	for m := range r.M {
		for _, a := range in.a[m*r.K : (m+1)*r.K] {
			r.rows[m] += math.Abs(a)
		}
		r.NonFinite[m] = r.rows[m]-r.rows[m] != 0
	}
	group := l.Weight.Groups().Index(nil)
	const block = 16 // rows of W that a goroutine takes at once
	parallel((r.N+block-1)/block, func(i int) {
		c := column{w: make([]float64, r.K), mag: make([]float64, r.K)}
		for n := i * block; n < min((i+1)*block, r.N); n++ {
			c.decode(&l.Weight, n, group)
			r.column(&c, n, in)
			r.addBias(l.Bias, n)
		}
	})
}

// parallel calls do for 0..n−1 on all processors and returns when all are done.
func parallel(n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

// column computes output column n of every row.
func (r *Result) column(c *column, n int, in input) {
	r.cols[n] = c.sum
	for m := range r.M {
		at := m*r.N + n
		a := in.a[m*r.K : (m+1)*r.K]
		r.Y[at], r.mag[at], r.abs[at] = dot(a, c.w, c.mag)
		if in.slack != nil {
			r.slack[at] = absDot(in.slack[m*r.K:(m+1)*r.K], c.w)
		}
	}
}

func (r *Result) addBias(bias []float32, n int) {
	if len(bias) == 0 {
		return
	}
	b := float64(bias[n])
	for m := range r.M {
		r.Y[m*r.N+n] += b
		r.mag[m*r.N+n] += math.Abs(b)
	}
}

// dot returns Σa·w, Σ|a|·v and Σ|a|·|w|. Even and odd k have their own sums,
// so that the processor need not wait for one addition before the next.
func dot(a, w, v []float64) (y, mag, abs float64) {
	w, v = w[:len(a)], v[:len(a)]
	var y0, y1, m0, m1, b0, b1 float64
	k := 0
	for ; k+1 < len(a); k += 2 {
		p, q := float64(a[k]*w[k]), float64(a[k+1]*w[k+1])
		y0 += p
		y1 += q
		b0 += math.Abs(p)
		b1 += math.Abs(q)
		m0 += float64(math.Abs(a[k]) * v[k])
		m1 += float64(math.Abs(a[k+1]) * v[k+1])
	}
	if k < len(a) {
		p := float64(a[k] * w[k])
		y0 += p
		b0 += math.Abs(p)
		m0 += float64(math.Abs(a[k]) * v[k])
	}
	return y0 + y1, m0 + m1, b0 + b1
}

// absDot returns Σd·|w|.
func absDot(d, w []float64) float64 {
	w = w[:len(d)]
	var s0, s1 float64
	k := 0
	for ; k+1 < len(d); k += 2 {
		s0 += float64(d[k] * math.Abs(w[k]))
		s1 += float64(d[k+1] * math.Abs(w[k+1]))
	}
	if k < len(d) {
		s0 += float64(d[k] * math.Abs(w[k]))
	}
	return s0 + s1
}
