package safetensors

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/bitlane/bitlane/quant"
)

// The file names that OpenDir looks for.
const (
	IndexName      = "model.safetensors.index.json"
	SingleName     = "model.safetensors"
	extension      = ".safetensors"
	indexExtension = ".safetensors.index.json"
)

// Set is the tensors of a model directory, in one file or several. It may be
// used by several goroutines at once.
type Set struct {
	files    []*File
	tensors  []located // in order of name
	warnings []string
}

type located struct {
	name string
	file int
}

// OpenDir opens a model directory: the files that model.safetensors.index.json
// names where there is one, else model.safetensors, else those of the only
// *.safetensors.index.json, else the only *.safetensors file. Shards may be
// symbolic links, as in hub caches; their names must be plain names of this
// directory.
func OpenDir(dir string) (*Set, error) {
	from := filepath.Join(dir, IndexName)
	x, err := readIndex(from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := []string{SingleName}
	if x != nil {
		names = x.files
	} else if _, err := os.Stat(filepath.Join(dir, SingleName)); errors.Is(err, fs.ErrNotExist) {
		if names, err = onlyFile(dir, indexExtension); err != nil {
			return nil, err
		}
		if len(names) == 1 {
			from = filepath.Join(dir, names[0])
			if x, err = readIndex(from); err != nil {
				return nil, err
			}
			names = x.files
		} else if names, err = onlyFile(dir, extension); err != nil {
			return nil, err
		}
	}
	s := &Set{}
	for _, name := range names {
		f, err := Open(filepath.Join(dir, name))
		if err != nil {
			s.Close()
			var missing *fs.PathError
			if x != nil && errors.As(err, &missing) {
				err = fmt.Errorf("%s: it says that tensors are in %s: %w", from, shown(name), err)
			}
			return nil, err
		}
		s.files = append(s.files, f)
	}
	err = s.merge()
	if err == nil && x != nil {
		err = s.compare(x)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// readIndex reads the index at path; fs.ErrNotExist where there is none.
func readIndex(path string) (*index, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxIndex {
		return nil, quant.Errorf(InvalidIndex, path, "file", fmt.Sprintf("a regular file of at most %d bytes", maxIndex), "%v of %d bytes", info.Mode(), info.Size())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := make([]byte, info.Size())
	if _, err := io.ReadFull(f, text); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return parseIndex(path, text)
}

// onlyFile returns the name of the only file of dir with an extension; none
// where there is no such index.
func onlyFile(dir, ext string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ext) && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	switch {
	case len(names) == 1, len(names) == 0 && ext == indexExtension:
		return names, nil
	case ext == indexExtension:
		return nil, quant.Errorf(quant.ErrFormat, dir, "directory", "one index, or one called "+IndexName, "%d of them, the first two %s and %s", len(names), shown(names[0]), shown(names[1]))
	}
	return nil, quant.Errorf(quant.ErrFormat, dir, "directory", fmt.Sprintf("%s, %s, one *%s or exactly one *%s file", IndexName, SingleName, indexExtension, extension),
		"%d such files without an index", len(names))
}

// merge sorts the tensors of all files and finds those that are in two.
func (s *Set) merge() error {
	for i, f := range s.files {
		for _, t := range f.byName {
			s.tensors = append(s.tensors, located{f.tensors[t].Name, i})
		}
	}
	slices.SortFunc(s.tensors, func(a, b located) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(s.tensors); i++ {
		if a, b := s.tensors[i-1], s.tensors[i]; a.name == b.name {
			return quant.Errorf(TensorTwice, shown(a.name), "tensor", "one file", "in %s and %s", s.files[a.file].name, s.files[b.file].name)
		}
	}
	return nil
}

// compare checks the tensors against the index: each that it lists is where it
// says; those that it does not list are kept, with a warning.
func (s *Set) compare(x *index) error {
	listed := make([]bool, len(s.tensors))
	for _, p := range x.tensors {
		i, found := s.find(p.name)
		if !found || s.tensors[i].file != p.file {
			return quant.Errorf(TensorNotFound, s.files[p.file].name, "", "", "no tensor %s, which the index says is there", shown(p.name))
		}
		listed[i] = true
	}
	extra, first := make([]int, len(s.files)), make([]string, len(s.files))
	for i, t := range s.tensors {
		if !listed[i] {
			if extra[t.file]++; extra[t.file] == 1 {
				first[t.file] = t.name
			}
		}
	}
	for i, n := range extra {
		if n > 0 {
			s.warnings = append(s.warnings, fmt.Sprintf("%s: tensors that the index does not list: %d, the first is %s", s.files[i].name, n, shown(first[i])))
		}
	}
	return nil
}

func (s *Set) find(name string) (int, bool) {
	return sort.Find(len(s.tensors), func(i int) int { return strings.Compare(name, s.tensors[i].name) })
}

// Warnings returns what is odd about the set but can be read.
func (s *Set) Warnings() []string { return slices.Clone(s.warnings) }

// Files returns the paths of the set's files, in the order of the index.
func (s *Set) Files() []string {
	out := make([]string, len(s.files))
	for i, f := range s.files {
		out[i] = f.name
	}
	return out
}

// FileOf returns the path of the file that holds a tensor, "" where none does.
func (s *Set) FileOf(name string) string {
	if i, found := s.find(name); found {
		return s.files[s.tensors[i].file].name
	}
	return ""
}

// Metadata returns the "__metadata__" of all files together; of a key that differs
// the first file's. It is nil where there is none.
func (s *Set) Metadata() map[string]string {
	var all map[string]string
	for _, f := range s.files {
		for k, v := range f.Metadata() {
			if all == nil {
				all = map[string]string{}
			}
			if _, taken := all[k]; !taken {
				all[k] = v
			}
		}
	}
	return all
}

// Close closes all files.
func (s *Set) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Names returns the names of all tensors, sorted.
func (s *Set) Names() []string {
	out := make([]string, len(s.tensors))
	for i, t := range s.tensors {
		out[i] = t.name
	}
	return out
}

// Tensors returns what all files hold, file by file, in order of offset.
func (s *Set) Tensors() []Tensor {
	var out []Tensor
	for _, f := range s.files {
		out = append(out, f.tensors...)
	}
	return out
}

// Lookup returns what is stored under a name.
func (s *Set) Lookup(name string) (Tensor, bool) {
	if i, found := s.find(name); found {
		return s.files[s.tensors[i].file].Lookup(name)
	}
	return Tensor{}, false
}

// Read returns the whole tensor's bytes in dst, grown where it is too short.
func (s *Set) Read(dst []byte, name string) ([]byte, error) {
	f, err := s.holder(name)
	if err != nil {
		return dst, err
	}
	return f.Read(dst, name)
}

// ReadAt fills dst with the tensor's bytes from off on.
func (s *Set) ReadAt(dst []byte, name string, off int64) error {
	f, err := s.holder(name)
	if err != nil {
		return err
	}
	return f.ReadAt(dst, name, off)
}

func (s *Set) holder(name string) (*File, error) {
	i, found := s.find(name)
	if !found {
		return nil, quant.Errorf(TensorNotFound, "", "", "", "no tensor %s in any file", shown(name))
	}
	return s.files[s.tensors[i].file], nil
}
