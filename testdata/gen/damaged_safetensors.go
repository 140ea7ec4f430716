package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// safetensors breaks the rules about lengths and about where tensors lie.
func (d damage) safetensors() {
	add := func(name string, file []byte, want ...string) { d.add("st-"+name, plainFolder(file), want...) }
	good := smallDense().file()
	length := func(n uint64) []byte { return append(binary.LittleEndian.AppendUint64(nil, n), "{}      "...) }

	add("header-too-small", good[:7], "model.safetensors", "HeaderTooSmall", "7")
	add("header-too-large", length(100_000_001), "model.safetensors", "HeaderTooLarge", "100000001", "100000000")
	add("header-beyond-file", length(1000), "model.safetensors", "InvalidHeaderLength", "1000")
	add("header-length-overflow", length(1<<64-1), "model.safetensors", "HeaderTooLarge")
	add("truncated", good[:len(good)-10], "model.safetensors", "MetadataIncompleteBuffer", "1014", "1024")
	add("trailing-bytes", append(bytes.Clone(good), 0, 0, 0), "model.safetensors", "MetadataIncompleteBuffer", "1027", "1024")

	data := make([]byte, 32)
	lay := func(name string, want []string, entries ...string) {
		add(name, rawFile("{"+strings.Join(entries, ",")+"}", data), append(want, "model.safetensors")...)
	}
	lay("offset-hole", []string{"InvalidOffset", "second", "18", "16"},
		entry("first", "F16", []int{8}, 0, 16), entry("second", "F16", []int{7}, 18, 32))
	lay("offset-overlap", []string{"InvalidOffset", "second", "14", "16"},
		entry("first", "F16", []int{8}, 0, 16), entry("second", "F16", []int{9}, 14, 32))
	lay("offset-reversed", []string{"InvalidOffset", "second", "16"},
		entry("first", "F16", []int{8}, 0, 16), entry("second", "F16", []int{8}, 16, 0))
	lay("offset-not-at-0", []string{"InvalidOffset", "only", "2"},
		entry("only", "F16", []int{15}, 2, 32))
	lay("offset-beyond-file", []string{"MetadataIncompleteBuffer", "32", "64"},
		entry("only", "F16", []int{32}, 0, 64))
	lay("shape-overflow", []string{"ValidationOverflow", "only"},
		entry("only", "F16", []int{1 << 40, 1 << 40}, 0, 32))
	lay("shape-overflow-then-0", []string{"ValidationOverflow", "only"},
		entry("only", "F16", []int{1 << 40, 1 << 40, 0}, 0, 32))
	lay("shape-disagrees", []string{"TensorInvalidInfo", "only", "32"},
		entry("only", "F16", []int{4, 5}, 0, 32))
	lay("misaligned", []string{"MisalignedSlice", "only", "252"},
		entry("only", "F4", []int{63}, 0, 32))

	var same []string
	for i := range 200 { // the many tensors over the same bytes of known attacks
		same = append(same, entry(fmt.Sprintf("t%d", i), "U8", []int{32}, 0, 32))
	}
	lay("same-bytes", []string{"InvalidOffset"}, same...)
}

// headers breaks the rules about the header's text.
func (d damage) headers() {
	data := make([]byte, 32)
	add := func(name, header string, want ...string) {
		d.add("st-header-"+name, plainFolder(rawFile(header, data)), append(want, "model.safetensors", "InvalidHeader")...)
	}
	const good = `"w":{"dtype":"F16","shape":[4,4],"data_offsets":[0,32]}`
	add("not-utf8", "{\"\xff\":1}", "header is not UTF-8")
	add("not-json", `{`)
	add("not-object", `[1]`)
	add("trailing-text", `{`+good+`} x`, "x")
	add("duplicate-tensor", `{`+good+`,`+good+`}`, "w", "duplicate")
	add("duplicate-field", `{"w":{"dtype":"F16","dtype":"BF16","shape":[4,4],"data_offsets":[0,32]}}`, "dtype", "duplicate")
	add("field-case", `{"w":{"DType":"F16","shape":[4,4],"data_offsets":[0,32]}}`, "dtype")
	add("missing-shape", `{"w":{"dtype":"F16","data_offsets":[0,32]}}`, "shape")
	add("unknown-dtype", `{"w":{"dtype":"F12","shape":[4,4],"data_offsets":[0,32]}}`, "F12", "dtype", "want one of BOOL, ", "BF16")
	add("shape-negative", `{"w":{"dtype":"F16","shape":[-4,4],"data_offsets":[0,32]}}`)
	add("shape-fraction", `{"w":{"dtype":"F16","shape":[4.0,4],"data_offsets":[0,32]}}`)
	add("shape-exponent", `{"w":{"dtype":"F16","shape":[4e0,4],"data_offsets":[0,32]}}`)
	add("shape-huge", `{"w":{"dtype":"F16","shape":[99999999999999999999,4],"data_offsets":[0,32]}}`)
	add("shape-text", `{"w":{"dtype":"F16","shape":"4x4","data_offsets":[0,32]}}`)
	add("offsets-three", `{"w":{"dtype":"F16","shape":[4,4],"data_offsets":[0,32,32]}}`, "data_offsets")
	add("metadata-number", `{"__metadata__":{"format":1},`+good+`}`)
	add("nested", `{"w":`+strings.Repeat(`[`, 2000)+strings.Repeat(`]`, 2000)+`}`)
}

// indexes breaks the rules about models in several files.
func (d damage) indexes() {
	const file = "model.safetensors.index.json"
	add := func(name, index string, extra folder, want ...string) {
		f := folder{}
		f.text("config.json", plainConfig)
		for name, content := range extra {
			f[name] = content
		}
		f.text(file, index)
		d.add("index-"+name, f, want...)
	}
	shard := folder{"a.safetensors": smallDense().file()}
	one := func(tensor, in string) string {
		return fmt.Sprintf(`{"metadata":{"total_size":1024},"weight_map":{%q:%q}}`+"\n", tensor, in)
	}
	const w = down + ".weight"
	add("not-json", "{\n", shard, file, `the text ends, want '"'`)
	add("no-weight-map", `{"metadata":{"total_size":1024}}`+"\n", shard, file, "weight_map")
	add("file-not-text", fmt.Sprintf(`{"weight_map":{%q:1}}`+"\n", w), shard, file)
	add("duplicate-tensor", fmt.Sprintf(`{"weight_map":{%q:"a.safetensors",%q:"a.safetensors"}}`+"\n", w, w), shard, file, w, "duplicate")
	add("path-parent", one(w, "../a.safetensors"), shard, file, "../a.safetensors")
	add("path-absolute", one(w, "/tmp/a.safetensors"), shard, file, "JSON text: file name /tmp/a.safetensors")
	add("path-backslash", one(w, `..\a.safetensors`), shard, file)
	add("path-nul", fmt.Sprintf(`{"weight_map":{%q:"a\u0000.safetensors"}}`+"\n", w), shard, file)
	add("path-dot-dot", one(w, ".."), shard, file)
	add("file-missing", one(w, "b.safetensors"), shard, file, "it says that tensors are in b.safetensors", "no such file")
	add("tensor-missing", one(down+".bias", "a.safetensors"), shard, down+".bias", "a.safetensors")
	add("tensor-in-two-files", fmt.Sprintf(`{"weight_map":{%q:"a.safetensors","other":"b.safetensors"}}`+"\n", w),
		folder{"a.safetensors": smallDense().file(), "b.safetensors": append(smallDense(), floats("other", "F16", []float64{1}, 1)).file()},
		w, "a.safetensors", "b.safetensors")
}
