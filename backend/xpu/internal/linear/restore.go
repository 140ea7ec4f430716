package linear

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/internal/packing"
	"github.com/bitlane/bitlane/backend/xpu/internal/device"
	"github.com/bitlane/bitlane/backend/xpu/internal/driver"
	"github.com/bitlane/bitlane/quant"
)

// packingVersion changes with any byte of codes or tables.
const packingVersion = 1

var (
	_ backend.Restorer = (*kernel)(nil)
	_ backend.Keeper   = layer{}
)

// Packing implements backend.Restorer. What is kept is the codes, then the tables.
func (k *kernel) Packing(_ backend.DeviceInfo, s backend.Spec) string {
	return fmt.Sprintf("rows-%d-%s", packingVersion, strings.ReplaceAll(s.Recipe.String(), " ", ""))
}

func (p *plan) codesBytes() int64 { return int64(p.n) * int64(p.rowBytes()) }

func (p *plan) tablesBytes() int64 { return p.at.total - p.at.scales }

// Restore implements backend.Restorer.
func (k *kernel) Restore(ctx context.Context, d backend.Device, s backend.Spec, kept backend.Packed) (backend.Layer, error) {
	dev, err := device.Of(d)
	if err != nil {
		return nil, err
	}
	if r := k.Supports(d.Info(), s); r != nil {
		return nil, r
	}
	if p := k.plan(&s, dev.Reference()); kept.Size() != p.codesBytes()+p.tablesBytes() {
		return nil, quant.Errorf(backend.ErrFormat, "packed weights", "size", fmt.Sprintf("%d bytes for %s of [%d,%d] %s", p.codesBytes()+p.tablesBytes(), k.name, s.N, s.K, s.Scheme()), "%d", kept.Size())
	}
	return k.place(ctx, dev, &s, func(p *plan, at driver.Ptr) (err error) {
		to, err := dev.NewUpload()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, to.Close()) }()
		piece := make([]byte, min(backend.PackedPiece, kept.Size()))
		for off := int64(0); off < kept.Size(); {
			if err := ctx.Err(); err != nil {
				return err
			}
			dst, end := off, p.codesBytes() // on the device, and the end of the part that it is in
			if off >= end {
				dst, end = p.at.scales+off-end, kept.Size()
			}
			part := piece[:min(int64(len(piece)), end-off)]
			if err := packing.Read(part, kept, off); err != nil {
				return err
			}
			if err := to.Send(at+driver.Ptr(dst), part); err != nil {
				return err
			}
			off += int64(len(part))
		}
		return nil
	})
}

// PackedSize implements backend.Keeper.
func (l layer) PackedSize() int64 { return l.plan.codesBytes() + l.plan.tablesBytes() }

// WritePacked implements backend.Keeper.
func (l layer) WritePacked(ctx context.Context, w io.Writer) error {
	if err := l.WriteMemory(ctx, w, 0, l.plan.codesBytes()); err != nil {
		return err
	}
	return l.WriteMemory(ctx, w, l.plan.at.scales, l.plan.tablesBytes())
}
