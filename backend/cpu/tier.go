package cpu

import (
	"os"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/internal/amx"
	"github.com/bitlane/bitlane/quant"
)

// MaskVariable names the environment variable that hides instruction sets: its
// value is the best tier that may be used, such as "avx2", or "go" for none.
// It is read when a device is listed or opened.
const MaskVariable = "BITLANE_CPU"

// tier is a step of what processors of an architecture can do. The table
// tiers lists them best first.
type tier struct {
	name  string
	needs []cpuid.FeatureID
}

// plainTier needs nothing.
const plainTier = "go"

// tierOf returns the best tier whose features are all there.
func tierOf(features []string) string {
	for _, t := range tiers {
		if !slices.ContainsFunc(t.needs, func(f cpuid.FeatureID) bool { return !slices.Contains(features, f.String()) }) {
			return t.name
		}
	}
	return plainTier
}

// masked removes the features that only better tiers than the named one need;
// an empty name removes none.
func masked(features []string, name string) ([]string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if name == "" {
		return features, nil
	}
	names := []string{}
	for _, t := range tiers {
		names = append(names, t.name)
	}
	names = append(names, plainTier)
	at := slices.Index(names, name)
	if at < 0 {
		return nil, quant.Errorf(backend.ErrUnsupported, MaskVariable, "", "one of "+strings.Join(names, ", "), "%q", name)
	}
	kept := map[string]bool{}
	for _, t := range tiers[at:] {
		for _, f := range t.needs {
			kept[f.String()] = true
		}
	}
	hidden := func(f string) bool {
		for _, t := range tiers[:at] {
			for _, g := range t.needs {
				if g.String() == f && !kept[f] {
					return true
				}
			}
		}
		return false
	}
	return slices.DeleteFunc(slices.Clone(features), hidden), nil
}

// features are those of the processor that the environment leaves, and of tiles
// those that the system gives: it is asked only where the environment leaves them.
func features() ([]string, error) {
	has, err := masked(cpuid.CPU.FeatureSet(), os.Getenv(MaskVariable))
	return allowed(has, amx.Allowed), err
}

// allowed removes tiles from features where the system refuses them; it is asked
// only where they are there.
func allowed(has []string, tiles func() bool) []string {
	if slices.Contains(has, cpuid.AMXTILE.String()) && !tiles() {
		has = slices.DeleteFunc(has, func(f string) bool { return strings.HasPrefix(f, "AMX") })
	}
	return has
}
