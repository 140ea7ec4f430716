package linear

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"runtime"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/backend/internal/packing"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// stagingBytes is about how much is packed before it is copied to the device,
// while the next piece is packed.
const stagingBytes = 8 << 20

// rowBytes is the bytes of the bricks of 32 outputs.
func (p *plan) rowBytes() int { return p.units * p.brickBytes }

// pieceRows is how many rows of bricks a piece has.
func (p *plan) pieceRows() int {
	return max(1, min(stagingBytes/max(1, p.rowBytes()), p.np/brickOutputs))
}

// tables is the bytes of everything but bricks.
func (p *plan) tables() int64 { return p.at.total - p.at.scales }

func (p *plan) staging() int64 {
	workers := int64(runtime.GOMAXPROCS(0))
	return 2*int64(p.pieceRows()*p.rowBytes()) + p.tables() + workers*int64((&bricks{plan: p}).spare())
}

// prepare packs l, which s is a Spec of.
func (k *kernel) prepare(ctx context.Context, dev *device.Device, l *quant.Linear, s *backend.Spec) (backend.Layer, error) {
	p := k.plan(s)
	return k.place(ctx, dev, p, s, func(up *device.Upload, at driver.Ptr) error {
		b := &bricks{plan: p, spec: s, src: &l.Weight, order: l.Weight.Groups().Order()}
		if err := b.upload(ctx, up, at); err != nil {
			return err
		}
		tables := make([]byte, p.tables())
		if err := p.fill(ctx, tables, l, s, b.order); err != nil {
			return err
		}
		return up.Whole(at+driver.Ptr(p.at.scales), tables)
	})
}

// place makes a layer of a plan, whose memory fill sends to the device.
func (k *kernel) place(ctx context.Context, dev *device.Device, p *plan, s *backend.Spec, fill func(up *device.Upload, at driver.Ptr) error) (_ backend.Layer, err error) {
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
	info := dev.Info()
	w := k.ways(p, &info)
	if err := w.load(dev); err != nil {
		return nil, err
	}
	at, err := base.Alloc(p.at.total)
	if err != nil {
		return nil, err
	}
	up, err := dev.NewUpload(p.pieceRows() * p.rowBytes())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, up.Close()) }()
	if err := fill(up, at); err != nil {
		return nil, err
	}
	return newLayer(base, p, w, at), nil
}

// upload packs all bricks on all threads and sends them to the device, a piece
// while the next is packed.
func (b *bricks) upload(ctx context.Context, up *device.Upload, at driver.Ptr) error {
	p := b.plan
	rows, each := p.np/brickOutputs, p.pieceRows()
	for first := 0; first < rows; first += each {
		piece, err := up.Next()
		if err != nil {
			return err
		}
		piece = piece[:min(each, rows-first)*p.rowBytes()]
		if err := b.pack(ctx, piece, first); err != nil {
			return err
		}
		if err := up.Send(at+driver.Ptr(first*p.rowBytes()), piece); err != nil {
			return err
		}
	}
	return nil
}

// pack fills piece with rows of bricks from first on, or returns the context's
// error.
func (b *bricks) pack(ctx context.Context, piece []byte, first int) error {
	each := b.plan.rowBytes()
	n := len(piece) / each
	workers := packing.Workers(n, 1)
	for len(b.spares) < workers {
		b.spares = append(b.spares, make([]byte, b.spare()))
	}
	return packing.Rows(ctx, n, workers, func(worker, i int) {
		b.row(piece[i*each:][:each], (first+i)*brickOutputs, b.spares[worker])
	})
}

// fill writes everything but bricks, from scales on, or returns the context's
// error.
func (p *plan) fill(ctx context.Context, dst []byte, l *quant.Linear, s *backend.Spec, order []int32) error {
	part := func(at int64) []byte { return dst[at-p.at.scales:] }
	w, size := &l.Weight, p.scales.Size()
	scales := part(p.at.scales)
	for n := range p.n {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if s.Plain.Valid() {
			dtype.F32.Put(scales, n, 1)
			continue
		}
		row := w.ScaleRow(n)
		for g := range p.groups {
			copy(scales[(g*p.np+n)*size:][:size], row[g*size:])
		}
	}
	if p.zeroMoves {
		zeros := part(p.at.zeros)
		for n := range p.n {
			for g := range p.groups {
				binary.LittleEndian.PutUint16(zeros[2*(g*p.np+n):], uint16(w.Zero(n, g)))
			}
		}
	}
	groups := part(p.at.groups)
	for u, f := range eachUnit(s) {
		binary.LittleEndian.PutUint32(groups[mapEntry*u:], uint32(f.group))
		if !p.gather {
			continue
		}
		features := part(p.at.features)[u*unitFeatures*mapEntry:]
		for i := range unitFeatures {
			at := int32(-1)
			if from := f.lo + i; from < f.hi {
				at = int32(from)
				if order != nil {
					at = order[from]
				}
			}
			binary.LittleEndian.PutUint32(features[mapEntry*i:], uint32(at))
		}
	}
	if s.Bias {
		dtype.Encode(dtype.F32, part(p.at.bias), l.Bias)
	}
	if p.rounded { // its groups are all 0
		for i := range p.np {
			dtype.F32.Put(part(p.at.roundedScales), i, float32(math.Ldexp(1, p.exponent)))
		}
	}
	return ctx.Err()
}
