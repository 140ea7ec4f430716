package conformance

import (
	"bytes"
	"fmt"
	"math"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant/reference"
)

const (
	guard     = 512  // bytes round each tensor and the workspace
	dstFill   = 0xC3 // what dst and its surroundings hold before
	wsGuard   = 0x96
	nanFill   = 0xFF // as any of the types: NaN
	plainFill = 0x40 // as any of the types: a number near 2 or 3
)

// call is one Apply and the memory round it.
type call struct {
	m          int
	x          []float32 // [m, K], exact in the Spec's X
	xGap, yGap int       // elements between the end of a row and the next one
	xOff, yOff int       // elements before the first row, so that it is aligned to its type only
	around     byte      // fills the memory of x outside its elements; 0: nanFill
	workspace  byte      // what the workspace holds before; 0: nanFill
	stream     backend.Stream
}

// outcome is what a call left behind.
type outcome struct {
	y    []float32 // [m, N]
	bits []byte    // the same as stored, without gaps

	dst, x, ws string // the first byte that was written and may not be; empty when all is well
}

// area is device memory with a tensor or workspace in its middle.
type area struct {
	buf    backend.Buffer
	before []byte
	span   backend.Span
	tensor backend.Tensor
}

func (r *rig) area(dev backend.Device, content []byte, off, size int) (*area, error) {
	buf, err := dev.Alloc(len(content))
	if err != nil {
		return nil, err
	}
	return &area{buf: buf, before: content, span: backend.Span{Buffer: buf, Offset: off, Bytes: size}}, nil
}

// matrix allocates a matrix of m rows, its surroundings filled with fill, and
// its elements with data where there is any.
func (r *rig) matrix(dev backend.Device, t dtype.DType, data []byte, m, cols, gap, off int, fill byte) (*area, error) {
	size := t.Size()
	stride := cols + gap
	extent := max(0, ((m-1)*stride+cols)*size)
	content := bytes.Repeat([]byte{fill}, guard+off*size+extent+guard)
	start := guard + off*size
	for i := 0; data != nil && i < m; i++ {
		copy(content[start+i*stride*size:], data[i*cols*size:(i+1)*cols*size])
	}
	a, err := r.area(dev, content, start, extent)
	if err != nil {
		return nil, err
	}
	a.tensor = backend.Tensor{Span: a.span, DType: t, Rows: m, Cols: cols, Stride: stride}
	return a, nil
}

// space allocates a workspace of exactly size bytes.
func (r *rig) space(dev backend.Device, size int, fill byte) (*area, error) {
	content := bytes.Repeat([]byte{wsGuard}, guard+size+guard)
	copy(content[guard:], bytes.Repeat([]byte{fill}, size))
	return r.area(dev, content, guard, size)
}

// send writes the memory that the call starts from.
func (a *area) send(s backend.Stream) error { return s.Upload(backend.Whole(a.buf), a.before) }

// fetch reads all of the area.
func (a *area) fetch(s backend.Stream) ([]byte, error) {
	after := make([]byte, len(a.before))
	return after, s.Download(after, backend.Whole(a.buf))
}

func (a *area) close() {
	if a != nil {
		_ = a.buf.Close()
	}
}

// operands are the memory of one call.
type operands struct{ x, dst, ws *area }

func (o *operands) close() {
	o.x.close()
	o.dst.close()
	o.ws.close()
}

// operands allocates and fills what c needs on the device.
func (r *rig) operands(dev backend.Device, st backend.Stream, l backend.Layer, c call) (o *operands, err error) {
	s := l.Spec()
	o = &operands{}
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	if o.x, err = r.matrix(dev, s.X, encode(s.X, c.x), c.m, s.K, c.xGap, c.xOff, or(c.around, nanFill)); err != nil {
		return o, err
	}
	if o.dst, err = r.matrix(dev, s.Y, nil, c.m, s.N, c.yGap, c.yOff, dstFill); err != nil {
		return o, err
	}
	if o.ws, err = r.space(dev, l.Workspace(c.m), or(c.workspace, nanFill)); err != nil {
		return o, err
	}
	for _, a := range []*area{o.x, o.dst, o.ws} {
		if err = a.send(st); err != nil {
			return o, err
		}
	}
	return o, nil
}

func or(b, other byte) byte {
	if b == 0 {
		return other
	}
	return b
}

// apply runs one call on the device of r and looks at all memory afterwards.
func (r *rig) apply(l backend.Layer, c call) (outcome, error) { return r.applyOn(r.dev, l, c) }

func (r *rig) applyOn(dev backend.Device, l backend.Layer, c call) (outcome, error) {
	st := c.stream
	if st == nil {
		st = r.st
	}
	o, err := r.operands(dev, st, l, c)
	if err != nil {
		return outcome{}, err
	}
	defer o.close()
	if err := l.Apply(st, o.dst.tensor, o.x.tensor, o.ws.span); err != nil {
		return outcome{}, fmt.Errorf("apply: %w", err)
	}
	if err := st.Sync(r.ctx); err != nil {
		return outcome{}, fmt.Errorf("sync: %w", err)
	}
	return o.outcome(st)
}

// outcome reads back all memory of the call.
func (o *operands) outcome(st backend.Stream) (out outcome, err error) {
	dst, err := o.dst.fetch(st)
	if err != nil {
		return out, err
	}
	x, err := o.x.fetch(st)
	if err != nil {
		return out, err
	}
	ws, err := o.ws.fetch(st)
	if err != nil {
		return out, err
	}
	t := o.dst.tensor
	row := t.Cols * t.DType.Size()
	for i := range t.Rows {
		at := t.Offset + i*t.Stride*t.DType.Size()
		out.bits = append(out.bits, dst[at:at+row]...)
		copy(dst[at:at+row], o.dst.before[at:]) // what is left differs where it may not
	}
	out.y = make([]float32, t.Rows*t.Cols)
	dtype.Decode(t.DType, out.y, out.bits)
	copy(ws[o.ws.span.Offset:][:o.ws.span.Bytes], o.ws.before[o.ws.span.Offset:])
	out.dst, out.x, out.ws = changed(o.dst, dst), changed(o.x, x), changed(o.ws, ws)
	return out, nil
}

// changed names the first byte of the area that is not as before.
func changed(a *area, after []byte) string {
	if bytes.Equal(after, a.before) {
		return ""
	}
	for i, b := range after {
		if b != a.before[i] {
			return fmt.Sprintf("byte %d from its start (it has %d) was %#02x and is %#02x", i-a.span.Offset, a.span.Bytes, a.before[i], b)
		}
	}
	return ""
}

// bound is the kernel's statement as the judge takes it.
func (s *subject) bound() reference.Bound {
	return reference.Bound{Depth: s.num.Depth, WeightRound: s.num.WeightRound, FlushBelow: s.num.FlushBelow, CodeSlack: s.num.CodeSlack}
}

// judge runs m rows of the cell's input and holds y to the reference: equal
// for an exact cell, within the acceptance rule for others.
func (r *rig) judge(s *subject, m int) { r.judgeCall(s, call{m: m, x: s.input(s.linear, m)}) }

func (r *rig) judgeCall(s *subject, c call) {
	out, err := r.apply(s.layer, c)
	if err != nil {
		r.fail(s, "M %d: %v", c.m, err)
		return
	}
	r.compare(s, c, out)
}

func (r *rig) compare(s *subject, c call, out outcome) {
	ref, err := reference.Run(s.linear, s.spec.Recipe, s.spec.X, c.x, c.m)
	r.must(err, "reference")
	r.against(s, ref, out)
}

// against holds y to a result of the reference and reports the worst element.
func (r *rig) against(s *subject, ref *reference.Result, out outcome) {
	b := s.bound()
	wrong, worst, at := 0, -1.0, 0
	for i, y := range out.y {
		row, col := i/ref.N, i%ref.N
		ratio := ref.Ratio(row, col, y, b)
		ok := false
		if s.exact && !ref.NonFinite[row] {
			ok = float64(y) == s.spec.Y.RoundF64(ref.Y[i])
		} else {
			ok = ref.Accept(row, col, y, s.spec.Y, b)
			if s.spec.Y == dtype.F32 && ok && !math.IsInf(ratio, 0) { // infinite: sums beyond float32, accepted as they come
				r.tally(func(c *Result) { c.Worst = max(c.Worst, ratio) })
			}
		}
		if !ok {
			wrong++
			if ratio > worst {
				worst, at = ratio, i
			}
		}
	}
	if wrong == 0 {
		return
	}
	row, col := at/ref.N, at%ref.N
	want := fmt.Sprintf("%v", s.spec.Y.RoundF64(ref.Y[at]))
	switch {
	case ref.NonFinite[row]:
		want = "NaN or an infinity, its input being not finite"
	case !s.exact:
		want += fmt.Sprintf(" ± %.3g (off by %.3g of the bound)", ref.Bound(row, col, b), worst)
	}
	r.fail(s, "M %d: %d of %d outputs are wrong, the worst y[%d,%d] is %v, want %s", ref.M, wrong, len(out.y), row, col, out.y[at], want)
}

// sameBits checks that two calls gave the same bits.
func (r *rig) sameBits(s *subject, what string, got, want []byte) {
	if bytes.Equal(got, want) {
		return
	}
	size := s.spec.Y.Size()
	at := 0
	for at < len(got)-1 && at < len(want)-1 && got[at] == want[at] {
		at++
	}
	i := at / size
	n := max(s.spec.N, 1)
	r.fail(s, "%s: y[%d,%d] has the bits %x, want %x", what, i/n, i%n, got[i*size:min(len(got), (i+1)*size)], want[i*size:min(len(want), (i+1)*size)])
}
