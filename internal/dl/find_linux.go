package dl

import (
	"errors"
	"strings"

	"github.com/ebitengine/purego"
)

// Find loads the first of the named libraries that the dynamic loader can
// load and returns its name. It stays loaded, its symbols hidden from the rest
// of the process. The error holds the loader's text for each name.
func Find(names ...string) (string, error) {
	var failed []string
	for _, name := range names {
		if _, err := purego.Dlopen(name, purego.RTLD_LAZY|purego.RTLD_LOCAL); err != nil {
			failed = append(failed, err.Error())
			continue
		}
		return name, nil
	}
	return "", errors.New(strings.Join(failed, "; "))
}
