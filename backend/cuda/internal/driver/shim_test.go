//go:build cuda && cgo && linux

package driver

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/csrc/cuda/fake"
)

// shim.c compiles without a warning, with our header and the toolkit's.
func TestWarningsOfShim(t *testing.T) {
	headers := []string{fake.Header()}
	if toolkit := os.Getenv("BITLANE_CUDA_INCLUDE"); toolkit != "" {
		headers = append(headers, toolkit)
	} else {
		t.Log("without BITLANE_CUDA_INCLUDE only with our header")
	}
	for _, header := range headers {
		for _, compiler := range []string{"cc", "clang-19"} {
			if _, err := exec.LookPath(compiler); err != nil {
				t.Skipf("%s is not installed: make tools does it", compiler)
			}
			out, err := exec.Command(compiler, append([]string{"-fsyntax-only", "-O2", "-I" + header, "shim.c"}, fake.Warnings...)...).CombinedOutput()
			require.NoError(t, err, "%s with %s\n%s", compiler, header, out)
		}
	}
}
