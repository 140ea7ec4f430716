//go:build cuda && cgo && linux

package cublaslt

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/csrc/cuda/fake"
	"github.com/bitlane/bitlane/csrc/cuda/fakelt"
)

// answers are what a library says to testdata/harness.c.
const answers = `0 CUBLAS_STATUS_SUCCESS
1 CUBLAS_STATUS_NOT_INITIALIZED
3 CUBLAS_STATUS_ALLOC_FAILED
7 CUBLAS_STATUS_INVALID_VALUE
8 CUBLAS_STATUS_ARCH_MISMATCH
11 CUBLAS_STATUS_MAPPING_ERROR
13 CUBLAS_STATUS_EXECUTION_FAILED
14 CUBLAS_STATUS_INTERNAL_ERROR
15 CUBLAS_STATUS_NOT_SUPPORTED
16 CUBLAS_STATUS_LICENSE_ERROR
layout 32 bytes: 3, 128 bytes: 0, 512 bytes: 0,
operation 0, 2 bytes: 7 7, 4 bytes: 0 0, 8 bytes: 7 7, 0
preference 0, 2 bytes: 7 7 7 7 7 7, 4 bytes: 7 0 0 0 0 0, 8 bytes: 0 7 7 7 7 7, 0
algorithm, 2 bytes: 7 7 7 7 7 7 7 0 0, 4 bytes: 0 0 0 0 0 0 0 7 7, 8 bytes: 7 7 7 7 7 7 7 7 7
`

// What needs no GPU is answered alike by the stand-in, under the sanitizers, and by
// NVIDIA's library, whose folder BITLANE_CUBLAS_LIBRARY names.
func TestAnswers(t *testing.T) {
	driver := t.TempDir()
	require.NoError(t, fake.Build(driver))
	require.NoError(t, fakelt.Build(driver, fakelt.Name))
	run := func(t *testing.T, folder, version string, flags ...string) string {
		program := filepath.Join(t.TempDir(), "harness")
		args := append([]string{"-O1", "-g", "-pthread", "-I" + fake.Header()}, fake.Warnings...)
		args = append(append(args, flags...), "load.c", "../lazy/lazy.c", "testdata/harness.c", "-ldl", "-o", program)
		out, err := exec.Command("cc", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+folder+":"+driver, "BITLANE_FAKE_CUDA=version="+version)
		out, err = cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		name, rest, _ := strings.Cut(string(out), "\n")
		require.Equal(t, answers, rest)
		return name
	}
	for _, flags := range [][]string{{"-fsanitize=address,undefined", "-fno-sanitize-recover"}, {"-fsanitize=thread"}} {
		require.Equal(t, "libcublasLt.so.12 12.9.3", run(t, driver, "12090", flags...))
	}
	real := os.Getenv("BITLANE_CUBLAS_LIBRARY")
	if real == "" {
		t.Log("without BITLANE_CUBLAS_LIBRARY only on the stand-in")
		return
	}
	t.Log(run(t, real, "13000"))
}
