package module

import (
	"errors"
	"fmt"

	"github.com/bitlane/bitlane/quant"
)

// Likeness says what shapes are those of, where they contradict the
// configuration and would fit another: a wrong label is told as one.
type Likeness struct {
	Format    string // "" where it is the one that was said
	Bits      int    // 0 where it is the number that was said
	GroupSize int    // 0 where it is the size that was said, -1 for one group
}

// String returns "the shapes are those of 8-bit codes in groups of 64", or ""
// where they are like nothing else.
func (l Likeness) String() string {
	groups := fmt.Sprintf("groups of %d", l.GroupSize)
	if l.GroupSize < 0 {
		groups = "one group"
	}
	switch {
	case l.Format != "":
		return "the shapes are those of " + l.Format
	case l.Bits != 0 && l.GroupSize != 0:
		return fmt.Sprintf("the shapes are those of %d-bit codes in %s", l.Bits, groups)
	case l.Bits != 0:
		return fmt.Sprintf("the shapes are those of %d-bit codes", l.Bits)
	case l.GroupSize != 0:
		return "the shapes are those of " + groups
	}
	return ""
}

// Explain adds l to what err wants, where err is about a shape.
func (l Likeness) Explain(err error) error {
	var about *quant.FieldError
	if text := l.String(); text != "" && errors.As(err, &about) && about.Field == "shape" {
		about.Want += "; " + text
	}
	return err
}

// GroupSizeOf returns the size of groups of which there are so many in k
// features: -1 for one, and 0 where none is a divisor.
func GroupSizeOf(k, groups int64) int {
	switch {
	case groups == 1:
		return -1
	case groups < 1 || k%groups != 0:
		return 0
	}
	return int(k / groups)
}
