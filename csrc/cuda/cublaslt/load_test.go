//go:build cuda && cgo && linux

package cublaslt

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/csrc/cuda/fake"
	"github.com/bitlane/bitlane/csrc/cuda/fakelt"
)

// Every state that the library can be in; the test starts itself for each, and
// eight goroutines ask.
func TestLoad(t *testing.T) {
	if os.Getenv("BITLANE_LT_CHILD") != "" {
		var answers [8]State
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { answers[i] = Load() })
		}
		wg.Wait()
		for _, a := range answers[1:] {
			require.Equal(t, answers[0], a)
		}
		fmt.Printf("%+v\n", answers[0])
		return
	}
	const thirteen = "libcublasLt.so.13"
	folder := func(build func(dir string) error) string {
		dir := t.TempDir()
		require.NoError(t, fake.Build(dir))
		require.NoError(t, build(dir))
		return dir
	}
	twelve := folder(func(dir string) error { return fakelt.Build(dir, fakelt.Name) })
	both := folder(func(dir string) error {
		if err := fakelt.Build(dir, fakelt.Name); err != nil {
			return err
		}
		return fakelt.Build(dir, thirteen)
	})
	less := folder(func(dir string) error { return fakelt.Build(dir, fakelt.Name, "-DcublasLtMatmul=absent") })
	broken := folder(func(dir string) error {
		return os.WriteFile(filepath.Join(dir, fakelt.Name), []byte("no library"), 0o644)
	})
	none := folder(func(string) error { return nil })
	for name, c := range map[string]struct{ dir, driver, library, want string }{
		"12":               {twelve, "", "", "{File:libcublasLt.so.12 Version:[12 9 3] Missing: Driver:12090 Tried:[]}"},
		"both, driver 12":  {both, "", "", "{File:libcublasLt.so.12 Version:[12 9 3] Missing: Driver:12090 Tried:[]}"},
		"both, driver 13":  {both, "version=13000", "version=130401", "{File:libcublasLt.so.13 Version:[13 4 1] Missing: Driver:13000 Tried:[]}"},
		"12, driver 13":    {twelve, "version=13000", "", "{File:libcublasLt.so.12 Version:[12 9 3] Missing: Driver:13000 Tried:[{File:libcublasLt.so.13 Text:"},
		"driver too old":   {both, "version=11080", "", "{File: Version:[0 0 0] Missing: Driver:11080 Tried:[]}"},
		"another version":  {twelve, "", "version=110501", "{File:libcublasLt.so.12 Version:[11 5 1] Missing: Driver:12090 Tried:[]}"},
		"function missing": {less, "", "", "{File:libcublasLt.so.12 Version:[12 9 3] Missing:cublasLtMatmul Driver:12090 Tried:[]}"},
		"no library in it": {broken, "", "", "{File: Version:[0 0 0] Missing: Driver:12090 Tried:[{File:libcublasLt.so.12 Text:"},
		"no file":          {none, "", "", "{File: Version:[0 0 0] Missing: Driver:12090 Tried:[{File:libcublasLt.so.12 Text:libcublasLt.so.12: cannot open shared object file: No such file"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestLoad$")
			cmd.Env = append(os.Environ(), "BITLANE_LT_CHILD=1", "LD_LIBRARY_PATH="+c.dir, "BITLANE_FAKE_CUDA="+c.driver, "BITLANE_FAKE_CUBLASLT="+c.library)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			if c.dir == none && strings.HasPrefix(string(out), "{File:lib") {
				t.Log("this machine has the library: ", string(out))
				return
			}
			require.Contains(t, string(out), c.want)
		})
	}
}
