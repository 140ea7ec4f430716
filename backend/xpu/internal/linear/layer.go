package linear

import (
	"context"
	"errors"
	"fmt"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/device"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// layer is packed weights on a device and oneDNN's primitives for them. It is
// immutable and safe for use by several goroutines.
type layer struct {
	*device.Layer
	plan *plan
}

// coder is a layer that quantizes x.
type coder struct{ layer }

var (
	_ backend.Layer = layer{}
	_ backend.Coder = coder{}
)

func newLayer(base *device.Layer, p *plan) backend.Layer {
	if p.exact {
		return layer{base, p}
	}
	return coder{layer{base, p}}
}

// Codes implements backend.Coder. It allocates, on the device too.
func (l coder) Codes(s backend.Stream, x backend.Tensor, codes []int8, scales []float32, zeros []int32) (err error) {
	if err := l.CheckInput(s, x); err != nil {
		return err
	}
	if len(codes) != x.Rows*x.Cols || len(scales) != x.Rows || len(zeros) != x.Rows {
		return quant.Errorf(backend.ErrShape, "codes", "lengths", fmt.Sprintf("%d codes, %d scales, %d zero points", x.Rows*x.Cols, x.Rows, x.Rows),
			"%d, %d, %d", len(codes), len(scales), len(zeros))
	}
	if x.Rows == 0 {
		return nil
	}
	var spans [3]backend.Span
	for i, bytes := range []int{len(codes), 4 * len(scales), l.Workspace(x.Rows)} {
		b, err := l.Device().Alloc(bytes)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.Close()) }()
		spans[i] = backend.Whole(b)
	}
	if err := l.Quantize(s, x, spans[0], spans[1], spans[2]); err != nil {
		return err
	}
	rawCodes, rawScales := make([]byte, spans[0].Bytes), make([]byte, spans[1].Bytes)
	if err := errors.Join(s.Download(rawCodes, spans[0]), s.Download(rawScales, spans[1]), s.Sync(context.Background())); err != nil {
		return err
	}
	dtype.Decode(dtype.F32, scales, rawScales)
	clear(zeros)
	for i, c := range rawCodes {
		codes[i] = int8(c)
	}
	return nil
}
