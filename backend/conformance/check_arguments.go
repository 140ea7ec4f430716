package conformance

import (
	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
)

func argumentChecks() []check {
	return []check{
		{Info{"arguments-type", "x or dst of another type than the Spec's is ErrDType, and nothing is written.", true}, checkArgumentTypes},
		{Info{"arguments-shape", "Shapes, sizes, alignment, overlap and rows above MaxRows that do not fit are ErrShape, and nothing is written.", true}, checkArgumentShapes},
		{Info{"arguments-device", "A buffer or stream of another device is ErrDevice, and nothing is written.", true}, checkArgumentDevices},
	}
}

// wrong is one Apply that must be refused.
type wrong struct {
	what   string
	change func(*operands)
	stream backend.Stream
}

// refuses makes each wrong Apply and looks at the error and at dst. memory are
// the operands of a right one.
func (r *rig) refuses(s *subject, memory call, class error, all ...wrong) {
	for _, w := range all {
		o, err := r.operands(r.dev, r.st, s.layer, memory)
		r.must(err, "memory")
		given := *o
		x, dst, ws := *o.x, *o.dst, *o.ws
		given.x, given.dst, given.ws = &x, &dst, &ws
		if w.change != nil {
			w.change(&given)
		}
		st := r.st
		if w.stream != nil {
			st = w.stream
		}
		err = s.layer.Apply(st, dst.tensor, x.tensor, ws.span)
		r.wantErr(s, "Apply with "+w.what, err, class)
		after, ferr := o.dst.fetch(r.st)
		r.wantNil(s, "Download", ferr)
		if err != nil && changed(o.dst, after) != "" {
			r.fail(s, "Apply with %s is refused, but dst was written: %s", w.what, changed(o.dst, after))
		}
		o.close()
	}
}

func checkArgumentTypes(r *rig) {
	r.samples(func(s *subject) {
		c := call{m: 2, x: s.input(s.linear, 2)}
		var all []wrong
		for _, t := range types {
			if t != s.spec.X && t.Size() <= s.spec.X.Size() {
				all = append(all, wrong{what: "x of " + t.String(), change: func(o *operands) { o.x.tensor.DType = t }})
			}
			if t != s.spec.Y && t.Size() <= s.spec.Y.Size() {
				all = append(all, wrong{what: "dst of " + t.String(), change: func(o *operands) { o.dst.tensor.DType = t }})
			}
		}
		all = append(all, wrong{what: "x of no type", change: func(o *operands) { o.x.tensor.DType = dtype.Invalid }})
		r.refuses(s, c, backend.ErrDType, all...)
	})
}

func checkArgumentShapes(r *rig) {
	r.samples(func(s *subject) {
		c := call{m: 2, x: s.input(s.linear, 2), xGap: 3, yGap: 3}
		all := []wrong{
			{what: "too few columns of x", change: func(o *operands) { o.x.tensor.Cols-- }},
			{what: "too many columns of x", change: func(o *operands) { o.x.tensor.Cols++ }},
			{what: "too few columns of dst", change: func(o *operands) { o.dst.tensor.Cols-- }},
			{what: "more rows of x than of dst", change: func(o *operands) { o.dst.tensor.Rows = 1 }},
			{what: "fewer rows of x than of dst", change: func(o *operands) { o.x.tensor.Rows = 1 }},
			{what: "a negative number of rows", change: func(o *operands) { o.x.tensor.Rows, o.dst.tensor.Rows = -1, -1 }},
			{what: "a row stride of x below its columns", change: func(o *operands) { o.x.tensor.Stride = s.spec.K - 1 }},
			{what: "a row stride of dst below its columns", change: func(o *operands) { o.dst.tensor.Stride = s.spec.N - 1 }},
			{what: "x one byte longer than its span", change: func(o *operands) { o.x.tensor.Bytes-- }},
			{what: "dst one byte longer than its span", change: func(o *operands) { o.dst.tensor.Bytes-- }},
			{what: "x past the end of its buffer", change: func(o *operands) { o.x.tensor.Offset = o.x.buf.Len() - 2*s.spec.X.Size() }},
			{what: "a negative offset of dst", change: func(o *operands) { o.dst.tensor.Offset = -s.spec.Y.Size() }},
			{what: "x not aligned to its type", change: func(o *operands) { o.x.tensor.Offset++ }},
			{what: "dst not aligned to its type", change: func(o *operands) { o.dst.tensor.Offset++ }},
		}
		if s.layer.Workspace(2) > 0 {
			all = append(all,
				wrong{what: "a workspace one byte short", change: func(o *operands) { o.ws.span.Bytes-- }},
				wrong{what: "no workspace", change: func(o *operands) { o.ws.span = backend.Span{} }},
				wrong{what: "a workspace that is not 256-byte aligned", change: func(o *operands) { o.ws.span.Offset += 16 }},
			)
		}
		r.refuses(s, c, backend.ErrShape, all...)
		r.overlaps(s)
		m := s.spec.MaxRows + 1
		r.refuses(s, call{m: m, x: s.input(s.linear, m)}, backend.ErrShape, wrong{what: "MaxRows + 1 rows"})
	})
}

// overlaps puts dst over x, and the workspace over either, in one buffer.
func (r *rig) overlaps(s *subject) {
	need := s.layer.Workspace(1)
	align := func(n int) int {
		return (n + backend.WorkspaceAlign - 1) / backend.WorkspaceAlign * backend.WorkspaceAlign
	}
	xBytes, yBytes := s.spec.K*s.spec.X.Size(), s.spec.N*s.spec.Y.Size()
	xAt := align(yBytes)
	wsAt := xAt + align(max(xBytes, yBytes))
	buf, err := r.dev.Alloc(wsAt + align(need))
	r.must(err, "Alloc")
	defer func() { _ = buf.Close() }()
	span := func(at, n int) backend.Span { return backend.Span{Buffer: buf, Offset: at, Bytes: n} }
	x := backend.Dense(span(xAt, xBytes), s.spec.X, 1, s.spec.K)
	dst := backend.Dense(span(0, yBytes), s.spec.Y, 1, s.spec.N)
	over := backend.Dense(span(xAt+xBytes/4*4-4, yBytes), s.spec.Y, 1, s.spec.N)
	r.wantErr(s, "Apply with dst over the end of x", s.layer.Apply(r.st, over, x, span(wsAt, need)), backend.ErrShape)
	r.wantNil(s, "Apply with all in one buffer, apart", r.zeroed(buf, s, dst, x, span(wsAt, need)))
	if need == 0 {
		return
	}
	r.wantErr(s, "Apply with a workspace over dst", s.layer.Apply(r.st, dst, x, span(0, need)), backend.ErrShape)
	r.wantErr(s, "Apply with a workspace over x", s.layer.Apply(r.st, dst, x, span(xAt, need)), backend.ErrShape)
}

// zeroed runs a right Apply on zeros.
func (r *rig) zeroed(buf backend.Buffer, s *subject, dst, x backend.Tensor, ws backend.Span) error {
	if err := r.st.Upload(backend.Whole(buf), make([]byte, buf.Len())); err != nil {
		return err
	}
	if err := s.layer.Apply(r.st, dst, x, ws); err != nil {
		return err
	}
	return r.st.Sync(r.ctx)
}

func checkArgumentDevices(r *rig) {
	other, stop := r.open(backend.OpenOptions{})
	defer func() { _ = stop() }()
	st := r.stream(other)
	defer func() { _ = st.Close() }()
	r.samples(func(s *subject) {
		c := call{m: 2, x: s.input(s.linear, 2)}
		foreign, err := r.operands(other, st, s.layer, c)
		r.must(err, "memory on another device")
		defer foreign.close()
		all := []wrong{
			{what: "another device's x", change: func(o *operands) { o.x.tensor = foreign.x.tensor }},
			{what: "another device's dst", change: func(o *operands) { o.dst.tensor = foreign.dst.tensor }},
			{what: "another device's stream", stream: st},
		}
		if s.layer.Workspace(2) > 0 {
			all = append(all, wrong{what: "another device's workspace", change: func(o *operands) { o.ws.span = foreign.ws.span }})
		}
		r.refuses(s, c, backend.ErrDevice, all...)
	})
}
