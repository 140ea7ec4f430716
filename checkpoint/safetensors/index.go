package safetensors

import (
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/bitlane/bitlane/quant"
)

// maxIndex bounds the size of an index file in bytes; the largest models have
// some 10 MB.
const maxIndex = 100_000_000

// index is a scanned model.safetensors.index.json: which tensor is in which
// file. Its "metadata" (total_size) is informative and not kept.
type index struct {
	files   []string // in order of first mention
	tensors []placed // in the order of the text
}

type placed struct {
	name string
	file int
}

// parseIndex scans an index; it takes text over and changes it.
func parseIndex(name string, text []byte) (*index, error) {
	if !utf8.Valid(text) {
		return nil, quant.Errorf(InvalidIndex, name, "", "", "not UTF-8")
	}
	type pair struct {
		name span
		file int32
	}
	var (
		s       = &scanner{b: text}
		x       = &index{}
		pairs   []pair
		numbers = map[string]int32{}
		keys    []span
	)
	member := func(key span) error {
		value, err := s.text()
		if err != nil {
			return err
		}
		n, known := numbers[string(s.bytes(value))]
		if !known {
			file := string(s.bytes(value))
			if !baseName(file) {
				return s.fail("file name %s is not a plain base name", shown(file))
			}
			n = int32(len(x.files))
			numbers[file] = n
			x.files = append(x.files, file)
		}
		pairs = append(pairs, pair{key, n})
		return nil
	}
	found := false
	err := s.object(func(key span) error {
		keys = append(keys, key)
		if string(s.bytes(key)) == "weight_map" {
			found = true
			return s.object(member)
		}
		return s.skip(maxNested)
	})
	if err == nil {
		err = s.end()
	}
	if err == nil && !found {
		err = quant.Errorf(InvalidIndex, name, "", "an object so named, with the file of each tensor", "no weight_map")
	}
	if err == nil {
		k, twice := s.duplicate(len(keys), func(i int) span { return keys[i] })
		if !twice {
			k, twice = s.duplicate(len(pairs), func(i int) span { return pairs[i].name })
		}
		if twice {
			err = &syntaxError{at: int(k.off), has: "duplicate key " + shown(string(s.bytes(k)))}
		}
	}
	if err != nil {
		return nil, syntax(InvalidIndex, name, err)
	}
	x.tensors = make([]placed, len(pairs))
	for i, p := range pairs {
		x.tensors[i] = placed{string(s.bytes(p.name)), int(p.file)}
	}
	return x, nil
}

// maxNested bounds the nesting of what an index holds beside its weight_map.
const maxNested = 16

// baseName reports whether name names a file of the directory itself on any
// system.
func baseName(name string) bool {
	return name != "." && !strings.ContainsAny(name, "/\\\x00") && filepath.IsLocal(name)
}
