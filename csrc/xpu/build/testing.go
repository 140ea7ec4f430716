package build

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Variable names the file of a real oneDNN, libdnnl.so.3, beside all that it
// needs, as make tools installs it from PyPI:
//
//	BITLANE_ONEDNN=$PWD/.tools/venv-onednn/lib/libdnnl.so.3 go test -tags xpu ./...
//
// Without it, tests that need one are skipped and say so.
const Variable = "BITLANE_ONEDNN"

// Environ returns what a process needs to use the oneDNN at file: the loader
// reads LD_LIBRARY_PATH when a process starts, and oneDNN's SYCL finds a CPU by
// OCL_ICD_FILENAMES.
func Environ(file string) []string {
	folder := filepath.Dir(file)
	path := folder
	if before := os.Getenv("LD_LIBRARY_PATH"); before != "" {
		path += ":" + before
	}
	return []string{"LD_LIBRARY_PATH=" + path, "OCL_ICD_FILENAMES=" + filepath.Join(folder, "libintelocl.so")}
}

// Restart is for TestMain: it starts the test's process anew with Environ of
// the file that Variable names, once, and does nothing if there is none.
func Restart() error {
	file := os.Getenv(Variable)
	if file == "" || strings.HasPrefix(os.Getenv("LD_LIBRARY_PATH")+":", filepath.Dir(file)+":") {
		return nil
	}
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("%s: %w", Variable, err)
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	own := Environ(file)
	environ := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "LD_LIBRARY_PATH=") || strings.HasPrefix(v, "OCL_ICD_FILENAMES=")
	})
	return syscall.Exec(binary, os.Args, append(environ, own...))
}
