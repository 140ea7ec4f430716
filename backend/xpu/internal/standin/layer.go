package standin

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"sync/atomic"

	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

var types = map[driver.Type]dtype.DType{driver.F16: dtype.F16, driver.BF16: dtype.BF16, driver.F32: dtype.F32}

// layer is a plan.
type layer struct {
	engine  *engine
	plan    driver.Plan
	buckets []driver.Bucket
	bound   atomic.Int64
}

// Prepare implements driver.Engine. What it does not check, the shim does.
func (e *engine) Prepare(p *driver.Plan) (driver.Layer, error) {
	if err := e.lib.fault("layer_prepare"); err != nil {
		return nil, err
	}
	if why := wrong(p); why != "" {
		return nil, failed("layer_prepare", driver.Invalid, "%s", why)
	}
	impl := e.lib.Impl
	if e.lib.Implementation != nil {
		impl = e.lib.Implementation(p)
	}
	if impl == "" {
		impl = "standin"
	}
	reference := strings.Contains(impl, "ref")
	if reference && p.RefuseReference {
		return nil, failed("layer_prepare", driver.WrongImplementation, "%s", impl)
	}
	l := &layer{engine: e, plan: *p}
	for rows := 1; ; rows *= 2 {
		rows = min(rows, p.MaxRows)
		l.buckets = append(l.buckets, driver.Bucket{Rows: rows, Workspace: int64(256 * rows), Implementation: impl, Reference: reference})
		if rows == p.MaxRows {
			break
		}
	}
	e.born("layer")
	return l, nil
}

func wrong(p *driver.Plan) string {
	_, x := types[p.X]
	_, y := types[p.Y]
	_, scale := types[p.Scale]
	switch {
	case !x || !y || scale == (p.Weight == driver.F32):
		return fmt.Sprintf("types %d, %d, %d", p.X, p.Y, p.Scale)
	case p.K < 1 || p.N < 1 || p.XCols < 1 || p.XCols > p.K || p.YCols < 1 || p.YCols > p.N || p.MaxRows < 1:
		return "sizes"
	case p.Group < 1 || p.K%p.Group != 0 || p.Group%16 != 0 && p.Group != p.K:
		return fmt.Sprintf("group %d", p.Group)
	case p.Stride < p.K || p.Weight == driver.U4 && p.Stride%2 != 0:
		return fmt.Sprintf("stride %d", p.Stride)
	case p.Weight != driver.U4 && p.Weight != driver.S8 && (p.Weight != driver.F32 || p.Group != p.K || p.ZeroKind != driver.NoZeros || p.Activations != driver.Exact):
		return "weights"
	case p.Slice != 0 && (p.Activations != driver.Exact || p.Slice%p.Group != 0 && p.Group%p.Slice != 0):
		return fmt.Sprintf("slice %d of groups of %d", p.Slice, p.Group)
	case p.Activations == driver.Exact && p.Compute != driver.F32:
		return "compute"
	case p.ZeroKind == driver.ScalarZero && (p.ZeroType != driver.S8 || p.Zero < -128 || p.Zero > 127):
		return "zero"
	}
	return ""
}

func (l *layer) Buckets() []driver.Bucket { return l.buckets }

func (l *layer) Bind(s driver.Stream, w driver.Weights) (driver.Binding, error) {
	if err := l.engine.lib.fault("bind"); err != nil {
		return nil, err
	}
	st := s.(*stream)
	st.bound++
	l.bound.Add(1)
	l.engine.born("binding")
	return &binding{layer: l, stream: st, weights: w}, nil
}

func (l *layer) Close() error {
	if n := l.bound.Load(); n > 0 {
		return failed("layer_destroy", driver.Busy, "%d bindings live", n)
	}
	l.engine.died("layer")
	return nil
}

type binding struct {
	layer   *layer
	stream  *stream
	weights driver.Weights
	closed  bool
}

func (b *binding) Close() error {
	if b.closed {
		return failed("unbind", driver.Invalid, "twice")
	}
	b.closed = true
	b.stream.bound--
	b.layer.bound.Add(-1)
	b.layer.engine.died("binding")
	return nil
}

// rows reads x, widened.
func (b *binding) rows(c *driver.Call) ([][]float32, error) {
	p, t := &b.layer.plan, types[b.layer.plan.X]
	all := make([][]float32, c.Rows)
	for m := range all {
		raw, err := b.layer.engine.at(c.X+driver.Ptr(m*c.XStride*t.Size()), int64(p.XCols*t.Size()))
		if err != nil {
			return nil, err
		}
		all[m] = make([]float32, p.K)
		dtype.Decode(t, all[m][:p.XCols], raw)
	}
	return all, nil
}

// row quantizes one.
func (b *binding) row(x []float32) (codes []int8, scale float32) {
	p := &b.layer.plan
	codes = make([]int8, p.K)
	act := quant.OneGroup(p.XCols)
	var scales [1]float32
	recipe := quant.Recipe{Kind: quant.Int8TokenXPU}
	if p.Activations == driver.Token {
		recipe.Kind = quant.Int8Token
	}
	recipe.QuantizeRow(types[p.X], &act, codes[:p.XCols], scales[:], x[:p.XCols])
	for k := p.XCols; k < p.K; k++ {
		codes[k] = 99 // whatever it is, its weight is 0
	}
	return codes, scales[0]
}

func (b *binding) Quantize(c *driver.Call, codes, scales driver.Ptr) error {
	p, e := &b.layer.plan, b.layer.engine
	if err := b.stream.begin("quantize"); err != nil {
		return err
	}
	if p.Activations == driver.Exact || !p.Codes {
		return failed("quantize", driver.Invalid, "the plan has no codes")
	}
	all, err := b.rows(c)
	if err != nil {
		return err
	}
	for m, x := range all {
		q, scale := b.row(x)
		to, err := e.at(codes+driver.Ptr(m*p.XCols), int64(p.XCols))
		if err != nil {
			return err
		}
		for k := range to {
			to[k] = byte(q[k])
		}
		if to, err = e.at(scales+driver.Ptr(4*m), 4); err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(to, math.Float32bits(scale))
	}
	return nil
}

// numbers is the weights of an output, as they were packed.
type numbers struct {
	codes         []float32 // or plain weights
	scales, zeros []float32 // of the output's groups
	bias          float32
}

func (b *binding) output(n int) (w numbers, err error) {
	p, e := &b.layer.plan, b.layer.engine
	at := func(from driver.Ptr, offset, bytes int) []byte {
		raw, bad := e.at(from+driver.Ptr(offset), int64(bytes))
		if bad != nil {
			err = bad
			return make([]byte, bytes)
		}
		return raw
	}
	w.codes = make([]float32, p.K)
	switch p.Weight {
	case driver.F32:
		dtype.Decode(dtype.F32, w.codes, at(b.weights.Codes, 4*n*p.Stride, 4*p.K))
	case driver.U4:
		raw := at(b.weights.Codes, n*p.Stride/2, (p.K+1)/2)
		for k := range w.codes {
			w.codes[k] = float32(raw[k/2] >> (4 * (k % 2)) & 15)
		}
	default:
		for k, v := range at(b.weights.Codes, n*p.Stride, p.K) {
			w.codes[k] = float32(int8(v))
		}
	}
	t := types[p.Scale]
	for g := range p.K / p.Group {
		s := [1]float32{1}
		if p.Weight != driver.F32 {
			dtype.Decode(t, s[:], at(b.weights.Scales, (g*p.N+n)*t.Size(), t.Size()))
		}
		zero := 0
		switch p.ZeroKind {
		case driver.ScalarZero:
			zero = p.Zero
		case driver.GroupedZeros:
			zero = int(int8(at(b.weights.Zeros, g*p.N+n, 1)[0]))
		}
		w.scales, w.zeros = append(w.scales, s[0]), append(w.zeros, float32(zero))
	}
	if p.Bias != 0 {
		w.bias = math.Float32frombits(binary.LittleEndian.Uint32(at(b.weights.Bias, 4*n, 4)))
	}
	return w, err
}

func (b *binding) Apply(c *driver.Call) error {
	p, e := &b.layer.plan, b.layer.engine
	if err := b.stream.begin("apply"); err != nil || e.lib.Idle {
		return err
	}
	need := int64(0)
	for _, bucket := range b.layer.buckets {
		if need = bucket.Workspace; c.Rows <= bucket.Rows {
			break
		}
	}
	scratch, err := e.at(c.Workspace, need)
	if err != nil || c.WorkspaceBytes < need || c.Workspace%alignment != 0 {
		return failed("apply", driver.Invalid, "workspace of %d bytes at %#x: %v", c.WorkspaceBytes, c.Workspace, err)
	}
	for i := range scratch {
		scratch[i] ^= 0x55 // it is ours for the call
	}
	all, err := b.rows(c)
	if err != nil {
		return err
	}
	t := types[p.Y]
	for n := range p.YCols {
		w, err := b.output(n)
		if err != nil {
			return err
		}
		for m, x := range all {
			var y float32
			if p.Activations == driver.Exact {
				y = exact(p, x, &w)
			} else {
				y = b.quantized(x, &w)
			}
			if spoil := e.lib.Spoil; spoil != nil {
				y = spoil(y)
			}
			raw, err := e.at(c.Y+driver.Ptr((m*c.YStride+n)*t.Size()), int64(t.Size()))
			if err != nil {
				return err
			}
			dtype.Encode(t, raw, []float32{y})
		}
	}
	return nil
}

// exact has a chain of sums for each slice.
func exact(p *driver.Plan, x []float32, w *numbers) (y float32) {
	slice := p.Slice
	if slice == 0 {
		slice = p.K
	}
	for first := 0; first < p.K; first += slice {
		var sum float32
		for k := first; k < min(first+slice, p.K); k++ {
			g := k / p.Group
			weight := float32((w.codes[k] - w.zeros[g]) * w.scales[g])
			sum += float32(x[k] * weight)
		}
		y += sum
	}
	return y + w.bias
}

// quantized has an integer for each group.
func (b *binding) quantized(x []float32, w *numbers) (y float32) {
	p := &b.layer.plan
	codes, scale := b.row(x)
	for g := range w.scales {
		sum := 0
		for k := g * p.Group; k < (g+1)*p.Group; k++ {
			sum += int(codes[k]) * int(w.codes[k]-w.zeros[g])
		}
		y += float32(float32(sum) * w.scales[g])
	}
	return float32(y*scale) + w.bias
}
