package fake

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

//go:embed src/*
var source embed.FS

// Name is the file that Build writes: the driver's.
const Name = "libcuda.so.1"

// Warnings are the flags that all C of this module compiles with.
var Warnings = []string{"-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"}

// Build compiles the stand-in into dir as Name, with cc and more flags of a
// compiler, -DFAKE_WITHOUT_GRAPHS for one without cuGraphInstantiateWithFlags.
// A process that is started with LD_LIBRARY_PATH=dir finds it. The error holds
// the compiler's text.
func Build(dir string, flags ...string) error {
	src, err := os.MkdirTemp("", "bitlane-fake-cuda-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(src)
	if err := os.CopyFS(src, source); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(src, "src", "*.c"))
	if err != nil {
		return err
	}
	args := append([]string{"-O1", "-g", "-shared", "-fPIC", "-pthread", "-Wl,-soname," + Name, "-I" + Header()}, Warnings...)
	args = append(append(args, flags...), "-o", filepath.Join(dir, Name))
	if out, err := exec.Command("cc", append(args, files...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("building the stand-in for %s: %w\n%s", Name, err, out)
	}
	return nil
}

// Header is the folder of our cuda.h.
func Header() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(file))
}
