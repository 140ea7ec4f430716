package hugepage

import (
	"fmt"
	"sync"
)

// Kind is how huge pages are had.
type Kind int

// The kinds of pages.
const (
	Normal      Kind = iota // no huge pages
	Transparent             // on request, from free memory
	Reserved                // from the pool that the machine's owner set aside
)

// Pages says in which pages blocks are.
type Pages struct {
	Kind   Kind
	Size   int    // bytes of a huge page; 0 where the system has none that blocks use
	Reason string // why there are none; of Normal only
}

// String returns "2 MiB pages", "2 MiB pages (reserved)" or "normal pages (why)".
func (p Pages) String() string {
	switch p.Kind {
	case Transparent:
		return fmt.Sprintf("%d MiB pages", p.Size>>20)
	case Reserved:
		return fmt.Sprintf("%d MiB pages (reserved)", p.Size>>20)
	}
	return "normal pages (" + p.Reason + ")"
}

// Available asks the system, once, for a huge page and says what it got.
var Available = sync.OnceValue(probe)
