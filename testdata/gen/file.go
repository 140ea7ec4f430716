package main

import (
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
)

// tensor is one tensor of a safetensors file.
type tensor struct {
	name, dtype string
	shape       []int
	data        []byte
}

// floats makes a tensor of float type t; the values are rounded to it.
func floats(name, t string, v []float64, shape ...int) tensor {
	return numbers(name, t, len(v), shape, func(i int) uint64 { return floatBits(t, round(t, v[i])) })
}

// ints makes an integer tensor of type t.
func ints[T uint8 | int8 | int32 | uint32 | int](name, t string, v []T, shape ...int) tensor {
	return numbers(name, t, len(v), shape, func(i int) uint64 { return uint64(v[i]) })
}

func numbers(name, t string, n int, shape []int, at func(int) uint64) tensor {
	size := 1
	for _, d := range shape {
		size *= d
	}
	if size != n {
		panic(fmt.Sprintf("%s: %d elements in shape %v", name, n, shape))
	}
	w := width(t)
	out := tensor{name: name, dtype: t, shape: shape, data: make([]byte, 0, n*w)}
	for i := range n {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], at(i))
		out.data = append(out.data, b[:w]...)
	}
	return out
}

// tensors is what goes into one file.
type tensors []tensor

func (ts *tensors) add(t ...tensor) { *ts = append(*ts, t...) }

// at returns the tensor of that name, to damage it.
func (ts tensors) at(name string) *tensor {
	for i := range ts {
		if ts[i].name == name {
			return &ts[i]
		}
	}
	panic("no tensor " + name)
}

// without returns the tensors but the one of that name.
func (ts tensors) without(name string) tensors {
	var out tensors
	for _, t := range ts {
		if t.name != name {
			out = append(out, t)
		}
	}
	if len(out) == len(ts) {
		panic("no tensor " + name)
	}
	return out
}

// file returns the safetensors file of ts, laid out as the reference writer
// does it: wide types first, then by name, the header padded to 8 bytes.
func (ts tensors) file() []byte {
	sorted := append(tensors(nil), ts...)
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i], sorted[j]
		if width(a.dtype) != width(b.dtype) {
			return width(a.dtype) > width(b.dtype)
		}
		return a.name < b.name
	})
	entries := []string{`"__metadata__":{"format":"pt"}`}
	var data []byte
	for _, t := range sorted {
		entries = append(entries, entry(t.name, t.dtype, t.shape, len(data), len(data)+len(t.data)))
		data = append(data, t.data...)
	}
	return rawFile("{"+strings.Join(entries, ",")+"}", data)
}

// entry is one line of a header.
func entry(name, dtype string, shape []int, begin, end int) string {
	dims := make([]string, len(shape))
	for i, d := range shape {
		dims[i] = fmt.Sprint(d)
	}
	return fmt.Sprintf(`%q:{"dtype":%q,"shape":[%s],"data_offsets":[%d,%d]}`, name, dtype, strings.Join(dims, ","), begin, end)
}

// rawFile puts a header, padded, before data.
func rawFile(header string, data []byte) []byte {
	for len(header)%8 != 0 {
		header += " "
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), data...)
}

// folder is a checkpoint's directory: file name → content.
type folder map[string][]byte

func (f folder) text(name, content string) { f[name] = []byte(strings.TrimLeft(content, "\n")) }

// index writes tensors into shards and the index that names them.
func (f folder) index(shards ...tensors) {
	f.indexAs("model", "model.safetensors.index.json", shards...)
}

// indexAs is index with other names of the shards and of the index.
func (f folder) indexAs(shard, index string, shards ...tensors) {
	var lines []string
	total := 0
	for i, ts := range shards {
		name := fmt.Sprintf("%s-%05d-of-%05d.safetensors", shard, i+1, len(shards))
		f[name] = ts.file()
		for _, t := range ts {
			lines = append(lines, fmt.Sprintf("    %q: %q", t.name, name))
			total += len(t.data)
		}
	}
	sort.Strings(lines)
	f.text(index, fmt.Sprintf("{\n  \"metadata\": {\n    \"total_size\": %d\n  },\n  \"weight_map\": {\n%s\n  }\n}\n", total, strings.Join(lines, ",\n")))
}
