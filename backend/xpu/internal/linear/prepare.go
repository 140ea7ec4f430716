package linear

import (
	"context"
	"errors"
	"fmt"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/xpu/internal/device"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/quant"
)

// prepare packs l, which s is a Spec of.
func (k *kernel) prepare(ctx context.Context, dev *device.Device, l *quant.Linear, s *backend.Spec) (backend.Layer, error) {
	return k.place(ctx, dev, s, func(p *plan, at driver.Ptr) error { return p.send(ctx, dev, at, l, s) })
}

// place makes a layer of a Spec, whose memory fill sends to the device.
func (k *kernel) place(ctx context.Context, dev *device.Device, s *backend.Spec, fill func(p *plan, at driver.Ptr) error) (_ backend.Layer, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	base, err := device.NewLayer(dev, *s)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, base.Close())
		}
	}()
	p := k.plan(s, dev.Reference())
	if err := base.Load(&p.driver); err != nil {
		return nil, k.unavailable(dev, err)
	}
	at, err := base.Alloc(p.at.total)
	if err != nil {
		return nil, err
	}
	if err := fill(p, at); err != nil {
		return nil, err
	}
	base.Place(p.weights(at))
	return newLayer(base, p), nil
}

// unavailable is a refusal where oneDNN has nothing for a plan: only it knows,
// and only when it is asked.
func (k *kernel) unavailable(dev *device.Device, err error) error {
	var r *backend.Refusal
	switch {
	case errors.Is(err, driver.ErrReference):
		r = r.Add(k.name, "implementation", err.Error(), "one that is not oneDNN's reference",
			fmt.Sprintf("set the tuning %s to 1 to take it: right, but hundreds of times slower; or take a newer oneDNN than %s", device.TuneReference, dev.Library().Version()))
	case errors.Is(err, driver.ErrUnimplemented):
		r = r.Add(k.name, "implementation", err.Error(), "a matmul of oneDNN for it", "take a newer oneDNN than "+dev.Library().Version())
	default:
		return err
	}
	return r
}

// weights is where the parts are of a layer whose memory begins at at.
func (p *plan) weights(at driver.Ptr) driver.Weights {
	w := driver.Weights{Codes: at + driver.Ptr(p.at.codes)}
	if !p.plain {
		w.Scales = at + driver.Ptr(p.at.scales)
	}
	if p.driver.ZeroKind == driver.GroupedZeros {
		w.Zeros = at + driver.Ptr(p.at.zeros)
	}
	if p.bias {
		w.Bias = at + driver.Ptr(p.at.bias)
	}
	return w
}

// send packs all parts and copies them to the device.
func (p *plan) send(ctx context.Context, dev *device.Device, at driver.Ptr, l *quant.Linear, s *backend.Spec) (err error) {
	to, err := dev.NewUpload()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	pack := &packer{plan: p, src: &l.Weight, spec: s}
	piece := make([]byte, p.pieceRows()*p.rowBytes())
	for first := 0; first < p.n; first += p.pieceRows() {
		part := piece[:min(p.pieceRows(), p.n-first)*p.rowBytes()]
		if err := pack.pack(ctx, part, first); err != nil {
			return err
		}
		if err := to.Send(at+driver.Ptr(int64(first)*int64(p.rowBytes())), part); err != nil {
			return err
		}
	}
	tables := make([]byte, p.at.total-p.at.scales)
	if err := pack.tables(ctx, tables, l.Bias); err != nil {
		return err
	}
	return to.Send(at+driver.Ptr(p.at.scales), tables)
}
