package fake

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bitlane/bitlane/csrc/xpu/build"
)

//go:embed src/*
var source embed.FS

// Name is the file that Build writes: oneDNN's.
const Name = "libdnnl.so.3"

// Variable tells the stand-in what to be.
const Variable = "BITLANE_FAKE_ONEDNN"

// Build compiles the stand-in into dir as Name, with cc and more flags of a
// compiler, -DFAKE_WITHOUT_DETERMINISTIC for one without a symbol. The error
// holds the compiler's text.
func Build(dir string, flags ...string) (path string, err error) {
	src, err := os.MkdirTemp("", "bitlane-fake-onednn-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(src)
	if err := os.CopyFS(src, source); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(src, "src", "*.c"))
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, Name)
	args := append([]string{"-O1", "-g", "-shared", "-fPIC", "-pthread", "-Wl,-soname," + Name, "-I" + build.Folder()}, build.Warnings...)
	args = append(append(append(args, flags...), "-o", path), files...)
	if out, err := exec.Command("cc", append(args, "-lm")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the stand-in for %s: %w\n%s", Name, err, out)
	}
	return path, nil
}
