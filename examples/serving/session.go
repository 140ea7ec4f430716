package serving

import (
	"errors"
	"math"
	"unsafe"

	"github.com/bitlane/bitlane/backend"
)

// Session is the program's own memory and stream round a block: one pool,
// wrapped once and cut into activations and workspace. Its memory is host
// memory here, which the stand-ins for attention and SwiGLU read and write; on a
// GPU they would be kernels of the program on the same stream.
type Session struct {
	block  *Block
	pool   backend.Buffer
	stream backend.Stream

	x, qkv, attn, hidden, gateUp, inner backend.Tensor
	ws                                  backend.Span
}

// aligned returns n rounded up to the alignment of a workspace.
func aligned(n int) int {
	return (n + backend.WorkspaceAlign - 1) / backend.WorkspaceAlign * backend.WorkspaceAlign
}

// PoolBytes returns the memory that a Session needs, from a multiple of
// backend.WorkspaceAlign on.
func (b *Block) PoolBytes() int {
	total := aligned(b.Workspace(b.MaxRows))
	for _, cols := range b.widths() {
		total += aligned(b.DType.Size() * cols * b.MaxRows)
	}
	return total
}

// widths are the columns of the tensors of a Session.
func (b *Block) widths() [6]int {
	_, qkv := b.qkv.columns(2)
	_, gateUp := b.gateUp.columns(1)
	_, q := b.qkv.columns(0)
	_, inner := b.gateUp.columns(0)
	return [6]int{b.Hidden, qkv, q, b.Hidden, gateUp, inner}
}

// NewSession wraps the program's memory, PoolBytes long, and its stream: handle
// 0 is the default one.
func NewSession(dev backend.Device, b *Block, memory []byte, stream uintptr) (*Session, error) {
	pool, err := dev.WrapBuffer(unsafe.Pointer(unsafe.SliceData(memory)), len(memory))
	if err != nil {
		return nil, err
	}
	st, err := dev.WrapStream(stream)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	s := &Session{block: b, pool: pool, stream: st}
	at := 0
	cut := func(bytes int) backend.Span {
		span := backend.Span{Buffer: pool, Offset: at, Bytes: bytes}
		at += aligned(bytes)
		return span
	}
	w := b.widths()
	for i, t := range []*backend.Tensor{&s.x, &s.qkv, &s.attn, &s.hidden, &s.gateUp, &s.inner} {
		*t = backend.Dense(cut(b.DType.Size()*w[i]*b.MaxRows), b.DType, b.MaxRows, w[i])
	}
	s.ws = cut(b.Workspace(b.MaxRows))
	return s, nil
}

// Close lets the program's memory and stream go; they stay the program's.
func (s *Session) Close() error { return errors.Join(s.stream.Close(), s.pool.Close()) }

// Input returns the memory of the first rows of x, [rows, Hidden] of the block's
// type.
func (s *Session) Input(rows int) []byte { return s.x.Host()[:s.x.DType.Size()*rows*s.x.Cols] }

// Output returns the memory of y, [rows, Hidden] of the block's type.
func (s *Session) Output(rows int) []byte {
	return s.hidden.Host()[:s.hidden.DType.Size()*rows*s.hidden.Cols]
}

func first(t backend.Tensor, rows int) backend.Tensor {
	t.Rows = rows
	return t
}

// Forward runs the block on the first rows of x. allReduce sums the memory, of
// the block's type, over the ranks, in place. Forward allocates nothing.
func (s *Session) Forward(rows int, allReduce func([]byte)) error {
	b := s.block
	x, qkv, attn := first(s.x, rows), first(s.qkv, rows), first(s.attn, rows)
	hidden, gateUp, inner := first(s.hidden, rows), first(s.gateUp, rows), first(s.inner, rows)
	if err := b.qkv.apply(s.stream, qkv, x, s.ws); err != nil {
		return err
	}
	s.attention(rows)
	if err := b.o.Apply(s.stream, hidden, attn, s.ws); err != nil {
		return err
	}
	allReduce(s.Output(rows))
	if err := b.gateUp.apply(s.stream, gateUp, hidden, s.ws); err != nil {
		return err
	}
	s.swiglu(rows)
	if err := b.down.Apply(s.stream, hidden, inner, s.ws); err != nil {
		return err
	}
	allReduce(s.Output(rows))
	return nil
}

// attention stands in for the program's own: every token looks at itself alone,
// so that the output of a head is its value.
func (s *Session) attention(rows int) {
	from, to := s.block.qkv.columns(2)
	perKV := s.attn.Cols / (to - from) * s.block.HeadDim
	t, in, out := s.block.DType, s.qkv.Host(), s.attn.Host()
	for m := range rows {
		for c := range s.attn.Cols {
			v := from + c/perKV*s.block.HeadDim + c%s.block.HeadDim
			t.Put(out, m*s.attn.Cols+c, t.At(in, m*s.qkv.Cols+v))
		}
	}
}

// swiglu computes silu(gate)·up, rounded once.
func (s *Session) swiglu(rows int) {
	t, in, out := s.block.DType, s.gateUp.Host(), s.inner.Host()
	n := s.inner.Cols
	for m := range rows {
		for c := range n {
			gate, up := float64(t.At(in, 2*m*n+c)), float64(t.At(in, 2*m*n+n+c))
			t.Put(out, m*n+c, float32(gate/(1+math.Exp(-gate))*up))
		}
	}
}
