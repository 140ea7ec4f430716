package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// tuning is the flag --tune: points at which kernels switch, as
// backend.OpenOptions has them. It may be given several times.
type tuning map[string]int

const tuneUsage = "where kernels switch from one way to another, NAME=VALUE,... (a wrong name lists what the device has)"

// String implements flag.Value.
func (t tuning) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		all = append(all, fmt.Sprintf("%s=%d", name, t[name]))
	}
	return strings.Join(all, ",")
}

// Set implements flag.Value.
func (t *tuning) Set(s string) error {
	for _, one := range strings.Split(s, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(one), "=")
		v, err := strconv.Atoi(value)
		if name == "" || err != nil {
			return fmt.Errorf("%q is not NAME=VALUE with a whole number", one)
		}
		if *t == nil {
			*t = tuning{}
		}
		(*t)[name] = v
	}
	return nil
}
