package redtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/bitlane/bitlane/backend"
)

// restoring are the mutants of what a kernel does with packed weights.
func restoring() []mutant {
	fails := []string{"restore"}
	packed := func(change func(p backend.Packed) backend.Packed) func(*kernel, context.Context, *device, backend.Spec, backend.Packed) (backend.Layer, error) {
		return func(k *kernel, ctx context.Context, d *device, s backend.Spec, p backend.Packed) (backend.Layer, error) {
			return restoreAsItIs(k, ctx, d, s, change(p))
		}
	}
	count := 0
	all := []mutant{
		{name: "packed weights are restored with a bit flipped", fails: fails,
			restore: packed(func(p backend.Packed) backend.Packed { return oneBitOff{p} })},
		{name: "packed weights of a byte too many are taken", fails: fails,
			restore: packed(func(p backend.Packed) backend.Packed { return evenSize{p} })},
		{name: "errors of reading packed weights are ignored", fails: fails,
			restore: packed(func(p backend.Packed) backend.Packed { return deaf{p} })},
		{name: "a restored layer has another MaxRows", fails: fails,
			restore: func(k *kernel, ctx context.Context, d *device, s backend.Spec, p backend.Packed) (backend.Layer, error) {
				s.MaxRows++
				return restoreAsItIs(k, ctx, d, s, p)
			}},
		{name: "a failed Restore leaves a layer alive", fails: fails,
			restore: func(k *kernel, ctx context.Context, d *device, s backend.Spec, p backend.Packed) (backend.Layer, error) {
				l, err := restoreAsItIs(k, ctx, d, s, p)
				if err != nil && !errors.Is(err, backend.ErrFormat) {
					_, _ = restoreAsItIs(k, context.WithoutCancel(ctx), d, s, deaf{p})
				}
				return l, err
			}},
		{name: "packed weights are written short", fails: fails, restore: restoreAsItIs,
			written: changed(func(b []byte) []byte { return b[:len(b)-1] })},
		{name: "packed weights are written with another byte each time", fails: fails, restore: restoreAsItIs,
			written: changed(func(b []byte) []byte {
				count++
				b[len(b)-1] ^= byte(count)
				return b
			})},
		{name: "a closed layer writes nothing and says that all is well", fails: fails, restore: restoreAsItIs,
			written: func(ctx context.Context, k backend.Keeper, w io.Writer) error {
				if err := k.WritePacked(ctx, w); !errors.Is(err, backend.ErrClosed) {
					return err
				}
				return nil
			}},
		{name: "packed weights are written on when the context has ended", fails: fails, restore: restoreAsItIs,
			written: func(ctx context.Context, k backend.Keeper, w io.Writer) error {
				return k.WritePacked(context.WithoutCancel(ctx), w)
			}},
		{name: "Packing depends on MaxRows", fails: fails, restore: restoreAsItIs,
			packing: func(s backend.Spec, name string) string { return fmt.Sprint(name, "-", s.MaxRows) }},
		{name: "Packing has a blank", fails: fails, restore: restoreAsItIs,
			packing: func(_ backend.Spec, name string) string { return name + " 1" }},
		{name: "Packing and Restore are as the processor has them", restore: restoreAsItIs},
	}
	for i := range all {
		all[i].only = fails // no other check keeps or restores anything
	}
	return all
}

// changed writes other bytes than the layer does.
func changed(change func([]byte) []byte) func(context.Context, backend.Keeper, io.Writer) error {
	return func(ctx context.Context, k backend.Keeper, w io.Writer) error {
		var b bytes.Buffer
		err := k.WritePacked(ctx, &b)
		if err == nil {
			_, err = w.Write(change(b.Bytes()))
		}
		return err
	}
}

type oneBitOff struct{ backend.Packed }

func (f oneBitOff) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.Packed.ReadAt(p, off)
	if off == 0 && n > 0 {
		p[n/2] ^= 0x10
	}
	return n, err
}

// evenSize claims the size without what is over an even number.
type evenSize struct{ backend.Packed }

func (e evenSize) Size() int64 { return e.Packed.Size() &^ 1 }

// deaf gives zeros where it cannot read.
type deaf struct{ backend.Packed }

func (d deaf) ReadAt(p []byte, off int64) (int, error) {
	if _, err := d.Packed.ReadAt(p, off); err != nil {
		clear(p)
	}
	return len(p), nil
}
