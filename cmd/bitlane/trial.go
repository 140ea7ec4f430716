package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
	"github.com/bitlane/bitlane/quant/reference"
)

// trial is one layer on the device with its buffers, and the reference that
// its results are held to.
type trial struct {
	*runner
	linear *quant.Linear
	spec   backend.Spec
	kernel backend.Kernel
	x      []float32 // [rows, K], exact in spec.X
	layer  backend.Layer
	stream backend.Stream
	truth  *reference.Result
	y      []byte // of the last run, [M, N] in spec.Y
}

// run prepares the layer, applies it for each number of rows and verifies the
// results: y as it is, and where the kernel can give float32, y before the
// rounding to the output type.
func (t *trial) run(ctx context.Context, rows []int) ([]runResult, error) {
	most := slices.Max(rows)
	var err error
	if t.truth, err = reference.Run(t.linear, t.spec.Recipe, t.spec.X, t.x, most); err != nil {
		return nil, err
	}
	if t.stream, err = t.dev.NewStream(); err != nil {
		return nil, err
	}
	if t.layer, err = t.kernel.Prepare(ctx, t.dev, t.linear, t.spec); err != nil {
		return nil, err
	}
	var results []runResult
	for _, m := range rows {
		res, err := t.apply(ctx, t.layer, t.spec.Y, m)
		if err != nil {
			return results, fmt.Errorf("M=%d: %w", m, err)
		}
		results = append(results, res)
	}
	if t.spec.Y == dtype.F32 {
		return results, nil
	}
	kept := t.y
	defer func() { t.y = kept }()
	return results, t.unrounded(ctx, rows, results)
}

// unrounded repeats the runs with float32 output, which shows the error before
// output rounding. A kernel that has no such output is left alone.
func (t *trial) unrounded(ctx context.Context, rows []int, results []runResult) error {
	spec := t.spec
	spec.Y = dtype.F32
	if t.kernel.Supports(t.dev.Info(), spec) != nil {
		return nil
	}
	layer, err := t.kernel.Prepare(ctx, t.dev, t.linear, spec)
	if err != nil {
		return err
	}
	defer layer.Close()
	for i, m := range rows {
		res, err := t.apply(ctx, layer, dtype.F32, m)
		if err != nil {
			return fmt.Errorf("M=%d: %w", m, err)
		}
		results[i].OverBound = res.OverBound
		if !res.Accepted && results[i].Accepted {
			results[i].Accepted, results[i].Wrong = false, "before output rounding: "+res.Wrong
		}
	}
	return nil
}

// The timing of one number of rows: a first call that is not counted, then
// calls until either bound is reached.
const (
	timedCalls = 9
	timedFor   = 300 * time.Millisecond
)

func (t *trial) apply(ctx context.Context, layer backend.Layer, yt dtype.DType, m int) (runResult, error) {
	n, k := t.spec.N, t.spec.K
	x, err := t.dev.Alloc(m * k * t.spec.X.Size())
	if err != nil {
		return runResult{}, err
	}
	defer x.Close()
	y, err := t.dev.Alloc(m * n * yt.Size())
	if err != nil {
		return runResult{}, err
	}
	defer y.Close()
	ws, err := t.dev.Alloc(layer.Workspace(m))
	if err != nil {
		return runResult{}, err
	}
	defer ws.Close()
	host := make([]byte, x.Len())
	dtype.Encode(t.spec.X, host, t.x[:m*k])
	if err := t.stream.Upload(backend.Whole(x), host); err != nil {
		return runResult{}, err
	}
	xt := backend.Dense(backend.Whole(x), t.spec.X, m, k)
	dst := backend.Dense(backend.Whole(y), yt, m, n)
	var times []time.Duration
	begin := time.Now()
	for i := 0; i <= timedCalls && (i < 2 || time.Since(begin) < timedFor); i++ {
		start := time.Now()
		if err := layer.Apply(t.stream, dst, xt, backend.Whole(ws)); err != nil {
			return runResult{}, err
		}
		if err := t.stream.Sync(ctx); err != nil {
			return runResult{}, err
		}
		if i > 0 {
			times = append(times, time.Since(start))
		}
	}
	t.y = make([]byte, y.Len())
	if err := t.stream.Download(t.y, backend.Whole(y)); err != nil {
		return runResult{}, err
	}
	slices.Sort(times)
	median := times[len(times)/2].Seconds()
	res := runResult{M: m, Seconds: median, GBps: float64(layer.Bytes()) / median / 1e9, Accepted: true}
	t.judge(&res, yt)
	if err := t.judgeCodes(&res, layer, xt); err != nil {
		return res, err
	}
	return res, nil
}

// judge holds y to the acceptance rule of docs/numerics.md.
func (t *trial) judge(res *runResult, yt dtype.DType) {
	bound := boundOf(t.kernel.Numerics(t.spec))
	n := t.spec.N
	for row := range res.M {
		for col := range n {
			y := yt.At(t.y, row*n+col)
			if yt == dtype.F32 {
				res.OverBound = max(res.OverBound, t.truth.Ratio(row, col, y, bound))
			}
			if res.Accepted && !t.truth.Accept(row, col, y, yt, bound) {
				res.Accepted = false
				res.Wrong = fmt.Sprintf("y[%d][%d] is %v, the reference %v, the bound %.3g", row, col, y, t.truth.Y[row*n+col], t.truth.Bound(row, col, bound))
			}
		}
	}
}

// judgeCodes compares the activation codes of a layer that shows them.
func (t *trial) judgeCodes(res *runResult, layer backend.Layer, x backend.Tensor) error {
	coder, ok := layer.(backend.Coder)
	if !ok || t.spec.Recipe.Kind == quant.Exact || t.kernel.Numerics(t.spec).CodeSlack > 0 {
		return nil
	}
	act := t.spec.Recipe.ActGroups(t.linear.Weight.Groups())
	codes := make([]int8, res.M*t.spec.K)
	scales := make([]float32, res.M*act.Count())
	zeros := make([]int32, res.M)
	if err := coder.Codes(t.stream, x, codes, scales, zeros); err != nil {
		return err
	}
	for i, z := range zeros {
		if want := t.truth.Zeros[i]; z != want && res.Accepted {
			res.Accepted = false
			res.Wrong = fmt.Sprintf("activation zero point of row %d is %d, the recipe gives %d", i, z, want)
		}
	}
	for i, c := range codes {
		if want := t.truth.Codes[i]; c != want && res.Accepted {
			res.Accepted = false
			res.Wrong = fmt.Sprintf("activation code [%d][%d] is %d, the recipe gives %d", i/t.spec.K, i%t.spec.K, c, want)
		}
	}
	for i, s := range scales {
		if want := t.truth.Scales[i]; s != want && s == s && res.Accepted {
			res.Accepted = false
			res.Wrong = fmt.Sprintf("activation scale %d of row %d is %v, the recipe gives %v", i%act.Count(), i/act.Count(), s, want)
		}
	}
	return nil
}

func boundOf(n backend.Numerics) reference.Bound {
	return reference.Bound{Depth: n.Depth, WeightRound: n.WeightRound, FlushBelow: n.FlushBelow, CodeSlack: n.CodeSlack}
}

func (t *trial) close() {
	if t.layer != nil {
		t.layer.Close()
	}
	if t.stream != nil {
		t.stream.Close()
	}
}
