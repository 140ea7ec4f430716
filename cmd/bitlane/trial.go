package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/prepacked"
	"github.com/bitlane/bitlane/quant"
)

// trial is one layer on the device: what it gave, to be held to the reference.
type trial struct {
	*runner
	linear *quant.Linear
	spec   backend.Spec
	kernel backend.Kernel
	x      []float32 // [rows, K], exact in spec.X
	layer  backend.Layer
	stream backend.Stream
	y      []byte // of the last run with spec.Y, [M, N]

	part     prepacked.Part // what linear is of the model
	restored bool           // out of the cache
}

// run prepares the layer, applies it for each number of rows and verifies the
// results: y as it is, and where the kernel can give float32, y before the
// rounding to the output type.
func (t *trial) run(ctx context.Context, rows []int) ([]runResult, error) {
	var err error
	if t.stream, err = t.dev.NewStream(); err != nil {
		return nil, err
	}
	if err = t.prepare(ctx); err != nil {
		return nil, err
	}
	results := make([]runResult, len(rows))
	var outputs []output
	for i, m := range rows {
		o, err := t.apply(ctx, t.layer, t.spec.Y, m, &results[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", plural(m, "row"), err)
		}
		results[i].count(m, t.x[:m*t.spec.K], t.spec.Y, o.y)
		outputs, t.y = append(outputs, o), o.y
	}
	spec := t.spec
	spec.Y = dtype.F32
	if t.spec.Y != dtype.F32 && t.kernel.Supports(t.dev.Info(), spec) == nil {
		layer, err := t.kernel.Prepare(ctx, t.dev, t.linear, spec)
		if err != nil {
			return nil, err
		}
		defer layer.Close()
		for i, m := range rows {
			var untimed runResult
			o, err := t.apply(ctx, layer, dtype.F32, m, &untimed)
			if err != nil {
				return nil, fmt.Errorf("%s, float32 output: %w", plural(m, "row"), err)
			}
			o.result = &results[i]
			outputs = append(outputs, o)
		}
	}
	return results, t.judge(ctx, outputs)
}

// prepare packs the layer, or takes it out of the cache of packed weights.
func (t *trial) prepare(ctx context.Context) (err error) {
	if t.cache == nil {
		t.layer, err = t.kernel.Prepare(ctx, t.dev, t.linear, t.spec)
		return err
	}
	request := backend.Request{Recipe: &t.spec.Recipe, X: t.spec.X, Y: t.spec.Y, MaxRows: t.spec.MaxRows}
	begin := time.Now()
	layer, report, err := t.cache.NewLinear(ctx, t.dev, t.model, t.part, request, t.f.choose())
	if err != nil {
		return err
	}
	t.layer, t.restored = layer, report.Restored
	if took := time.Since(begin); t.restored {
		t.restoring += took
	} else {
		t.packing += took
	}
	if report.Note != "" {
		t.e.warn("%s: %s", t.part.Name, report.Note)
	}
	return nil
}

// The timing of one number of rows: a first call that is not counted, then
// calls until either bound is reached.
const (
	timedCalls = 9
	timedFor   = 300 * time.Millisecond
)

// apply runs layer on the first m rows of x and times it.
func (t *trial) apply(ctx context.Context, layer backend.Layer, yt dtype.DType, m int, res *runResult) (output, error) {
	n, k := t.spec.N, t.spec.K
	out := output{result: res, m: m, yt: yt}
	x, err := t.dev.Alloc(m * k * t.spec.X.Size())
	if err != nil {
		return out, err
	}
	defer x.Close()
	y, err := t.dev.Alloc(m * n * yt.Size())
	if err != nil {
		return out, err
	}
	defer y.Close()
	ws, err := t.dev.Alloc(layer.Workspace(m))
	if err != nil {
		return out, err
	}
	defer ws.Close()
	host := make([]byte, x.Len())
	dtype.Encode(t.spec.X, host, t.x[:m*k])
	if err := t.stream.Upload(backend.Whole(x), host); err != nil {
		return out, err
	}
	xt := backend.Dense(backend.Whole(x), t.spec.X, m, k)
	dst := backend.Dense(backend.Whole(y), yt, m, n)
	var times []time.Duration
	begin := time.Now()
	for i := 0; i <= timedCalls && (i < 2 || time.Since(begin) < timedFor); i++ {
		start := time.Now()
		if err := layer.Apply(t.stream, dst, xt, backend.Whole(ws)); err != nil {
			return out, err
		}
		if err := t.stream.Sync(ctx); err != nil {
			return out, err
		}
		if i > 0 {
			times = append(times, time.Since(start))
		}
	}
	slices.Sort(times)
	median := times[len(times)/2].Seconds()
	*res = runResult{M: m, Seconds: median, GBps: float64(layer.Bytes()) / median / 1e9, Accepted: true}
	out.y = make([]byte, y.Len())
	if err := t.stream.Download(out.y, backend.Whole(y)); err != nil {
		return out, err
	}
	if coder, ok := layer.(backend.Coder); ok && t.spec.Recipe.Kind != quant.Exact {
		act := t.spec.Recipe.ActGroups(t.linear.Weight.Groups())
		out.codes, out.scales, out.zeros = make([]int8, m*k), make([]float32, m*act.Count()), make([]int32, m)
		return out, coder.Codes(t.stream, xt, out.codes, out.scales, out.zeros)
	}
	return out, nil
}

func (t *trial) close() {
	if t.layer != nil {
		t.layer.Close()
	}
	if t.stream != nil {
		t.stream.Close()
	}
}
