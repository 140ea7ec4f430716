package build

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Name is the file that Library writes.
const Name = "libbitlane_xpu.so"

// Warnings are the flags that all C of this module compiles with.
var Warnings = []string{"-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"}

// Folder is csrc/xpu.
func Folder() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(file))
}

// Library compiles the shim into dir as Name, as make csrc does, and returns its path.
func Library(dir string, flags ...string) (string, error) {
	path := filepath.Join(dir, Name)
	return path, Compile("cc", path, append([]string{"-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-z,defs"}, flags...))
}

// Compile compiles the shim with more files into path. The error holds the
// compiler's text.
func Compile(compiler, path string, flags []string, files ...string) error {
	own, err := filepath.Glob(filepath.Join(Folder(), "*.c"))
	if err != nil {
		return err
	}
	args := append([]string{"-O1", "-g", "-I" + Folder()}, Warnings...)
	args = append(append(args, flags...), "-o", path)
	args = append(append(append(args, own...), files...), "-ldl", "-pthread")
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", path, err, out)
	}
	return nil
}
