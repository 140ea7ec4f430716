package linear

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/device"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// The self-test's layer: two groups, more than one row and output, every code.
const (
	testN, testK, testM = 16, 64, 2
	testGroup           = 32
)

// SelfTest runs a tiny layer of 4-bit weights on a device that was just opened,
// with 8-bit and with exact activations, and compares it with integers: x, codes and zero
// points are integers, scales powers of two and a row's largest number makes its scale 1, so that every
// order of sums gives the same number. Anything else is an engine that
// computes wrongly, as some versions of oneDNN do on some GPUs.
//
// A kernel that oneDNN has no implementation for is left out: its Prepare says so to
// who asks for it. A device on which that is so of all is refused.
func SelfTest(table []backend.Kernel) func(context.Context, *device.Device) error {
	return func(ctx context.Context, d *device.Device) error {
		var without error
		tested := false
		for _, k := range table {
			k := k.(*kernel)
			if k.most != 4 {
				continue
			}
			for _, recipe := range k.recipes() {
				err := k.selfTest(ctx, d, recipe)
				if r := (*backend.Refusal)(nil); errors.As(err, &r) {
					without = cmp.Or(without, err)
					continue
				}
				if err != nil {
					return err
				}
				tested = true
			}
		}
		if !tested {
			return without
		}
		return nil
	}
}

// recipes are those of a kernel.
func (k *kernel) recipes() []quant.RecipeKind {
	if !k.codes {
		return []quant.RecipeKind{quant.Exact}
	}
	return []quant.RecipeKind{quant.Int8TokenXPU, quant.Int8Token}
}

// largest is the largest number of a row of the self-test: code 127 of a scale of 1.
const largest = 127

// testLayer returns the layer, its input and its outputs.
func testLayer() (l *quant.Linear, x, want []float32) {
	groups, err := quant.UniformGroups(testK, testGroup)
	l = &quant.Linear{Name: "self-test"}
	if err == nil {
		err = l.Weight.Reset(quant.Form{N: testN, K: testK, Bits: 4, Scales: dtype.F16, Zeros: true, Groups: groups})
	}
	if err != nil {
		panic(err) // the form is right
	}
	x, want = make([]float32, testM*testK), make([]float32, testM*testN)
	for i := range x {
		x[i] = float32((i*37)%23 - 11)
	}
	x[5], x[testK+40] = largest, largest
	codes := make([]uint8, testK)
	for n := range testN {
		for k := range codes {
			codes[k] = uint8((5*n + 7*k + k/16) % 16)
		}
		l.Weight.PackRow(n, codes)
		for g := range testK / testGroup {
			l.Weight.SetScale(n, g, 1/float32(int(4)<<((n+g)%3)))
			l.Weight.ZeroRow(n)[g] = int16((3*n + 11*g) % 16)
		}
		for m := range testM {
			for k, u := range codes {
				g := k / testGroup
				want[m*testN+n] += x[m*testK+k] * float32(int(u)-l.Weight.Zero(n, g)) * l.Weight.Scale(n, g)
			}
		}
	}
	return l, x, want
}

func (k *kernel) selfTest(ctx context.Context, d *device.Device, recipe quant.RecipeKind) (err error) {
	l, x, want := testLayer()
	if recipe == quant.Int8Token { // whose scale is max|x| / 127.5; the code is cut to 127
		for i, v := range x {
			if v == largest {
				x[i] += 0.5
			}
		}
	}
	spec, err := backend.NewSpec(l, backend.Request{Recipe: &quant.Recipe{Kind: recipe}, X: dtype.BF16, Y: dtype.F32, MaxRows: testM})
	if err != nil {
		return err
	}
	made, err := k.Prepare(ctx, d, l, spec)
	if err != nil {
		return fmt.Errorf("%s of the self-test: %w", k.name, err)
	}
	defer func() { err = errors.Join(err, made.Close()) }()
	got, err := run(ctx, d, made, x)
	if err != nil {
		return fmt.Errorf("%s of the self-test: %w", k.name, err)
	}
	for i, y := range got {
		if y != want[i] {
			return fmt.Errorf("%s of %v computes wrongly: y[%d,%d] of the self-test is %v, and should be %v (implementation %s): take another version of oneDNN or of the GPU's driver",
				k.name, d.Library(), i/testN, i%testN, y, want[i], implementation(made))
		}
	}
	return nil
}

// implementation is what oneDNN calls the matmul of the largest bucket.
func implementation(l backend.Layer) string {
	if b, ok := l.(interface{ Buckets() []driver.Bucket }); ok {
		if all := b.Buckets(); len(all) > 0 {
			return all[len(all)-1].Implementation
		}
	}
	return "unknown"
}

// run applies l to x, testM rows, in a stream of its own.
func run(ctx context.Context, d backend.Device, l backend.Layer, x []float32) (y []float32, err error) {
	s := l.Spec()
	st, err := d.NewStream()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	in, out := make([]byte, testM*s.K*s.X.Size()), make([]byte, testM*s.N*s.Y.Size())
	dtype.Encode(s.X, in, x)
	var spans [3]backend.Span
	for i, bytes := range []int{len(in), len(out), l.Workspace(testM)} {
		b, err := d.Alloc(bytes)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, b.Close()) }()
		spans[i] = backend.Whole(b)
	}
	if err := st.Upload(spans[0], in); err != nil {
		return nil, err
	}
	if err := l.Apply(st, backend.Dense(spans[1], s.Y, testM, s.N), backend.Dense(spans[0], s.X, testM, s.K), spans[2]); err != nil {
		return nil, err
	}
	if err := errors.Join(st.Sync(ctx), st.Download(out, spans[1])); err != nil {
		return nil, err
	}
	y = make([]float32, testM*s.N)
	dtype.Decode(s.Y, y, out)
	return y, nil
}
