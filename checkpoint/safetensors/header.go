package safetensors

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bitlane/bitlane/quant"
)

// Tensor says what a file holds under a name and where.
type Tensor struct {
	Name   string  `json:"name"`
	Type   Type    `json:"type"`
	Shape  []int64 `json:"shape"`  // empty for a scalar; not to be changed
	Offset int64   `json:"offset"` // from the start of the file, in bytes; of no particular alignment
	Bytes  int64   `json:"bytes"`
}

// header is a scanned and validated header.
type header struct {
	tensors []Tensor  // in order of offset
	byName  []uint32  // indices into tensors, in order of name
	text    []byte    // holds the metadata
	meta    [][2]span // keys and values of "__metadata__"
}

// entry is a tensor as the header states it, kept small: a header may hold
// millions. Its shape stays text until everything else is known to be right.
type entry struct {
	begin, end uint64
	name       span
	shape      uint32 // where in the text the shape begins
	dims       uint32
	typ        uint8
}

const (
	metadataKey = "__metadata__"
	maxDepth    = 3  // the header object, a tensor's object, its shape
	maxExtra    = 32 // fields of a tensor entry that this format does not define
	maxExact    = 1 << 53
)

// parseHeader scans text, which it takes over and changes, and checks it
// against the size of the file's data, in bytes. dataStart is where they begin.
func parseHeader(file string, text []byte, dataStart, dataSize int64) (*header, error) {
	if !utf8.Valid(text) {
		return nil, quant.Errorf(InvalidHeader, file, "header", "", "not UTF-8")
	}
	s := &scanner{b: text}
	entries, meta, err := s.header()
	if err != nil {
		return nil, syntax(InvalidHeaderDeserialization, file, err)
	}
	slices.SortFunc(entries, func(a, b entry) int {
		if c := cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end)); c != 0 {
			return c
		}
		return slices.Compare(s.bytes(a.name), s.bytes(b.name))
	})
	var at uint64
	for i := range entries {
		e := &entries[i]
		if e.begin != at || e.end < e.begin {
			return nil, s.broken(file, e, InvalidOffset, fmt.Sprintf("[%d,...]", at), "data_offsets", fmt.Sprintf("[%d,%d]", e.begin, e.end))
		}
		at = e.end
		if err := s.checkSize(file, e); err != nil {
			return nil, err
		}
	}
	if at != uint64(dataSize) {
		return nil, s.incomplete(file, entries, at, uint64(dataSize))
	}
	return s.build(entries, meta, dataStart), nil
}

// syntax makes a FieldError of what a scanner says.
func syntax(rule Rule, file string, err error) error {
	var se *syntaxError
	if errors.As(err, &se) {
		name := file
		if se.tensor != "" {
			name += ": " + se.tensor
		}
		return quant.Errorf(rule, name, "", se.want, "byte %d of the JSON text: %s", se.at, se.has)
	}
	return err
}

func (s *scanner) broken(file string, e *entry, rule Rule, want, field, has string) error {
	return quant.Errorf(rule, file+": "+shown(string(s.bytes(e.name))), field, want, "%s", has)
}

// incomplete says that the tensors' data and the file do not end together,
// and where data are missing from which tensor on.
func (s *scanner) incomplete(file string, entries []entry, end, dataSize uint64) error {
	has := fmt.Sprintf("%d bytes", dataSize)
	if cut := slices.IndexFunc(entries, func(e entry) bool { return e.end > dataSize }); cut >= 0 {
		has += ", which end inside " + shown(string(s.bytes(entries[cut].name)))
	}
	return quant.Errorf(MetadataIncompleteBuffer, file, "data", fmt.Sprintf("%d bytes, as its tensors have", end), "%s", has)
}

// header scans the whole text: the tensors in the order of the text, and the
// metadata.
func (s *scanner) header() (entries []entry, meta [][2]span, err error) {
	metas := 0
	err = s.object(func(key span) error {
		if string(s.bytes(key)) == metadataKey {
			if metas++; metas > 1 {
				return s.fail("duplicate key %s", metadataKey)
			}
			meta, err = s.metadata()
			return err
		}
		e, err := s.entry()
		e.name = key
		entries = append(entries, e)
		if se, ok := err.(*syntaxError); ok {
			se.tensor = shown(string(s.bytes(key)))
		}
		return err
	})
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return nil, nil, err
	}
	if k, found := s.duplicate(len(entries), func(i int) span { return entries[i].name }); found {
		return nil, nil, &syntaxError{at: int(k.off), has: "duplicate key " + shown(string(s.bytes(k)))}
	}
	if k, found := s.duplicate(len(meta), func(i int) span { return meta[i][0] }); found {
		return nil, nil, &syntaxError{at: int(k.off), has: "duplicate key " + shown(string(s.bytes(k)))}
	}
	return entries, meta, nil
}

// metadata scans an object of strings, or null.
func (s *scanner) metadata() (meta [][2]span, err error) {
	if s.word("null") {
		return nil, nil
	}
	err = s.object(func(key span) error {
		value, err := s.text()
		meta = append(meta, [2]span{key, value})
		return err
	})
	return meta, err
}

// entry scans a tensor's object.
func (s *scanner) entry() (e entry, err error) {
	var seen [maxExtra + 3]span
	fields, known := 0, 0
	err = s.object(func(key span) error {
		name := s.bytes(key)
		for _, k := range seen[:fields] {
			if string(s.bytes(k)) == string(name) {
				return s.fail("duplicate key %s", shown(string(name)))
			}
		}
		if fields == len(seen) {
			return s.fail("more than %d unknown fields in a tensor's entry", maxExtra)
		}
		seen[fields] = key
		fields++
		known++
		switch string(name) {
		case "dtype":
			t, err := s.text()
			if err != nil {
				return err
			}
			i := Type(s.bytes(t)).index()
			if i < 0 {
				return &syntaxError{at: int(t.off), has: "unknown dtype " + shown(string(s.bytes(t))), want: "one of " + typeNames()}
			}
			e.typ = uint8(i)
		case "shape":
			s.next()
			e.shape = uint32(s.at)
			return s.array(func() error {
				e.dims++
				_, err := s.uint()
				return err
			})
		case "data_offsets":
			n := 0
			if err := s.array(func() error {
				v, err := s.uint()
				if n++; n > 2 {
					return s.fail("data_offsets of more than two numbers")
				}
				e.begin, e.end = e.end, v
				return err
			}); err != nil {
				return err
			}
			if n != 2 {
				return s.fail("data_offsets of fewer than two numbers")
			}
		default:
			known--
			return s.skip(maxDepth - 2)
		}
		return nil
	})
	if err == nil && known != 3 {
		err = s.fail("a tensor's entry without its dtype, shape and data_offsets")
	}
	return e, err
}

// product multiplies dimensions one after another. It is wide, and stays so,
// once it needs more than 64 bits (a later dimension of zero does not mend it)
// or has met a number above 2^53.
type product struct {
	n    uint64
	wide bool
}

func (p *product) mul(by uint64) {
	hi, lo := bits.Mul64(p.n, by)
	p.n, p.wide = lo, p.wide || hi != 0 || by > maxExact
}

// checkSize compares a tensor's shape with its offsets.
func (s *scanner) checkSize(file string, e *entry) error {
	p := product{n: 1}
	s.shape(e, p.mul)
	p.mul(uint64(types[e.typ].bits))
	size := p.n
	switch {
	case p.wide:
		return s.broken(file, e, ValidationOverflow, "a size below 2^64 bits and dimensions up to 2^53", "shape", s.shapeText(e))
	case size%8 != 0:
		return s.broken(file, e, MisalignedSlice, "a multiple of 8", "size in bits", fmt.Sprint(size))
	case size/8 != e.end-e.begin:
		return s.broken(file, e, TensorInvalidInfo, fmt.Sprintf("the %d bytes of %s %s", size/8, types[e.typ].name, s.shapeText(e)),
			"data_offsets", fmt.Sprintf("[%d,%d]", e.begin, e.end))
	}
	return nil
}

// shape calls dim for each dimension of a scanned entry.
func (s *scanner) shape(e *entry, dim func(uint64)) {
	s.at = int(e.shape)
	for range e.dims {
		s.at++ // the bracket or comma
		d, _ := s.uint()
		dim(d)
		s.next()
	}
}

func (s *scanner) shapeText(e *entry) string {
	var dims []uint64
	s.shape(e, func(d uint64) {
		if len(dims) < 16 {
			dims = append(dims, d)
		}
	})
	if int(e.dims) > len(dims) {
		return fmt.Sprintf("%d of %d dimensions", dims, e.dims)
	}
	return fmt.Sprint(dims)
}

// build makes the tensors of entries that are known to be right. All names
// share one string and all shapes one array.
func (s *scanner) build(entries []entry, meta [][2]span, dataStart int64) *header {
	h := &header{tensors: make([]Tensor, len(entries)), byName: make([]uint32, len(entries)), meta: meta}
	if len(meta) > 0 {
		h.text = s.b
	}
	letters, dims := 0, 0
	for i := range entries {
		letters += int(entries[i].name.len)
		dims += int(entries[i].dims)
	}
	var names strings.Builder
	names.Grow(letters)
	for i := range entries {
		names.Write(s.bytes(entries[i].name))
	}
	all, shapes := names.String(), make([]int64, 0, dims)
	for i := range entries {
		e, t := &entries[i], &h.tensors[i]
		t.Name, all = all[:e.name.len], all[e.name.len:]
		t.Type = types[e.typ].name
		from := len(shapes)
		s.shape(e, func(d uint64) { shapes = append(shapes, int64(d)) })
		t.Shape = shapes[from:len(shapes):len(shapes)]
		t.Offset, t.Bytes = dataStart+int64(e.begin), int64(e.end-e.begin)
		h.byName[i] = uint32(i)
	}
	slices.SortFunc(h.byName, func(a, b uint32) int {
		return strings.Compare(h.tensors[a].Name, h.tensors[b].Name)
	})
	return h
}
