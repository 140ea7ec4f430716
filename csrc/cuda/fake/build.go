package fake

import (
	"embed"
	"fmt"
	"io/fs"
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
func Build(dir string, flags ...string) error { return Compile(source, dir, Name, flags...) }

// Compile compiles src/*.c of source into the library dir/name, as Build does.
func Compile(source fs.FS, dir, name string, flags ...string) error {
	src, err := os.MkdirTemp("", "bitlane-fake-")
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
	args := append([]string{"-O1", "-g", "-shared", "-fPIC", "-pthread", "-Wl,-soname," + name, "-I" + Header()}, Warnings...)
	args = append(append(append(args, "-o", filepath.Join(dir, name)), files...), flags...)
	if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("building the stand-in for %s: %w\n%s", name, err, out)
	}
	return nil
}

// Header is the folder of our cuda.h.
func Header() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(file))
}
