package xpu

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/internal/cabi/abicheck"
)

const marker = "BITLANE_XPU_API"

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

// numbers are the constants fn… by their names.
func numbers(t *testing.T) map[string]int {
	file, err := parser.ParseFile(token.NewFileSet(), "decl.go", nil, 0)
	require.NoError(t, err)
	all := map[string]int{}
	ast.Inspect(file, func(n ast.Node) bool {
		decl, ok := n.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			return true
		}
		for i, s := range decl.Specs {
			if name := s.(*ast.ValueSpec).Names[0].Name; strings.HasPrefix(name, "fn") {
				all[name] = i
			}
		}
		return true
	})
	require.Len(t, all, len(Functions))
	return all
}

func differences(header string) ([]string, error) {
	h, err := abicheck.Parse(header, marker)
	if err != nil {
		return nil, err
	}
	return abicheck.Compare(h, abicheck.Declarations{Functions: Functions, Constants: Constants, Structs: Structs}), nil
}

func TestDeclarationsAreTheHeaders(t *testing.T) {
	found, err := differences(read(t, "../../../csrc/xpu/bitlane_xpu.h"))
	require.NoError(t, err)
	require.Empty(t, found)
	found, err = abicheck.Calls(read(t, "shim.go"), numbers(t), Functions)
	require.NoError(t, err)
	require.Empty(t, found)
}

// Every kind of difference, planted, is found.
func TestPlantedDefects(t *testing.T) {
	header := read(t, "../../../csrc/xpu/bitlane_xpu.h")
	for _, c := range []struct{ name, old, new, want string }{
		{"width of an argument", "int64_t rows, void *workspace, int64_t workspace_bytes, char *err, size_t err_bytes);\n\n#ifdef",
			"int32_t rows, void *workspace, int64_t workspace_bytes, char *err, size_t err_bytes);\n\n#ifdef", "argument 5 of bitlane_xpu_apply_codes is int32_t in the header, int64_t in Go"},
		{"one more argument", "bitlane_xpu_memory_free(bitlane_xpu_memory *memory)", "bitlane_xpu_memory_free(bitlane_xpu_memory *memory, int32_t twice)", "function bitlane_xpu_memory_free has 2 arguments in the header, 1 in Go"},
		{"one argument less", "int32_t kind, int64_t index, bitlane_xpu_engine **out", "int64_t index, bitlane_xpu_engine **out", "function bitlane_xpu_engine_create has 5 arguments in the header, 6 in Go"},
		{"arguments swapped", "int32_t kind, int64_t index,", "int64_t index, int32_t kind,", "argument 1 of bitlane_xpu_engine_create is int64_t in the header, int32_t in Go"},
		{"result", "int64_t bitlane_xpu_layer_workspace", "int32_t bitlane_xpu_layer_workspace", "function bitlane_xpu_layer_workspace returns int32_t in the header, int64_t in Go"},
		{"function renamed", "bitlane_xpu_unbind(", "bitlane_xpu_untie(", "function bitlane_xpu_unbind is not in the header"},
		{"function added", "BITLANE_XPU_API int32_t bitlane_xpu_abi(void);", "BITLANE_XPU_API int32_t bitlane_xpu_abi(void);\nBITLANE_XPU_API void bitlane_xpu_new(void);", "function bitlane_xpu_new is not in Go"},
		{"function twice", "BITLANE_XPU_API int32_t bitlane_xpu_abi(void);", "BITLANE_XPU_API int32_t bitlane_xpu_abi(void);\nBITLANE_XPU_API int32_t bitlane_xpu_abi(void);", "function bitlane_xpu_abi is in the header twice"},
		{"constant's value", "BITLANE_XPU_BUSY = 10", "BITLANE_XPU_BUSY = 11", "constant BITLANE_XPU_BUSY is 11 in the header, 10 in Go"},
		{"constant gone", "	BITLANE_XPU_U4 = 12,\n", "", "constant BITLANE_XPU_U4 is not in the header"},
		{"constant added", "	BITLANE_XPU_U4 = 12,\n", "	BITLANE_XPU_U4 = 12,\n	BITLANE_XPU_F8 = 13,\n", "constant BITLANE_XPU_F8 is not in Go"},
		{"interface's number", "BITLANE_XPU_ABI = 1 ", "BITLANE_XPU_ABI = 2 ", "constant BITLANE_XPU_ABI is 2 in the header, 1 in Go"},
		{"fields swapped", "	int64_t k;\n	int64_t n;\n", "	int64_t n;\n	int64_t k;\n", "field 8 of bitlane_xpu_plan is n in the header, k in Go"},
		{"field added", "	int64_t k;\n", "	int64_t k;\n	int64_t kk;\n", "structure bitlane_xpu_plan has 25 fields and 200 bytes in the header, 24 and 192 in Go"},
		{"field's width", "	int64_t bindings;\n", "	int32_t bindings;\n", "field bindings of bitlane_xpu_counts has 4 bytes at 32 in the header, 8 at 32 in Go"},
		{"structure gone", "} bitlane_xpu_counts;", "} bitlane_xpu_living;", "structure bitlane_xpu_counts is not in the header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, 1, strings.Count(header, c.old), "the defect has no place")
			found, err := differences(strings.Replace(header, c.old, c.new, 1))
			require.NoError(t, err)
			require.Contains(t, found, c.want)
		})
	}
	for name, c := range map[string]struct{ old, new string }{
		"by value":                 {"const bitlane_xpu_plan *plan,", "bitlane_xpu_plan plan,"},
		"a double":                 {"int64_t x_stride, void *y", "double x_stride, void *y"},
		"a C int":                  {"int32_t kind, int64_t index,", "int kind, int64_t index,"},
		"an array":                 {"	int64_t k;\n", "	int64_t k[2];\n"},
		"a value that is not said": {"BITLANE_XPU_BUSY = 10", "BITLANE_XPU_BUSY"},
		"something else":           {"BITLANE_XPU_API int32_t bitlane_xpu_abi(void);", "int32_t bitlane_xpu_abi(void);"},
	} {
		t.Run(name, func(t *testing.T) {
			require.GreaterOrEqual(t, strings.Count(header, c.old), 1, "the defect has no place")
			_, err := differences(strings.Replace(header, c.old, c.new, 1))
			require.Error(t, err)
		})
	}
}

// So are calls that do not fit.
func TestPlantedCalls(t *testing.T) {
	source := read(t, "shim.go")
	for _, c := range []struct{ old, new, want string }{
		{"fnUpload, asPtr(stream), asPtr(dst),", "fnUpload, asPtr(stream),", "bitlane_xpu_upload is called with 5 arguments of 6"},
		{"asPtr(library), asI32(kind), asI64(index)", "asPtr(library), asI64(kind), asI64(index)", "argument 1 of bitlane_xpu_engine_create is int32_t and converted by asI64"},
		{"asPtr(layer), asI64(rows)", "asPtr(layer), uintptr(rows)", "argument 1 of bitlane_xpu_layer_workspace is int64_t and converted by uintptr"},
		{"asPtr(layer), asI64(rows)", "asPtr(layer), rows", "argument 1 of bitlane_xpu_layer_workspace is int64_t and converted by nothing"},
		{"s.call(f, fnUnbind, asPtr(binding))", "s.call(f, fnMemoryFree, asPtr(binding))", "fnUnbind is not called"},
		{"s.call(f, fnUnbind, asPtr(binding))", "s.call(f, fnNone, asPtr(binding))", "fnNone is no function's number"},
	} {
		require.Equal(t, 1, strings.Count(source, c.old), c.old)
		found, err := abicheck.Calls(strings.Replace(source, c.old, c.new, 1), numbers(t), Functions)
		require.NoError(t, err)
		require.Contains(t, found, c.want)
	}
}
