package safetensors

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
)

func one(name, content string) Data {
	return Data{name, U8, []int64{int64(len(content))}, []byte(content)}
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666))
}

// shards makes a directory of two shards with an index.
func shards(t *testing.T, index string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, WriteFile(filepath.Join(dir, "1.safetensors"), nil, one("a", "aa"), one("c", "ccc")))
	require.NoError(t, WriteFile(filepath.Join(dir, "2.safetensors"), nil, one("b", "b"), one("d", "dddd")))
	put(t, dir, IndexName, index)
	return dir
}

func TestSet(t *testing.T) {
	dir := shards(t, `{"metadata":{"total_size":"wrong","more":[{"x":null}]},"weight_map":{"d":"2.safetensors","a":"1.safetensors","b":"2.safetensors","c":"1.safetensors"},"other":1}`)
	s, err := OpenDir(dir)
	require.NoError(t, err)
	require.Empty(t, s.Warnings())
	require.Equal(t, []string{filepath.Join(dir, "2.safetensors"), filepath.Join(dir, "1.safetensors")}, s.Files())
	require.Equal(t, []string{"a", "b", "c", "d"}, s.Names())
	require.Len(t, s.Tensors(), 4)
	for name, want := range map[string]string{"a": "aa", "b": "b", "c": "ccc", "d": "dddd"} {
		got, err := s.Read(nil, name)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		part := make([]byte, 1)
		require.NoError(t, s.ReadAt(part, name, int64(len(want)-1)))
		tensor, ok := s.Lookup(name)
		require.True(t, ok)
		require.Equal(t, int64(len(want)), tensor.Bytes)
	}
	_, ok := s.Lookup("e")
	require.False(t, ok)
	_, err = s.Read(nil, "e")
	requireRule(t, err, TensorNotFound)
	requireRule(t, s.ReadAt(nil, "e", 0), TensorNotFound)
	require.NoError(t, s.Close())
	_, err = s.Read(nil, "a")
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestIndexRules(t *testing.T) {
	for name, c := range map[string]struct {
		index string
		rule  Rule
		text  string
	}{
		"path":                 {`{"weight_map":{"a":"x/1.safetensors"}}`, InvalidIndex, "x/1"},
		"backslash":            {`{"weight_map":{"a":"x\\1.safetensors"}}`, InvalidIndex, "base name"},
		"parent":               {`{"weight_map":{"a":".."}}`, InvalidIndex, ".."},
		"parent's file":        {`{"weight_map":{"a":"../1.safetensors"}}`, InvalidIndex, ".."},
		"the directory":        {`{"weight_map":{"a":"."}}`, InvalidIndex, "base name"},
		"absolute":             {`{"weight_map":{"a":"/etc/passwd"}}`, InvalidIndex, "/etc/passwd"},
		"no name":              {`{"weight_map":{"a":""}}`, InvalidIndex, `""`},
		"NUL":                  {`{"weight_map":{"a":"1.safetensors\u0000x"}}`, InvalidIndex, `\x00`},
		"escaped slash":        {`{"weight_map":{"a":"..\u002f1.safetensors"}}`, InvalidIndex, ".."},
		"tensor twice":         {`{"weight_map":{"a":"1.safetensors","a":"2.safetensors"}}`, InvalidIndex, "duplicate key a"},
		"two maps":             {`{"weight_map":{},"weight_map":{}}`, InvalidIndex, "duplicate"},
		"no map":               {`{"metadata":{}}`, InvalidIndex, "no weight_map"},
		"map in other case":    {`{"Weight_map":{}}`, InvalidIndex, "no weight_map"},
		"not an object":        {`[]`, InvalidIndex, ""},
		"empty":                {``, InvalidIndex, "ends"},
		"text after":           {`{"weight_map":{}} x`, InvalidIndex, ""},
		"file a number":        {`{"weight_map":{"a":1}}`, InvalidIndex, ""},
		"not UTF-8":            {"{\"weight_map\":{\"\xff\":\"1.safetensors\"}}", InvalidIndex, "UTF-8"},
		"deep":                 {`{"x":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]],"weight_map":{}}`, InvalidIndex, "deep"},
		"not in its file":      {`{"weight_map":{"a":"2.safetensors","b":"2.safetensors"}}`, TensorNotFound, "no tensor a"},
		"in another file":      {`{"weight_map":{"a":"1.safetensors","b":"1.safetensors","d":"2.safetensors"}}`, TensorNotFound, "no tensor b"},
		"in no file":           {`{"weight_map":{"x":"1.safetensors"}}`, TensorNotFound, "no tensor x"},
		"numbers of all kinds": {`{"x":[-1,0.5,1e9,-2.5E+3,1e-2,tru],"weight_map":{}}`, InvalidIndex, "a value"},
		"minus":                {`{"x":-,"weight_map":{}}`, InvalidIndex, "number"},
		"no fraction":          {`{"x":1.,"weight_map":{}}`, InvalidIndex, "number"},
		"no exponent":          {`{"x":1e+,"weight_map":{}}`, InvalidIndex, "number"},
		"zeros":                {`{"x":00,"weight_map":{}}`, InvalidIndex, "number"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shards(t, c.index)
			s, err := OpenDir(dir)
			require.Nil(t, s)
			requireRule(t, err, c.rule)
			require.Contains(t, err.Error(), c.text)
			require.Contains(t, err.Error(), dir)
		})
	}
}

func TestIndexOfFilesThatAreNotThere(t *testing.T) {
	dir := shards(t, `{"weight_map":{"a":"1.safetensors","x":"3.safetensors"}}`)
	_, err := OpenDir(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Contains(t, err.Error(), IndexName+": it says that tensors are in 3.safetensors: ")
}

func TestTensorInTwoFiles(t *testing.T) {
	dir := shards(t, `{"weight_map":{"a":"1.safetensors","d":"2.safetensors"}}`)
	require.NoError(t, WriteFile(filepath.Join(dir, "2.safetensors"), nil, one("d", "d"), one("c", "c")))
	_, err := OpenDir(dir)
	requireRule(t, err, TensorTwice)
	require.Contains(t, err.Error(), "1.safetensors and ")
}

func TestUnlistedTensorsAreReadWithAWarning(t *testing.T) {
	dir := shards(t, `{"weight_map":{"c":"1.safetensors","d":"2.safetensors","b":"2.safetensors"}}`)
	s, err := OpenDir(dir)
	require.NoError(t, err)
	defer s.Close()
	require.Equal(t, []string{filepath.Join(dir, "1.safetensors") + ": tensors that the index does not list: 1, the first is a"}, s.Warnings())
	got, err := s.Read(nil, "a")
	require.NoError(t, err)
	require.Equal(t, "aa", string(got))
}

// Hub caches hold links to blobs that lie elsewhere.
func TestLinkedShards(t *testing.T) {
	blobs := shards(t, "")
	dir := t.TempDir()
	for _, name := range []string{"1.safetensors", "2.safetensors"} {
		if err := os.Symlink(filepath.Join(blobs, name), filepath.Join(dir, name)); err != nil {
			t.Fatalf("the file system has no symbolic links: %v", err)
		}
	}
	put(t, dir, IndexName, `{"weight_map":{"a":"1.safetensors","c":"1.safetensors","b":"2.safetensors","d":"2.safetensors"}}`)
	s, err := OpenDir(dir)
	require.NoError(t, err)
	require.Len(t, s.Names(), 4)
	require.NoError(t, s.Close())
}

func TestOpenDirWithoutIndex(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenDir(dir)
	require.ErrorIs(t, err, quant.ErrFormat)
	require.Contains(t, err.Error(), "0 such files")

	require.NoError(t, WriteFile(filepath.Join(dir, "other.safetensors"), nil, one("o", "o")))
	s, err := OpenDir(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"o"}, s.Names())
	require.NoError(t, s.Close())

	require.NoError(t, WriteFile(filepath.Join(dir, "third.safetensors"), nil))
	_, err = OpenDir(dir)
	require.ErrorIs(t, err, quant.ErrFormat)
	require.Contains(t, err.Error(), "2 such files")

	require.NoError(t, WriteFile(filepath.Join(dir, SingleName), nil, one("m", "m")))
	s, err = OpenDir(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"m"}, s.Names())
	require.NoError(t, s.Close())

	_, err = OpenDir(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestIndexIsBounded(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, IndexName, "{")
	require.NoError(t, os.Truncate(filepath.Join(dir, IndexName), maxIndex+1)) // sparse
	_, err := OpenDir(dir)
	requireRule(t, err, InvalidIndex)

	require.NoError(t, os.Remove(filepath.Join(dir, IndexName)))
	require.NoError(t, os.Mkdir(filepath.Join(dir, IndexName), 0o700))
	_, err = OpenDir(dir)
	requireRule(t, err, InvalidIndex)
}
