package checkpoint

import (
	"context"
	"fmt"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// The buffers of module.Scratch that a plain load uses.
const (
	bufElements = iota
	bufTransposed
	bufBias
)

// stripBytes is how much of a plain weight is read at a time.
const stripBytes = 1 << 20

// Load reads the linear layer called name, one of Modules or of Fused, into
// dst, whose memory is reused: loading one layer after another into one Linear
// holds one layer at a time. Of a layer whose parts are joined, memory is not
// reused, and all parts are held. dst is undefined after an error. The findings are
// what looks wrong in the file but can be read.
//
// An unknown name is quant.ErrUnsupported, as is a part that is refused; damage
// is quant.ErrFormat, or quant.ErrRange for a weight that cannot be quantized;
// both name the tensor, and in a model of several files that. Parts that cannot be one layer
// are quant.ErrShape or ErrDType, naming the two that differ, a part that is
// missing is quant.ErrFormat.
func (m *Model) Load(ctx context.Context, dst *quant.Linear, name string) ([]module.Finding, error) {
	if dst == nil {
		return nil, noDestination(name)
	}
	if f := m.fusion(name); f != nil {
		return m.loadFused(ctx, dst, f)
	}
	if why := m.whyRefused(name); why != "" {
		return nil, quant.Errorf(quant.ErrUnsupported, name, "module", "one that is read", "refused: %s", why)
	}
	if _, ok := m.module(name); !ok {
		return nil, m.unknown(name)
	}
	s := m.scratch.Get().(*module.Scratch)
	defer m.scratch.Put(s)
	var found []module.Finding
	var err error
	if p, ok := m.plain[name]; ok {
		dst.Reset(name)
		err = m.loadPlain(ctx, dst, &p, s)
	} else {
		found, err = m.format.Load(ctx, dst, name, s)
	}
	dst.DType = m.settings.dtype
	return found, m.inFiles(err)
}

// LoadPlain reads a linear layer that is stored as floats as it is stored, also
// where Load quantizes it. Memory and errors are those of Load.
func (m *Model) LoadPlain(ctx context.Context, dst *quant.Linear, name string) error {
	if dst == nil {
		return noDestination(name)
	}
	p, ok := m.plain[name]
	if !ok {
		return quant.Errorf(quant.ErrUnsupported, name, "module", "a linear layer that is stored as floats", "another, or none of this model's")
	}
	s := m.scratch.Get().(*module.Scratch)
	defer m.scratch.Put(s)
	p.quantize = false
	dst.Reset(name)
	err := m.loadPlain(ctx, dst, &p, s)
	dst.DType = m.settings.dtype
	return m.inFiles(err)
}

func noDestination(name string) error {
	return quant.Errorf(quant.ErrShape, name, "destination", "a Linear", "nil")
}

func (m *Model) loadPlain(ctx context.Context, dst *quant.Linear, p *plain, s *module.Scratch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := module.ReadBias(dst, m.src, dst.Name+".bias", p.n, s, bufBias); err != nil {
		return err
	}
	if !p.quantize && !p.transposed {
		return m.readRows(ctx, &dst.Weight, p, s)
	}
	b, err := s.Read(bufElements, m.src, p.tensor.Name)
	if err != nil {
		return err
	}
	if p.transposed {
		t := s.Bytes(bufTransposed, len(b))
		transpose(t, b, p.k, p.n, p.dtype.Size())
		b = t
	}
	if p.quantize {
		return m.rtn.Quantize(&dst.Weight, p.tensor.Name, p.dtype, p.n, p.k, b)
	}
	if err := dst.Weight.Reset(quant.Form{N: p.n, K: p.k, Plain: p.dtype}); err != nil {
		return err
	}
	return storeRows(&dst.Weight, p, b, 0)
}

// readRows reads a plain weight strip by strip.
func (m *Model) readRows(ctx context.Context, w *quant.Weight, p *plain, s *module.Scratch) error {
	if err := w.Reset(quant.Form{N: p.n, K: p.k, Plain: p.dtype}); err != nil {
		return err
	}
	pitch := p.k * p.dtype.Size()
	strip := max(1, stripBytes/pitch)
	for n := 0; n < p.n; n += strip {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := s.Bytes(bufElements, pitch*min(strip, p.n-n))
		if err := m.src.ReadAt(b, p.tensor.Name, int64(n)*int64(pitch)); err != nil {
			return err
		}
		if err := storeRows(w, p, b, n); err != nil {
			return err
		}
	}
	return nil
}

// storeRows copies whole rows of elements to w from row n on and refuses one
// that is not finite.
func storeRows(w *quant.Weight, p *plain, b []byte, n int) error {
	pitch := p.k * p.dtype.Size()
	for ; len(b) > 0; b = b[pitch:] {
		row := w.Row(n)
		copy(row, b[:pitch])
		if k := module.NonFinite(p.dtype, row); k >= 0 {
			return quant.Errorf(quant.ErrFormat, p.tensor.Name, fmt.Sprintf("weight of output feature %d, input feature %d", n, k), "a finite number", "%v", p.dtype.At(row, k))
		}
		n++
	}
	return nil
}

// transpose writes the [rows, cols] matrix src of elements of size bytes to
// dst as [cols, rows], in squares that stay in cache.
func transpose(dst, src []byte, rows, cols, size int) {
	const side = 32
	for r0 := 0; r0 < rows; r0 += side {
		for c0 := 0; c0 < cols; c0 += side {
			for c := c0; c < min(c0+side, cols); c++ {
				for r := r0; r < min(r0+side, rows); r++ {
					copy(dst[(c*rows+r)*size:][:size], src[(r*cols+c)*size:])
				}
			}
		}
	}
}
