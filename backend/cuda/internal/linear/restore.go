package linear

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/cuda/internal/device"
	"github.com/bitlane/bitlane/backend/cuda/internal/driver"
	"github.com/bitlane/bitlane/backend/internal/packing"
	"github.com/bitlane/bitlane/dtype"
	"github.com/bitlane/bitlane/quant"
)

// packingVersion changes with any byte of bricks or tables.
const packingVersion = 1

var (
	_ backend.Restorer = (*kernel)(nil)
	_ backend.Keeper   = (*layer)(nil)
)

// Packing implements backend.Restorer. What is kept is the bricks, then the tables.
func (k *kernel) Packing(_ backend.DeviceInfo, s backend.Spec) string {
	p := k.plan(&s)
	name := fmt.Sprintf("bricks-%d-w%d-x%v", packingVersion, p.bits, s.X)
	if p.gather {
		name += "-gather"
	}
	if p.rounded {
		name += "-rounded"
	}
	return name + "-" + strings.ReplaceAll(s.Recipe.String(), " ", "")
}

// bricksBytes is the bytes of all bricks, without what may be between them and the tables.
func (p *plan) bricksBytes() int64 { return int64(p.np/brickOutputs) * int64(p.rowBytes()) }

// Restore implements backend.Restorer.
func (k *kernel) Restore(ctx context.Context, d backend.Device, s backend.Spec, kept backend.Packed) (backend.Layer, error) {
	dev, err := device.Of(d)
	if err != nil {
		return nil, err
	}
	if r := k.Supports(d.Info(), s); r != nil {
		return nil, r
	}
	p := k.plan(&s)
	if want := p.bricksBytes() + p.tables(); kept.Size() != want {
		return nil, quant.Errorf(backend.ErrFormat, "packed weights", "size", fmt.Sprintf("%d bytes for %s of [%d,%d] %s", want, k.name, s.N, s.K, s.Scheme()), "%d", kept.Size())
	}
	tables := make([]byte, p.tables())
	if err := packing.Read(tables, kept, p.bricksBytes()); err != nil {
		return nil, err
	}
	if err := p.checkTables(tables, &s); err != nil {
		return nil, err
	}
	return k.place(ctx, dev, p, &s, func(up *device.Upload, at driver.Ptr) error {
		rows, each := p.np/brickOutputs, p.pieceRows()
		for first := 0; first < rows; first += each {
			if err := ctx.Err(); err != nil {
				return err
			}
			piece, err := up.Next()
			if err != nil {
				return err
			}
			piece = piece[:min(each, rows-first)*p.rowBytes()]
			off := int64(first) * int64(p.rowBytes())
			if err := packing.Read(piece, kept, off); err != nil {
				return err
			}
			if err := up.Send(at+driver.Ptr(off), piece); err != nil {
				return err
			}
		}
		return up.Whole(at+driver.Ptr(p.at.scales), tables)
	})
}

// checkTables reports numbers that a kernel would use as an index or that follow from the Spec,
// and are others.
func (p *plan) checkTables(tables []byte, s *backend.Spec) error {
	part := func(at int64) []byte { return tables[at-p.at.scales:] }
	wrong := func(what string, i int, expected, found any) error {
		return quant.Errorf(backend.ErrFormat, "packed weights", fmt.Sprintf("%s %d", what, i), fmt.Sprint(expected), "%v", found)
	}
	groups := part(p.at.groups)
	for u, f := range eachUnit(s) {
		if got := int32(binary.LittleEndian.Uint32(groups[mapEntry*u:])); int(got) != f.group {
			return wrong("group of unit", u, f.group, got)
		}
		if !p.gather {
			continue
		}
		features := part(p.at.features)[u*unitFeatures*mapEntry:]
		for i := range unitFeatures {
			got := int32(binary.LittleEndian.Uint32(features[mapEntry*i:]))
			if end := f.lo+i >= f.hi; end && got != -1 || !end && (got < 0 || int(got) >= p.k) {
				return wrong("feature", u*unitFeatures+i, fmt.Sprintf("0..%d, -1 behind a unit's end", p.k-1), got)
			}
		}
	}
	if !p.rounded {
		return nil
	}
	for i := range p.np {
		if got := dtype.F32.At(part(p.at.roundedScales), i); got != float32(math.Ldexp(1, p.exponent)) {
			return wrong("scale of rounded weights", i, math.Ldexp(1, p.exponent), got)
		}
	}
	for u := range p.units {
		if got := binary.LittleEndian.Uint32(part(p.at.roundedGroups)[mapEntry*u:]); got != 0 {
			return wrong("group of rounded unit", u, 0, got)
		}
	}
	return nil
}

// PackedSize implements backend.Keeper.
func (l *layer) PackedSize() int64 { return l.plan.bricksBytes() + l.plan.tables() }

// WritePacked implements backend.Keeper.
func (l *layer) WritePacked(ctx context.Context, w io.Writer) error {
	if err := l.WriteMemory(ctx, w, 0, l.plan.bricksBytes()); err != nil {
		return err
	}
	return l.WriteMemory(ctx, w, l.plan.at.scales, l.plan.tables())
}
