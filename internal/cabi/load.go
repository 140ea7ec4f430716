//go:build linux && xpu

package cabi

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ebitengine/purego"
)

// Load loads a shim that was built as a shared library: libbitlane_<name>.so.
// It looks, in this order, and takes the first that loads:
//
//  1. where the variable BITLANE_<NAME>_SHIM says, a file; if it is set,
//     nowhere else
//  2. beside the executable
//  3. where the system's loader looks: LD_LIBRARY_PATH, then its own places
//
// The returned function finds addresses for NewTable. The library stays loaded.
// An error holds all that was tried, with the loader's text.
func Load(name string) (address func(symbol string) uintptr, path string, err error) {
	// The loader keeps its texts for each thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var failed []string
	for _, path := range places(name) {
		handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			failed = append(failed, err.Error())
			continue
		}
		return func(symbol string) uintptr {
			p, err := purego.Dlsym(handle, symbol)
			if err != nil {
				return 0
			}
			return p
		}, path, nil
	}
	variable := "BITLANE_" + strings.ToUpper(name) + "_SHIM"
	where := "beside the program and where the system's loader looks"
	if os.Getenv(variable) != "" {
		where = "where " + variable + " says"
	}
	return nil, "", fmt.Errorf("the shim libbitlane_%s.so cannot be loaded; make csrc writes bin/libbitlane_%s.so: set %s to it or copy it beside the program (looked %s: %s)",
		name, name, variable, where, strings.Join(failed, "; "))
}

func places(name string) []string {
	if path := os.Getenv("BITLANE_" + strings.ToUpper(name) + "_SHIM"); path != "" {
		return []string{path}
	}
	file := "libbitlane_" + name + ".so"
	if executable, err := os.Executable(); err == nil {
		return []string{filepath.Join(filepath.Dir(executable), file), file}
	}
	return []string{file}
}
