package bitlane

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// Open opens a device by name: "cpu" is the first device of that backend,
// "cuda:1" the one with that id. "auto" (or "") is the first device of this
// machine that is not emulated, any other backend's before the processor. When
// that device cannot be opened, that is the error: no other is tried.
//
// An unknown backend or id is of class backend.ErrNoDevice and the message
// names what there is, and why there is nothing of the other backends; a
// backend without devices gives its own reason.
func Open(ctx context.Context, name string, o backend.OpenOptions) (backend.Device, error) {
	if name == "" || name == "auto" {
		return openAuto(ctx, o)
	}
	family, id, _ := strings.Cut(name, ":")
	b, ok := backend.Lookup(family)
	if !ok {
		return nil, unknownBackend(ctx, name, family)
	}
	dev, err := openOf(ctx, b, id, o)
	if err == nil {
		return dev, nil
	}
	if known := deviceNames(ctx, []backend.Backend{b}); errors.Is(err, backend.ErrNoDevice) && len(known) > 0 {
		return nil, fmt.Errorf("open %s: %w; there is %s", name, err, strings.Join(known, ", "))
	}
	return nil, fmt.Errorf("open %s: %w", name, err)
}

func openAuto(ctx context.Context, o backend.OpenOptions) (backend.Device, error) {
	all := backend.Backends()
	sort.SliceStable(all, func(i, j int) bool { return all[i].Name() != "cpu" && all[j].Name() == "cpu" })
	var reasons []string
	for _, b := range all {
		devices, err := b.Devices(ctx)
		if err != nil && !isAbsence(err) {
			return nil, fmt.Errorf("open auto: %s: %w", b.Name(), err)
		}
		for _, d := range devices {
			if d.Emulated {
				continue
			}
			dev, err := openOf(ctx, b, d.ID, o)
			if err != nil {
				return nil, fmt.Errorf("open auto: %s:%s: %w", b.Name(), d.ID, err)
			}
			return dev, nil
		}
		reasons = append(reasons, b.Name()+": "+reasonOf(err))
	}
	return nil, quant.Errorf(backend.ErrNoDevice, "auto", "", "", "%s", strings.Join(reasons, "; "))
}

// openOf opens a device of b, which may know nothing of tuning.
func openOf(ctx context.Context, b backend.Backend, id string, o backend.OpenOptions) (backend.Device, error) {
	if err := backend.CheckTuning(b, o.Tuning); err != nil {
		return nil, err
	}
	return b.Open(ctx, id, o)
}

// isAbsence reports whether a backend's error only says that it has no device;
// any other one (a lost device, a cancelled context) is a failure.
func isAbsence(err error) bool {
	return errors.Is(err, backend.ErrNotBuilt) || errors.Is(err, backend.ErrNotImplemented) || errors.Is(err, backend.ErrNoDevice)
}

// reasonOf is why a backend that returned err has no device to use.
func reasonOf(err error) string {
	if err == nil {
		return "no device"
	}
	return err.Error()
}

// deviceNames lists what Open accepts for the backends given.
func deviceNames(ctx context.Context, of []backend.Backend) (names []string) {
	for _, b := range of {
		devices, err := b.Devices(ctx)
		if err != nil {
			continue
		}
		for _, d := range devices {
			names = append(names, b.Name()+":"+d.ID)
		}
	}
	return names
}
