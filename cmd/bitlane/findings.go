package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/bitlane/bitlane/checkpoint/module"
)

// mostAlike is how many findings of the same text are shown one by one: a label
// that is wrong is wrong in every layer.
const mostAlike = 3

// alike counts findings by their text. The zero value has none.
type alike struct{ seen map[string]int }

// shown counts f and reports whether it is to be shown.
func (a *alike) shown(f module.Finding) bool {
	if a.seen == nil {
		a.seen = map[string]int{}
	}
	a.seen[f.Text]++
	return a.seen[f.Text] <= mostAlike
}

// rest tells of those that were not shown.
func (a *alike) rest() (lines []string) {
	for _, text := range slices.Sorted(maps.Keys(a.seen)) {
		if more := a.seen[text] - mostAlike; more > 0 {
			lines = append(lines, fmt.Sprintf("%s like these: %s", plural(more, "more finding"), text))
		}
	}
	return lines
}

func findingText(f module.Finding) string {
	s := f.Text
	if f.Tensor != "" {
		s = f.Tensor + ": " + s
	} else if f.Module != "" {
		s = f.Module + ": " + s
	}
	return s
}
