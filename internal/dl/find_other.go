//go:build !linux

package dl

import (
	"fmt"
	"runtime"
	"strings"
)

// Find knows Linux only.
func Find(names ...string) (string, error) {
	return "", fmt.Errorf("%s is looked for on linux only, not on %s", strings.Join(names, " or "), runtime.GOOS)
}
