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
)

// compilers are the compilers on this machine.
func compilers(t *testing.T) (found []string) {
	t.Helper()
	for _, c := range []string{"cc", "clang-19"} {
		if _, err := exec.LookPath(c); err == nil {
			found = append(found, c)
		} else {
			t.Logf("%s is not installed: make tools does it", c)
		}
	}
	require.NotEmpty(t, found)
	return found
}

// check compiles testdata/check.c with NVIDIA's headers and the tables in dir.
func check(t *testing.T, compiler, dir string) (string, error) {
	t.Helper()
	headers := os.Getenv("BITLANE_CUBLAS_INCLUDE")
	if headers == "" {
		t.Skip("BITLANE_CUBLAS_INCLUDE does not name the folders of cublasLt.h and what it includes: the package's documentation says how")
	}
	args := []string{"-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-deprecated-declarations", "-fsyntax-only", "-I" + dir}
	for _, folder := range filepath.SplitList(headers) {
		args = append(args, "-I"+folder)
	}
	out, err := exec.Command(compiler, append(args, "testdata/check.c")...).CombinedOutput()
	return string(out), err
}

func TestTablesAgreeWithNVIDIA(t *testing.T) {
	for _, compiler := range compilers(t) {
		out, err := check(t, compiler, ".")
		require.NoError(t, err, "%s: %s", compiler, out)
	}
}

// A mistake of each kind is found, and the message names its place.
func TestMistakesInTables(t *testing.T) {
	const values, types, functions = "bitlane_lt_values.h", "bitlane_lt_types.h", "bitlane_lt_functions.h"
	for name, c := range map[string]struct{ table, right, wrong, message string }{
		"value":               {values, "BITLANE_VALUE(CUDA_R_16BF, 14)", "BITLANE_VALUE(CUDA_R_16BF, 15)", "value of CUDA_R_16BF"},
		"value of no name":    {values, "CUBLAS_OP_T,", "CUBLAS_OP_X,", "CUBLAS_OP_X"},
		"enumeration":         {values, "BITLANE_ENUM(cublasOperation_t)", "BITLANE_ENUM(cublasLtHandle_t)", "enumeration cublasLtHandle_t"},
		"handle":              {types, "BITLANE_HANDLE(cublasLtHandle_t,", "BITLANE_HANDLE(cublasStatus_t,", "&*(name)0"},
		"size of a struct":    {types, "cublasLtMatmulAlgo_t, uint64_t, data, 8", "cublasLtMatmulAlgo_t, uint64_t, data, 9", "size of cublasLtMatmulAlgo_t"},
		"order of fields":     {types, "size_t, workspaceSize)\nBITLANE_FIELD(cublasLtMatmulHeuristicResult_t, cublasStatus_t, state", "cublasStatus_t, state)\nBITLANE_FIELD(cublasLtMatmulHeuristicResult_t, size_t, workspaceSize", "offset of cublasLtMatmulHeuristicResult_t.state"},
		"type of a field":     {types, "float, wavesCount", "int, wavesCount", "type of cublasLtMatmulHeuristicResult_t.wavesCount"},
		"type of a parameter": {functions, "cublasLtGetProperty, (libraryPropertyType a,", "cublasLtGetProperty, (cudaDataType a,", "prototype of cublasLtGetProperty"},
		"result":              {functions, "BITLANE_LT(const char *, cublasLtGetStatusName", "BITLANE_LT(char *, cublasLtGetStatusName", "prototype of cublasLtGetStatusName"},
		"parameter missing":   {functions, "void *n, size_t o, cudaStream_t p", "void *n, cudaStream_t p", "prototype of cublasLtMatmul"},
		"const missing":       {functions, "(const cublasLtMatmulAlgo_t *a,", "(cublasLtMatmulAlgo_t *a,", "prototype of cublasLtMatmulAlgoConfigGetAttribute"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			found := false
			for _, table := range []string{values, types, functions} {
				text, err := os.ReadFile(table)
				require.NoError(t, err)
				if table == c.table {
					require.Equal(t, 1, strings.Count(string(text), c.right), "%q in %s", c.right, table)
					text = []byte(strings.Replace(string(text), c.right, c.wrong, 1))
					found = true
				}
				require.NoError(t, os.WriteFile(filepath.Join(dir, table), text, 0o644))
			}
			require.True(t, found)
			out, err := check(t, "cc", dir)
			require.Error(t, err)
			require.Contains(t, out, c.message)
		})
	}
}

// The C compiles without a warning, with our cuda.h and the toolkit's.
func TestWarnings(t *testing.T) {
	headers := []string{fake.Header()}
	if toolkit := os.Getenv("BITLANE_CUDA_INCLUDE"); toolkit != "" {
		headers = append(headers, toolkit)
	} else {
		t.Log("without BITLANE_CUDA_INCLUDE only with our cuda.h")
	}
	for _, header := range headers {
		for _, compiler := range compilers(t) {
			for _, file := range []string{"load.c", "product.c"} {
				out, err := exec.Command(compiler, append([]string{"-fsyntax-only", "-O2", "-I" + header, file}, fake.Warnings...)...).CombinedOutput()
				require.NoError(t, err, "%s of %s with %s\n%s", compiler, file, header, out)
			}
		}
	}
}
