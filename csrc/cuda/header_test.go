//go:build cuda && cgo && linux

package cuda

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// toolkit is the folder of NVIDIA's own cuda.h.
func toolkit(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("BITLANE_CUDA_INCLUDE")
	if dir == "" {
		t.Skip("BITLANE_CUDA_INCLUDE does not name the folder of the toolkit's cuda.h: make tools installs it and make tags sets it")
	}
	return dir
}

// check compiles testdata/check.c with the toolkit's header and the tables in dir.
func check(t *testing.T, compiler, dir string) (string, error) {
	t.Helper()
	out, err := exec.Command(compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-Wno-deprecated-declarations",
		"-fsyntax-only", "-I"+toolkit(t), "-I"+dir, "testdata/check.c").CombinedOutput()
	return string(out), err
}

func TestTablesAgreeWithToolkit(t *testing.T) {
	for _, compiler := range []string{"cc", "clang-19"} {
		t.Run(compiler, func(t *testing.T) {
			if _, err := exec.LookPath(compiler); err != nil {
				t.Skipf("%s is not installed: make tools does it", compiler)
			}
			out, err := check(t, compiler, ".")
			require.NoError(t, err, "%s", out)
		})
	}
}

// A mistake of each kind is found, and the message names its place.
func TestMistakesInTables(t *testing.T) {
	const values, types, functions = "bitlane_cu_values.h", "bitlane_cu_types.h", "bitlane_cu_functions.h"
	for name, c := range map[string]struct{ table, right, wrong, message string }{
		"value":                 {values, "BITLANE_VALUE(CUDA_ERROR_NOT_FOUND, 500)", "BITLANE_VALUE(CUDA_ERROR_NOT_FOUND, 501)", "value of CUDA_ERROR_NOT_FOUND"},
		"value of no name":      {values, "CUDA_ERROR_NOT_FOUND,", "CUDA_ERROR_NOWHERE,", "CUDA_ERROR_NOWHERE"},
		"enumeration":           {values, "BITLANE_ENUM(CUmemorytype)", "BITLANE_ENUM(CUdeviceptr)", "enumeration CUdeviceptr"},
		"flag":                  {values, "CU_MEMHOSTALLOC_PORTABLE, 1", "CU_MEMHOSTALLOC_PORTABLE, 2", "value of CU_MEMHOSTALLOC_PORTABLE"},
		"scalar":                {types, "CUdeviceptr, unsigned long long", "CUdeviceptr, unsigned int", "type CUdeviceptr"},
		"scalar's sign":         {types, "CUdevice, int", "CUdevice, unsigned int", "type CUdevice"},
		"handle":                {types, "CUstream, CUstream_st", "CUstream, CUevent_st", "handle CUstream"},
		"callback":              {types, "void, (void *)", "void, (int)", "callback CUhostFn"},
		"order of fields":       {types, "CUDA_MEMSET_NODE_PARAMS, unsigned int, value)\nBITLANE_FIELD(CUDA_MEMSET_NODE_PARAMS, unsigned int, elementSize", "CUDA_MEMSET_NODE_PARAMS, unsigned int, elementSize)\nBITLANE_FIELD(CUDA_MEMSET_NODE_PARAMS, unsigned int, value", "offset of CUDA_MEMSET_NODE_PARAMS.value"},
		"type of a field":       {types, "CUDA_MEMCPY2D, const void *, srcHost", "CUDA_MEMCPY2D, void *, srcHost", "type of CUDA_MEMCPY2D.srcHost"},
		"size of a field":       {types, "CUDA_ARRAY_DESCRIPTOR, size_t, Height", "CUDA_ARRAY_DESCRIPTOR, unsigned int, Height", "type of CUDA_ARRAY_DESCRIPTOR.Height"},
		"field missing":         {types, "BITLANE_FIELD(CUDA_MEMCPY3D, void *, reserved0)\n", "", "offset of CUDA_MEMCPY3D.srcPitch"},
		"last field missing":    {types, "BITLANE_FIELD(CUDA_KERNEL_NODE_PARAMS, CUcontext, ctx)\n", "", "size of CUDA_KERNEL_NODE_PARAMS"},
		"array":                 {types, "CUuuid, char, bytes, 16", "CUuuid, char, bytes, 32", "size of CUuuid"},
		"type of a parameter":   {functions, "cuMemAlloc, _v2, (CUdeviceptr *a, size_t b)", "cuMemAlloc, _v2, (CUdeviceptr *a, unsigned int b)", "prototype of cuMemAlloc"},
		"order of parameters":   {functions, "cuFuncSetAttribute, , (CUfunction a, CUfunction_attribute b, int c)", "cuFuncSetAttribute, , (CUfunction a, int b, CUfunction_attribute c)", "prototype of cuFuncSetAttribute"},
		"parameter missing":     {functions, "cuStreamWaitEvent, , (CUstream a, CUevent b, unsigned int c)", "cuStreamWaitEvent, , (CUstream a, CUevent b)", "prototype of cuStreamWaitEvent"},
		"parameter too many":    {functions, "cuCtxSynchronize, , (void)", "cuCtxSynchronize, , (int a)", "prototype of cuCtxSynchronize"},
		"const missing":         {functions, "cuModuleLoad, , (CUmodule *a, const char *b)", "cuModuleLoad, , (CUmodule *a, char *b)", "prototype of cuModuleLoad"},
		"version missing":       {functions, "cuMemFree, _v2,", "cuMemFree, ,", "symbol of cuMemFree"},
		"version too much":      {functions, "cuMemHostAlloc, ,", "cuMemHostAlloc, _v2,", "symbol of cuMemHostAlloc"},
		"function of no name":   {functions, "cuStreamQuery, ,", "cuStreamInquire, ,", "cuStreamInquire"},
		"enumeration exchanged": {functions, "cuCtxSetLimit, , (CUlimit a", "cuCtxSetLimit, , (CUfunc_cache a", "prototype of cuCtxSetLimit"},
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
