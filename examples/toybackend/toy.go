// Package toybackend is a backend in one file: everything that a user of
// bitlane writes to add a device, explained in docs/writing-a-backend.md. It
// runs 4-bit symmetric weights with float32 activations, slowly.
package toybackend

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/hostmem"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// Backend is the backend "toy". A program registers it with backend.Register.
type Backend struct{}

var info = backend.DeviceInfo{Backend: "toy", Family: "toy", ID: "0", Name: "toy device", Units: 1}

func (Backend) Name() string              { return "toy" }
func (Backend) Kernels() []backend.Kernel { return []backend.Kernel{kernel{}} }

func (Backend) Devices(context.Context) ([]backend.DeviceInfo, error) {
	return []backend.DeviceInfo{info}, nil
}

func (Backend) Open(_ context.Context, id string, o backend.OpenOptions) (backend.Device, error) {
	if id != "" && id != info.ID {
		return nil, quant.Errorf(backend.ErrNoDevice, "toy:"+id, "", "toy:0", "no such device")
	}
	return hostmem.New(info, o), nil
}

// kernel keeps the weights as float32.
type kernel struct{}

func (kernel) Name() string { return "toy_w4_a16_go" }

func (k kernel) Supports(_ backend.DeviceInfo, s backend.Spec) (r *backend.Refusal) {
	if s.Plain.Valid() || s.Bits != 4 {
		r = r.Add(k.Name(), "weights", s.Scheme(), "4-bit codes", "")
	}
	if !s.Symmetric {
		r = r.Add(k.Name(), "zeros", "explicit", "symmetric", "")
	}
	if s.Groups.Kind != quant.PerChannel && s.Groups.Kind != quant.Uniform {
		r = r.Add(k.Name(), "groups", s.Groups.Kind.String(), "per-channel or uniform", "")
	}
	if !s.Scales.Valid() || !s.ScalesFinite {
		r = r.Add(k.Name(), "scales", fmt.Sprintf("%v, finite %v", s.Scales, s.ScalesFinite), "finite numbers", "")
	}
	if s.Recipe.Kind != quant.Exact {
		r = r.Add(k.Name(), "activations", s.Recipe.String(), "exact", "--activations exact")
	}
	if s.X != dtype.F32 || s.Y != dtype.F32 {
		r = r.Add(k.Name(), "types", fmt.Sprintf("x %v, y %v", s.X, s.Y), "float32", "")
	}
	return r
}

func (kernel) Footprint(_ backend.DeviceInfo, s backend.Spec) backend.Footprint {
	return backend.Footprint{Weights: 4 * int64(s.N) * int64(s.K+1)}
}

// Numerics: the weight, the product, the sums of one of 16 lanes, those over
// the lanes, and the bias are rounded, one after another.
func (kernel) Numerics(s backend.Spec) backend.Numerics {
	return backend.Numerics{Depth: 1 + 1 + s.K/16 + 1 + 15 + 1, BatchInvariant: true}
}

func (k kernel) Prepare(ctx context.Context, d backend.Device, l *quant.Linear, s backend.Spec) (backend.Layer, error) {
	if r := k.Supports(d.Info(), s); r != nil {
		return nil, r
	}
	base, err := hostmem.NewLayer(d, s)
	if err != nil {
		return nil, err
	}
	w, err := base.Alloc(4 * s.N * (s.K + 1))
	for n := 0; err == nil && n < s.N; n++ {
		row := w[4*n*(s.K+1):]
		for i := range s.K {
			put(row, i, l.Weight.Value(n, i))
		}
		put(row, s.K, 0)
		if l.HasBias() {
			put(row, s.K, l.Bias[n])
		}
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(err, base.Close())
	}
	return &layer{base, w}, nil
}

// layer is [N, K+1] float32: the weights, and the bias in the last column.
type layer struct {
	*hostmem.Layer
	w []byte
}

func (l *layer) Workspace(int) int { return 0 }

func (l *layer) Apply(st backend.Stream, dst, x backend.Tensor, ws backend.Span) error {
	if err := l.Enter(st, dst, x, ws, 0); err != nil {
		return err
	}
	defer l.Leave()
	in, out := x.Host(), dst.Host()
	for m := range x.Rows {
		for n := range dst.Cols {
			put(out, m*dst.Stride+n, dot(in[4*m*x.Stride:], l.w[4*n*(x.Cols+1):], x.Cols))
		}
	}
	return nil
}

// dot returns Σ x·w and the bias. The conversions keep Go from fusing a product
// and a sum into one rounding.
func dot(x, w []byte, k int) (y float32) {
	var lanes [16]float32
	for i := range k {
		lanes[i%16] += float32(at(x, i) * at(w, i))
	}
	for _, lane := range lanes {
		y += lane
	}
	return y + at(w, k)
}

func at(b []byte, i int) float32     { return math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])) }
func put(b []byte, i int, v float32) { binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v)) }
