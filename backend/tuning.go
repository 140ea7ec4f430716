package backend

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/quant"
)

// Tunable is implemented by a Backend whose kernels switch from one way of
// computing to another at points that a caller may move: from how many rows on,
// for example. Where it is absent there are none.
type Tunable interface {
	// Tunings lists the points, in the order in which they are documented.
	Tunings() []Tuning
}

// Tuning is one such point. What is promised of a kernel holds at every value.
type Tuning struct {
	Name  string `json:"name"`  // "stream-rows": lower case, words joined by hyphens
	Value int    `json:"value"` // where the caller says nothing
	Least int    `json:"least"` // what the caller may say
	Most  int    `json:"most"`
	What  string `json:"what"` // what it decides, in a few words
}

// Tuned is what a caller says about some points, by their names.
type Tuned map[string]int

// String returns "name=value" for each, sorted, with commas in between.
func (t Tuned) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(t)) {
		all = append(all, fmt.Sprintf("%s=%d", name, t[name]))
	}
	return strings.Join(all, ",")
}

// CheckTuning reports, as ErrUnsupported, a point in t that b has not, or a
// value out of its range.
func CheckTuning(b Backend, t Tuned) error {
	var all []Tuning
	if has, ok := b.(Tunable); ok {
		all = has.Tunings()
	}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		at := slices.IndexFunc(all, func(k Tuning) bool { return k.Name == name })
		if at < 0 {
			want := "none: it has nothing to tune"
			if len(all) > 0 {
				names := make([]string, len(all))
				for i := range all {
					names[i] = all[i].Name
				}
				want = "one of " + strings.Join(names, ", ")
			}
			return quant.Errorf(ErrUnsupported, b.Name(), "tuning", want, "%q", name)
		}
		if v := t[name]; v < all[at].Least || v > all[at].Most {
			return quant.Errorf(ErrUnsupported, b.Name(), "tuning "+name, fmt.Sprintf("%d..%d", all[at].Least, all[at].Most), "%d", v)
		}
	}
	return nil
}
