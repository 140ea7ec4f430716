package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/bitlane/bitlane/quant"
)

// FuzzHeader: any bytes give a typed error or a file whose tensors lie end to
// end inside it and can all be read; writing them again gives a file that
// reads the same; and encoding/json accepts every header that we accept.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("\x06\x00\x00\x00\x00\x00\x00\x00{}\x0D\x20\x09\x0A"))
	f.Add(raw(`{"__metadata__":{"a":"b"},"t":{"dtype":"F4","shape":[2],"data_offsets":[0,1],"x":[1]}}`, []byte{7}))
	f.Add(raw(`{"\ud83d\ude00":{"dtype":"BF16","shape":[],"data_offsets":[0,2]},"z":{"dtype":"I8","shape":[0],"data_offsets":[2,2]}}`, []byte{7, 8}))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := open(b)
		if err != nil {
			var rule Rule
			if !errors.As(err, &rule) || !errors.Is(err, quant.ErrFormat) {
				t.Fatalf("an error without its rule: %v", err)
			}
			return
		}
		if !json.Valid(b[8 : len(b)-int(size(file))]) {
			t.Fatal("the header is not JSON")
		}
		at := int64(len(b)) - size(file)
		var again []Data
		for _, tensor := range file.Tensors() {
			if tensor.Offset != at {
				t.Fatalf("%q at %d, want %d", tensor.Name, tensor.Offset, at)
			}
			at += tensor.Bytes
			data, err := file.Read(nil, tensor.Name)
			if err != nil || !bytes.Equal(data, b[tensor.Offset:at]) {
				t.Fatalf("%q: %v", tensor.Name, err)
			}
			again = append(again, Data{tensor.Name, tensor.Type, tensor.Shape, data})
		}
		if at != int64(len(b)) {
			t.Fatalf("the tensors end at %d of %d", at, len(b))
		}
		var out bytes.Buffer
		if err := Write(&out, file.Metadata(), again...); err != nil {
			t.Fatal(err)
		}
		second, err := open(out.Bytes())
		if err != nil || len(second.Tensors()) != len(again) || len(second.Metadata()) != len(file.Metadata()) {
			t.Fatalf("written again: %v", err)
		}
	})
}

// FuzzIndex: any bytes give a typed error or an index of plain file names.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":1},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"..\/x"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := parseIndex("i", bytes.Clone(b))
		if err != nil {
			if !errors.Is(err, InvalidIndex) {
				t.Fatalf("an error without its rule: %v", err)
			}
			return
		}
		if !json.Valid(b) {
			t.Fatal("the index is not JSON")
		}
		for _, name := range x.files {
			if !baseName(name) {
				t.Fatalf("file name %q", name)
			}
		}
		seen := map[string]bool{}
		for _, p := range x.tensors {
			if seen[p.name] || p.file >= len(x.files) {
				t.Fatalf("tensor %q in file %d of %d", p.name, p.file, len(x.files))
			}
			seen[p.name] = true
		}
	})
}
