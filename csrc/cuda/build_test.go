//go:build cuda && cgo && linux

package cuda

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/csrc/cuda/fake"
)

// sh runs a line of shell in dir.
func sh(t *testing.T, dir, line string, env ...string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", line, out)
	return string(out)
}

// selfContained fails when the binary needs the driver's library to start, or
// when other libraries in its process would see a function of the driver API.
func selfContained(t *testing.T, binary string) {
	t.Helper()
	f, err := elf.Open(binary)
	require.NoError(t, err)
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	require.NoError(t, err)
	require.NotEmpty(t, libraries, "not linked by the system's linker")
	for _, l := range libraries {
		require.NotContains(t, l, "libcuda")
	}
	dynamic, err := f.DynamicSymbols()
	require.NoError(t, err)
	require.NotEmpty(t, dynamic)
	for _, s := range dynamic {
		require.NotRegexp(t, `^(cu[A-Z]|bitlane_)`, s.Name)
	}
	all, err := f.Symbols()
	require.NoError(t, err)
	trampolines := 0
	for _, s := range all {
		if strings.Contains(s.Name, "cuMemAlloc_v2") {
			trampolines++
			require.NotEqual(t, elf.SHN_UNDEF, s.Section)
		}
	}
	require.Positive(t, trampolines, "the check looked at a binary without the trampolines")
}

// A binary is the same wherever a real libcuda.so is when it is linked, and
// with the toolkit's header: it starts without a driver, and with one.
func TestBinary(t *testing.T) {
	driver := t.TempDir()
	require.NoError(t, fake.Build(driver))
	require.NoError(t, os.Symlink(fake.Name, filepath.Join(driver, "libcuda.so")))
	root := filepath.Dir(filepath.Dir(fake.Header()))
	ours := "CGO_CPPFLAGS=-I" + fake.Header()
	if flags := os.Getenv("CGO_CPPFLAGS"); strings.HasPrefix(flags, "-I"+fake.Header()+" ") {
		ours = "CGO_CPPFLAGS=" + flags // with the Makefile's own, for which there is a cache
	}
	for name, env := range map[string][]string{
		"our header":       {ours},
		"LIBRARY_PATH":     {ours, "LIBRARY_PATH=" + driver},
		"no as-needed":     {ours, "CGO_LDFLAGS=-O2 -g -Wl,--no-as-needed", "LIBRARY_PATH=" + driver},
		"toolkit's header": nil,
	} {
		t.Run(name, func(t *testing.T) {
			if env == nil {
				env = []string{"CGO_CPPFLAGS=-I" + toolkit(t), "LIBRARY_PATH=" + driver}
			}
			binary := filepath.Join(t.TempDir(), "bitlane")
			linked := sh(t, root, "go build -tags cuda -ldflags=-v -o "+binary+" ./cmd/bitlane", env...)
			selfContained(t, binary)
			// cu names folders in which a machine with a driver has its libcuda.so.
			require.Regexp(t, `(?s)"-L[^"]*/csrc/cuda/lazy".*"-Wl,--as-needed".*"-lcuda"`, linked)
			devices := func(env ...string) string {
				return regexp.MustCompile(`(?m)^cuda(:0)? .*$`).FindString(sh(t, root, binary+" devices", env...))
			}
			require.Contains(t, devices("LD_LIBRARY_PATH="+driver), "Stand-in 0")
			require.Contains(t, devices("LD_LIBRARY_PATH="+driver, "BITLANE_FAKE_CUDA=init=803"),
				"driver not usable: cuInit: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH (803)")
			if without := devices(); strings.Contains(without, " sm_") || strings.Contains(without, "(sm_") {
				t.Log("this machine has a driver:", without)
			} else {
				require.Contains(t, without, "no driver: libcuda.so.1 not found")
			}
		})
	}
}

// The line in the documentation, in a module that imports this one, and where
// that module vendors it.
func TestDocumentedLine(t *testing.T) {
	line := regexp.MustCompile(`CGO_CPPFLAGS="-I\$\(go list .*\)" go build -tags cuda \./\.\.\.`)
	root := filepath.Dir(filepath.Dir(fake.Header()))
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	build := line.FindString(string(text))
	require.NotEmpty(t, build)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	require.Contains(t, string(readme), build)

	dir := filepath.Join(t.TempDir(), "importer")
	require.NoError(t, os.Mkdir(dir, 0o755))
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"go.sum": string(sum),
		"go.mod": "module example.org/importer\n\ngo 1.26\n\nrequire github.com/bitlane/bitlane v0.0.0\n\nreplace github.com/bitlane/bitlane => " + root + "\n",
		"main.go": `package main

import (
	"context"
	"fmt"

	_ "github.com/bitlane/bitlane"
	"github.com/bitlane/bitlane/backend"
)

func main() {
	b, _ := backend.Lookup("cuda")
	fmt.Println(b.Devices(context.Background()))
}
`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	driver := t.TempDir()
	require.NoError(t, fake.Build(driver))
	run := func(t *testing.T, flags string) {
		binary := filepath.Join(dir, "importer")
		require.NoError(t, os.RemoveAll(binary))
		sh(t, dir, build, "GOFLAGS="+flags, "CGO_CPPFLAGS=")
		selfContained(t, binary)
		require.Contains(t, sh(t, dir, binary, "LD_LIBRARY_PATH="+driver), "Stand-in 0")
	}
	sh(t, dir, "go mod tidy", "GOFLAGS=-mod=mod")
	t.Run("imported", func(t *testing.T) { run(t, "-mod=mod") })
	sh(t, dir, "go mod vendor", "GOFLAGS=-mod=mod")
	t.Run("vendored", func(t *testing.T) {
		require.FileExists(t, filepath.Join(dir, "vendor/github.com/bitlane/bitlane/csrc/cuda/cuda.h"))
		run(t, "-mod=vendor")
	})
}
