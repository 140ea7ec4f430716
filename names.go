package bitlane

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/quant"
)

// kernelNames lists the kernels of some backends, each name once: backends may
// share kernels.
func kernelNames(of ...backend.Backend) []string {
	names := []string{}
	for _, b := range of {
		for _, k := range b.Kernels() {
			if !slices.Contains(names, k.Name()) {
				names = append(names, k.Name())
			}
		}
	}
	return names
}

// unknownKernel is the error of a name that none of known is.
func unknownKernel(name string, known []string) error {
	near := nearest(name, known)
	want := strings.Join(near, " or ")
	switch {
	case len(near) == 0:
		want = "one of " + listed(name, known)
	case len(near) < len(known):
		want += fmt.Sprintf(" (%s lists all %d)", listing, len(known))
	}
	return quant.Errorf(backend.ErrUnsupported, "kernel", "name", want, "%q", name)
}

// listing is the command that has the names of all kernels.
const listing = "bitlane devices --json"

// listed counts the kernels that there are and names them for an error about name: all
// where they are few, otherwise those like it and the command that lists all.
func listed(name string, known []string) string {
	text := fmt.Sprintf("%d kernels", len(known))
	if len(known) <= mostNear {
		return text + ": " + strings.Join(known, ", ")
	}
	text += ", which " + listing + " lists"
	if near := within(len(name)/2, name, known); len(near) > 0 {
		return text + "; the nearest are " + strings.Join(near, ", ")
	}
	// Nothing is near, but some name shows what they look like.
	return text + ", such as " + strings.Join(within(math.MaxInt, name, known), ", ")
}

// kernelOf reports a Kernel in o that b has not.
func (o ChooseOptions) kernelOf(b backend.Backend) error {
	names := kernelNames(b)
	if o.Kernel == "" || slices.Contains(names, o.Kernel) {
		return nil
	}
	var owners []string
	for _, other := range backend.Backends() {
		if slices.Contains(kernelNames(other), o.Kernel) {
			owners = append(owners, other.Name())
		}
	}
	has := fmt.Sprintf("%q", o.Kernel)
	if len(owners) > 0 {
		has += ", a kernel of " + strings.Join(owners, ", ")
	}
	switch {
	case len(names) == 0:
		return quant.Errorf(backend.ErrUnsupported, "kernel", "name", "none: "+b.Name()+" has no kernels", "%s", has)
	case len(owners) == 0:
		return unknownKernel(o.Kernel, names)
	}
	return quant.Errorf(backend.ErrUnsupported, "kernel", "name", fmt.Sprintf("one of %s's %s", b.Name(), listed(o.Kernel, names)), "%s", has)
}

// unknownBackend is the error of a device name whose backend there is not. It
// has every backend's devices, or why it has none: the one that was meant may
// only be missing from this build.
func unknownBackend(ctx context.Context, name, family string) error {
	var names, states []string
	for _, b := range backend.Backends() {
		devices, err := b.Devices(ctx)
		state := reasonOf(err)
		if len(devices) > 0 {
			state = strings.Join(deviceNames(ctx, []backend.Backend{b}), ", ")
		}
		names, states = append(names, b.Name()), append(states, fmt.Sprintf("%s (%s)", b.Name(), state))
	}
	has := "no such backend"
	switch near := nearest(family, names); len(near) {
	case 0:
	case 1:
		has += ", the nearest is " + near[0]
	default:
		has += ", the nearest are " + strings.Join(near, ", ")
	}
	return quant.Errorf(backend.ErrNoDevice, name, "", "auto or one of "+strings.Join(states, ", "), "%s", has)
}

// mostNear is how many names an error offers.
const mostNear = 4

// nearest returns those of known that name can be a slip for, at most mostNear:
// the ones a few letters away or, where there are none, the ones that name is a
// part of.
func nearest(name string, known []string) []string {
	name = strings.ToLower(name)
	if slips := within(1+len(name)/8, name, known); len(slips) > 0 {
		return slips
	}
	return within(math.MaxInt, name, slices.DeleteFunc(slices.Clone(known), func(k string) bool { return len(name) < 3 || !strings.Contains(k, name) }))
}

// within returns those of known that are so many letters from name, the nearest
// first and at most mostNear.
func within(letters int, name string, known []string) (near []string) {
	name = strings.ToLower(name)
	for _, k := range known {
		if distance(name, k) <= letters {
			near = append(near, k)
		}
	}
	slices.SortStableFunc(near, func(a, b string) int { return cmp.Compare(distance(name, a), distance(name, b)) })
	return near[:min(len(near), mostNear)]
}

// distance is Levenshtein's: the letters to insert, remove or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
