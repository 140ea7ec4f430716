package meter

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bitlane/bitlane/csrc/xpu/build"
)

//go:embed src/meter.c
var source embed.FS

// Build compiles the library into dir, for the real one at onednn, and returns its path.
func Build(dir, onednn string) (string, error) {
	text, err := source.ReadFile("src/meter.c")
	if err != nil {
		return "", err
	}
	src, path := filepath.Join(dir, "meter.c"), filepath.Join(dir, "libmeter.so")
	if err := os.WriteFile(src, text, 0o600); err != nil {
		return "", err
	}
	args := append([]string{"-O2", "-shared", "-fPIC", "-fvisibility=hidden"}, build.Warnings...)
	args = append(args, "-o", path, src, "-Wl,--no-as-needed", onednn, "-Wl,-rpath,"+filepath.Dir(onednn), "-Wl,--allow-shlib-undefined", "-ldl")
	if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", path, err, out)
	}
	return path, nil
}
