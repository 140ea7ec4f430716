package dl

import (
	"errors"
	"runtime"
	"strings"

	"github.com/ebitengine/purego"
)

// Find loads the first of the named libraries that the dynamic loader can
// load and returns its name. It stays loaded, its symbols hidden from the rest
// of the process. The error holds, for each name, the name and the loader's
// text.
func Find(names ...string) (string, error) {
	// The loader keeps the text of a failure for the thread that failed, and
	// a goroutine may continue on another one after any call out of Go.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var failed []string
	for _, name := range names {
		_, err := purego.Dlopen(name, purego.RTLD_LAZY|purego.RTLD_LOCAL)
		if err == nil {
			return name, nil
		}
		failed = append(failed, reason(name, err.Error()))
	}
	return "", errors.New(strings.Join(failed, "; "))
}

// reason says why a library is not there: the loader's text, which may be
// empty, or name nothing but another library that this one needs.
func reason(name, text string) string {
	switch {
	case text == "":
		return name + ": cannot be loaded"
	case strings.Contains(text, name):
		return text
	}
	return name + ": " + text
}
