package quantize

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// stripElements is how many weights are quantized at a time. Sums are over strips, in
// their order, so that no figure depends on the number of threads.
const stripElements = 1 << 16

// quantizeLayer fills dst from the plain weight w, rows on all threads, and returns
// the sums of its errors.
func quantizeLayer(ctx context.Context, dst, w *quant.Weight, l *layer, threads int) (sums, error) {
	if err := dst.Reset(l.form); err != nil {
		return sums{}, err
	}
	t, _ := w.Plain()
	rows := max(1, stripElements/w.K())
	strips := make([]sums, (w.N()+rows-1)/rows)
	errs := make([]error, len(strips))
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(threads, len(strips)) {
		all.Go(func() {
			var b baseline
			for {
				i := int(next.Add(1)) - 1
				if i >= len(strips) {
					return
				}
				if errs[i] = ctx.Err(); errs[i] == nil {
					strips[i], errs[i] = b.strip(dst, w, l, t, i*rows, min(rows, w.N()-i*rows))
				}
				if errs[i] != nil {
					next.Store(int64(len(strips)))
				}
			}
		})
	}
	all.Wait()
	var total sums
	for i := range strips {
		if errs[i] != nil {
			return total, errs[i]
		}
		total.add(strips[i])
	}
	return total, nil
}

// baseline is what one thread keeps to measure parity mode beside what is written.
type baseline struct {
	plain  quant.Weight
	values []float32
	codes  []uint8
}

// strip quantizes n rows from first on.
func (b *baseline) strip(dst, w *quant.Weight, l *layer, t dtype.DType, first, n int) (sums, error) {
	data := w.Rows(first, n)
	name := l.Name + ".weight"
	if err := l.rtn.QuantizeRows(dst, name, t, first, data); err != nil {
		return sums{}, err
	}
	s := b.errors(dst, t, data, first, n)
	if l.settings.Parity {
		s.rtn = s.err
		return s, nil
	}
	parity := quant.RTN{Bits: l.rtn.Bits, Group: l.rtn.Group, Asymmetric: l.rtn.Asymmetric}
	err := parity.Quantize(&b.plain, name, t, n, w.K(), data)
	if errors.Is(err, quant.ErrRange) { // float16 overflows there and not in float64
		s.rtn = math.Inf(1)
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.rtn = b.errors(&b.plain, t, data, 0, n).err
	return s, nil
}

// errors adds up the squared weights, and the squared differences of the n rows of
// q from first on to the weights in data.
func (b *baseline) errors(q *quant.Weight, t dtype.DType, data []byte, first, n int) (s sums) {
	k, groups := q.K(), q.Groups()
	b.values, b.codes = resize(b.values, k), resize(b.codes, k)
	for i := range n {
		dtype.Decode(t, b.values, data[i*k*t.Size():])
		q.UnpackRow(b.codes, first+i)
		for g, at := 0, 0; at < k; g++ {
			end := k
			if size := groups.Size(); groups.Count() > 1 {
				end = min(at+size, k)
			}
			scale, zero := float64(q.Scale(first+i, g)), float64(q.Zero(first+i, g))
			for ; at < end; at++ {
				v := float64(b.values[at])
				d := float64(scale*(float64(b.codes[at])-zero)) - v
				s.power += float64(v * v)
				s.err += float64(d * d)
			}
		}
	}
	return s
}

func resize[T any](b []T, n int) []T {
	if cap(b) < n {
		return make([]T, n)
	}
	return b[:n]
}
