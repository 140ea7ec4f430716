package safetensors

import (
	"bytes"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func written(t *testing.T, meta map[string]string, tensors ...Data) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Write(&b, meta, tensors...))
	return b.String()
}

// The exact bytes that the reference writes.
func TestWriteExactBytes(t *testing.T) {
	zeros := func(n int) []byte { return make([]byte, n) }
	pad := func(n int) string { return strings.Repeat("\x00", n) }
	for name, c := range map[string]struct {
		meta    map[string]string
		tensors []Data
		want    string
	}{
		"one tensor": {
			tensors: []Data{{"attn.0", F32, []int64{1, 2, 3}, zeros(24)}},
			want:    "@" + pad(7) + `{"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}}` + pad(24),
		},
		"half bytes": {
			tensors: []Data{{"attn.0", F4, []int64{1, 2}, zeros(1)}},
			want:    "@" + pad(7) + `{"attn.0":{"dtype":"F4","shape":[1,2],"data_offsets":[0,1]}}    ` + "\x00",
		},
		"nothing": {want: "\x08" + pad(7) + "{}      "},
		"metadata only": {
			meta: map[string]string{"framework": "pt"},
			want: "(" + pad(7) + `{"__metadata__":{"framework":"pt"}}     `,
		},
		"empty metadata": {meta: map[string]string{}, want: "\x18" + pad(7) + `{"__metadata__":{}}     `},
		"a name that forces padding": {
			tensors: []Data{{"attn0", F32, []int64{1, 1, 2, 3}, zeros(24)}},
			want:    "H" + pad(7) + `{"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       ` + pad(24),
		},
		"scalar": {
			tensors: []Data{{"s", I64, nil, zeros(8)}},
			want:    "8" + pad(7) + `{"s":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}   ` + pad(8),
		},
		"sorted by type, then name": {
			tensors: []Data{{"b", F32, []int64{1}, []byte("bbbb")}, {"z", U8, []int64{1}, []byte("z")}, {"a", F32, []int64{1}, []byte("aaaa")}, {"h", BF16, []int64{1}, []byte("hh")}},
			want: string(raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},`+
				`"h":{"dtype":"BF16","shape":[1],"data_offsets":[8,10]},"z":{"dtype":"U8","shape":[1],"data_offsets":[10,11]}}`, []byte("aaaabbbbhhz"))),
		},
		"escapes": {
			meta: map[string]string{"b": "\"\\/\b\f\n\r\t\x01\x7fé<>&\u2028", "a": ""},
			want: string(raw(`{"__metadata__":{"a":"","b":"\"\\/\b\f\n\r\t\u0001`+"\x7fé<>&\u2028"+`"}}  `, nil)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := written(t, c.meta, c.tensors...)
			require.Equal(t, c.want, got)
			f, err := open([]byte(got))
			require.NoError(t, err)
			require.Equal(t, len(c.tensors), len(f.Tensors()))
			require.Zero(t, (len(got)-8-int(size(f)))%8, "the header is not padded to 8 bytes")
		})
	}
}

func size(f *File) (n int64) {
	for _, t := range f.Tensors() {
		n += t.Bytes
	}
	return n
}

// The tensors of GPT-2, as the reference's test has them.
func TestWriteGPT2(t *testing.T) {
	var tensors []Data
	add := func(name string, shape ...int64) {
		n := int64(4)
		for _, d := range shape {
			n *= d
		}
		tensors = append(tensors, Data{name, F32, shape, make([]byte, n)})
	}
	add("wte", 50, 16)
	add("wpe", 10, 16)
	for _, i := range []string{"0", "1"} {
		h := "h." + i + "."
		for _, n := range []string{"ln_1.weight", "ln_1.bias", "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_proj.bias"} {
			add(h+n, 16)
		}
		add(h+"attn.bias", 1, 1, 10, 10)
		add(h+"attn.c_attn.weight", 16, 48)
		add(h+"attn.c_attn.bias", 48)
		add(h+"mlp.c_fc.weight", 16, 64)
	}
	f, err := open([]byte(written(t, nil, tensors...)))
	require.NoError(t, err)
	require.Len(t, f.Tensors(), len(tensors))
	for _, d := range tensors {
		got, ok := f.Lookup(d.Name)
		require.True(t, ok)
		require.Equal(t, d.Shape, got.Shape)
	}
}

func TestWriteRejects(t *testing.T) {
	for name, c := range map[string]struct {
		tensors []Data
		meta    map[string]string
		rule    Rule
	}{
		"unknown type":       {tensors: []Data{{"t", "F128", nil, nil}}, rule: InvalidHeaderDeserialization},
		"twice":              {tensors: []Data{{"t", U8, []int64{0}, nil}, {"t", F32, []int64{0}, nil}}, rule: InvalidHeaderDeserialization},
		"the metadata's key": {tensors: []Data{{"__metadata__", U8, []int64{0}, nil}}, rule: InvalidHeaderDeserialization},
		"negative dimension": {tensors: []Data{{"t", U8, []int64{-1}, nil}}, rule: ValidationOverflow},
		"overflow":           {tensors: []Data{{"t", U8, []int64{1 << 40, 1 << 40}, nil}}, rule: ValidationOverflow},
		"half a byte":        {tensors: []Data{{"t", F4, []int64{1, 3}, []byte{0, 0}}}, rule: MisalignedSlice},
		"too few bytes":      {tensors: []Data{{"t", F32, []int64{2}, make([]byte, 7)}}, rule: TensorInvalidInfo},
		"name not UTF-8":     {tensors: []Data{{"\xff", U8, []int64{0}, nil}}, rule: InvalidHeader},
		"metadata not UTF-8": {meta: map[string]string{"a": "\xff"}, rule: InvalidHeader},
		"header too large":   {meta: map[string]string{"a": strings.Repeat("x", MaxHeader)}, rule: HeaderTooLarge},
		"header too large by names": {
			tensors: []Data{{strings.Repeat("x", MaxHeader), U8, []int64{0}, nil}, {"b", U8, []int64{0}, nil}}, rule: HeaderTooLarge,
		},
	} {
		if c.rule == HeaderTooLarge && testing.Short() {
			continue // 100 MB of text: minutes where the machine is emulated
		}
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			requireRule(t, Write(&b, c.meta, c.tensors...), c.rule)
			require.Zero(t, b.Len(), "something was written before the check")
		})
	}
	require.ErrorIs(t, Write(failing{}, nil), errFailing)
	require.ErrorIs(t, Write(&failingAfter{n: 1}, nil, sample()...), errFailing)
}

type failingAfter struct{ n int }

func (f *failingAfter) Write(b []byte) (int, error) {
	if f.n--; f.n < 0 {
		return 0, errFailing
	}
	return len(b), nil
}

func TestWriteFileIsAtomic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.safetensors")
	only := func(names ...string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		var got []string
		for _, e := range entries {
			got = append(got, e.Name())
		}
		require.Equal(t, names, got)
	}
	require.NoError(t, WriteFile(path, nil, sample()...))
	only("m.safetensors")
	before, err := os.ReadFile(path)
	require.NoError(t, err)

	// A tensor that cannot be written leaves the old file.
	requireRule(t, WriteFile(path, nil, Data{"t", U8, []int64{2}, nil}), TensorInvalidInfo)
	// So does a disk that is full, at the first piece or at the last.
	require.ErrorIs(t, replaceFile(path, func(w io.Writer) error {
		_, err := w.Write(make([]byte, 1<<20))
		require.NoError(t, err)
		return errFailing
	}), errFailing)
	only("m.safetensors")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)

	// And a name that cannot be taken.
	sub := filepath.Join(dir, "sub")
	require.NoError(t, os.MkdirAll(filepath.Join(sub, "x"), 0o700))
	require.Error(t, WriteFile(sub, nil))
	only("m.safetensors", "sub")
	// The error is about the path that the caller gave.
	nowhere := filepath.Join(dir, "none", "m")
	err = WriteFile(nowhere, nil)
	var about *fs.PathError
	require.ErrorAs(t, err, &about)
	require.Equal(t, nowhere, about.Path)
	require.ErrorIs(t, err, fs.ErrNotExist)

	// A new file replaces the old one, with the permissions of a new file.
	require.NoError(t, WriteFile(path, map[string]string{"v": "2"}))
	f, err := Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.Empty(t, f.Names())
	plain := filepath.Join(sub, "plain")
	require.NoError(t, os.WriteFile(plain, nil, 0o666))
	want, err := os.Stat(plain)
	require.NoError(t, err)
	got, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, want.Mode(), got.Mode())
}

// What is written is read back, whatever the names, types and shapes.
func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	letters := []rune("ab.\"\\/\n\x00\x1fé漢😀\u2028 {}:,")
	for range 200 {
		meta := map[string]string{}
		text := func() string {
			r := make([]rune, rng.IntN(12))
			for i := range r {
				r[i] = letters[rng.IntN(len(letters))]
			}
			return string(r)
		}
		for range rng.IntN(4) {
			meta[text()] = text()
		}
		byName := map[string]Data{}
		for range rng.IntN(12) {
			d := Data{Name: text(), Type: Types()[rng.IntN(len(types))], Shape: []int64{}}
			n := d.Type.Bits()
			for range rng.IntN(4) {
				d.Shape = append(d.Shape, rng.Int64N(5))
				n *= int(d.Shape[len(d.Shape)-1])
			}
			if n%8 != 0 {
				d.Shape = append(d.Shape, 4)
				n *= 4
			}
			d.Bytes = make([]byte, n/8)
			for i := range d.Bytes {
				d.Bytes[i] = byte(rng.Uint32())
			}
			byName[d.Name] = d
		}
		var tensors []Data
		for _, d := range byName {
			tensors = append(tensors, d)
		}
		first := written(t, meta, tensors...)
		rng.Shuffle(len(tensors), func(i, j int) { tensors[i], tensors[j] = tensors[j], tensors[i] })
		require.Equal(t, first, written(t, meta, tensors...), "the order of the arguments changes the file")

		f, err := open([]byte(first))
		require.NoError(t, err)
		if len(meta) > 0 {
			require.Equal(t, meta, f.Metadata())
		}
		require.Len(t, f.Names(), len(byName))
		for _, name := range f.Names() {
			want := byName[name]
			got, _ := f.Lookup(name)
			require.Equal(t, want.Type, got.Type)
			require.Equal(t, want.Shape, got.Shape)
			data, err := f.Read(nil, name)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want.Bytes, data))
		}
	}
}

// TestWriteFileLeavesDevices: nothing but a file is replaced.
func TestWriteFileLeavesDevices(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Symlink(os.DevNull, filepath.Join(dir, "null")))
	for _, path := range []string{dir, filepath.Join(dir, "null")} {
		err := WriteFile(path, nil)
		var about *fs.PathError
		require.ErrorAs(t, err, &about)
		require.ErrorContains(t, err, "not a regular file")
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
