//go:build interop

package interop_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
)

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// A file with every type that torch stores, odd shapes and odd names.
func TestReadTheirFile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(written, "plain.json"))
	require.NoError(t, err)
	var want map[string]readTensor
	require.NoError(t, json.Unmarshal(text, &want))
	path := filepath.Join(written, "plain.safetensors")
	f := open(t, path)
	require.Equal(t, map[string]string{"format": "pt", "note": "ü\n\"quoted\""}, f.Metadata())
	require.Len(t, f.Tensors(), len(want))
	reference := readByReference(t, path)[path]
	for _, info := range f.Tensors() {
		require.Contains(t, want, info.Name)
		require.Equal(t, want[info.Name].Shape, append([]int64{}, info.Shape...), info.Name)
		require.Equal(t, want[info.Name].SHA256, hash(f.bytes(info.Name)), info.Name)
		require.Equal(t, reference.Tensors[info.Name].DType, string(info.Type), info.Name)
	}
}

// A file of ours is read by the reference parser, byte for byte.
func TestTheyReadOurFile(t *testing.T) {
	var data []safetensors.Data
	want := map[string]readTensor{}
	add := func(name string, typ safetensors.Type, elements int64, shape ...int64) {
		b := make([]byte, elements*int64(typ.Bits())/8)
		for i := range b {
			b[i] = byte(i*37 + len(name))
			if typ == "BOOL" {
				b[i] &= 1
			}
		}
		data = append(data, safetensors.Data{Name: name, Type: typ, Shape: shape, Bytes: b})
		want[name] = readTensor{string(typ), shape, hash(b)}
	}
	for _, typ := range []safetensors.Type{"BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "F64", "I64", "U64"} {
		add("t."+string(typ), typ, 15, 3, 5)
	}
	add("scalar", "F32", 1)
	add("empty", "BF16", 0, 0, 9)
	add("quote \" back \\ slash / tab \t line \n", "U8", 3, 3)
	add("ä中😀\u0001\u007f", "U8", 4, 4)
	want["scalar"] = readTensor{"F32", []int64{}, want["scalar"].SHA256}
	path := filepath.Join(t.TempDir(), "ours.safetensors")
	metadata := map[string]string{"format": "pt", "ü\"": "\\ \n 😀"}
	require.NoError(t, safetensors.WriteFile(path, metadata, data...))
	none := filepath.Join(t.TempDir(), "none.safetensors")
	require.NoError(t, safetensors.WriteFile(none, nil))

	got := readByReference(t, path, none)
	require.Empty(t, got[path].Error)
	require.Equal(t, want, got[path].Tensors)
	require.Equal(t, metadata, got[path].Metadata)
	require.Empty(t, got[none].Error)
	require.Empty(t, got[none].Tensors)
}

// stricter are the damaged files that the reference parser takes and we refuse
// on purpose: keys that occur twice, where it keeps the last.
var stricter = map[string]bool{"st-header-duplicate-tensor": true}

// phrases are what the reference parser says when a rule is broken.
var phrases = map[string]string{
	"HeaderTooSmall":           "header too small",
	"HeaderTooLarge":           "header too large",
	"InvalidHeaderLength":      "invalid header length",
	"InvalidHeader":            " in header: ", // not UTF-8, or not the right JSON
	"InvalidOffset":            "invalid offset for tensor",
	"ValidationOverflow":       "overflow computing buffer size",
	"MisalignedSlice":          "does not end up at a byte boundary",
	"TensorInvalidInfo":        "invalid shape, data type, or offset",
	"MetadataIncompleteBuffer": "file not fully covered",
}

// The reference parser refuses what we refuse, by the same rule, and takes
// what we take.
func TestSameVerdictsOnDamagedFiles(t *testing.T) {
	paths, err := filepath.Glob("../testdata/damaged/st-*/model.safetensors")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(paths), 30)
	sound, err := filepath.Glob("../testdata/*/*.safetensors")
	require.NoError(t, err)
	require.NotEmpty(t, sound)
	for path, got := range readByReference(t, append(paths, sound...)...) {
		name := filepath.Base(filepath.Dir(path))
		if !strings.HasPrefix(name, "st-") || stricter[name] {
			require.Empty(t, got.Error, path)
			continue
		}
		want, err := os.ReadFile(filepath.Join(filepath.Dir(path), "want.txt"))
		require.NoError(t, err)
		rules := 0
		for _, line := range strings.Fields(string(want)) {
			if phrase, ok := phrases[line]; ok {
				rules++
				require.Contains(t, got.Error, phrase, "%s: we say %s", name, line)
			}
		}
		require.Equal(t, 1, rules, "%s names one rule", name)
	}
}
