package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bitlane/bitlane/backend"
)

// tuning is the flag --tune: points at which kernels switch. It may be given
// several times; the last value of a name counts.
type tuning struct{ backend.Tuned }

const tuneUsage = "where kernels switch from one way to another, NAME=VALUE,... (bitlane devices lists the names)"

// Set implements flag.Value.
func (t *tuning) Set(s string) error {
	for _, one := range strings.Split(s, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		name, value, _ := strings.Cut(one, "=")
		name = strings.TrimSpace(name)
		v, err := strconv.Atoi(strings.TrimSpace(value))
		if name == "" || err != nil {
			return fmt.Errorf("want NAME=VALUE with a whole number")
		}
		if t.Tuned == nil {
			t.Tuned = backend.Tuned{}
		}
		t.Tuned[name] = v
	}
	return nil
}

// check reports what the device's backend cannot be tuned to, before anything is
// opened.
func (t *tuning) check(device string) error {
	family, _, _ := strings.Cut(device, ":")
	if b, ok := backend.Lookup(family); ok {
		if err := backend.CheckTuning(b, t.Tuned); err != nil {
			return usagef("--tune: %v", err)
		}
	}
	return nil
}
