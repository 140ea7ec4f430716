package abicheck

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/bitlane/bitlane/internal/cabi"
)

// Header is what a C header declares.
type Header struct {
	Functions []cabi.Func
	Constants map[string]int64
	Structs   map[string]Struct
}

// Struct is the layout of a structure.
type Struct struct {
	Fields []Field
	Bytes  int
}

// Field is one of a structure's.
type Field struct {
	Name          string
	Offset, Bytes int
}

var (
	comment     = regexp.MustCompile(`(?s)/\*.*?\*/`)
	preprocess  = regexp.MustCompile(`(?m)^\s*#.*$`)
	enumeration = regexp.MustCompile(`(?s)^enum \{(.*)\}$`)
	structure   = regexp.MustCompile(`(?s)^typedef struct \{(.*)\} (\w+)$`)
	opaque      = regexp.MustCompile(`^typedef struct (\w+) (\w+)$`)
	constant    = regexp.MustCompile(`^(\w+) = (-?\d+)$`)
	field       = regexp.MustCompile(`^(int32_t|int64_t|size_t|void \*) ?(\w+)$`)
	parameter   = regexp.MustCompile(`^(.*?)(\w+)$`)
)

// Parse reads a header whose functions are marked with marker.
func Parse(text, marker string) (*Header, error) {
	h := &Header{Constants: map[string]int64{}, Structs: map[string]Struct{}}
	text = preprocess.ReplaceAllString(comment.ReplaceAllString(text, " "), "")
	text = strings.ReplaceAll(text, `extern "C" {`, "")
	for _, statement := range statements(text) {
		if err := h.add(strings.Join(strings.Fields(statement), " "), marker); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// statements cuts at semicolons outside of braces.
func statements(text string) []string {
	var all []string
	depth, begin := 0, 0
	for i, r := range text {
		switch r {
		case '{':
			depth++
		case '}':
			depth--
		case ';':
			if depth == 0 {
				all = append(all, text[begin:i])
				begin = i + 1
			}
		}
	}
	// What is left is the end of extern "C".
	if rest := strings.Trim(text[begin:], "} \t\n"); rest != "" {
		all = append(all, rest)
	}
	return all
}

func (h *Header) add(s, marker string) error {
	switch {
	case enumeration.MatchString(s):
		return h.enumerate(enumeration.FindStringSubmatch(s)[1])
	case structure.MatchString(s):
		m := structure.FindStringSubmatch(s)
		return h.structure(m[2], m[1])
	case opaque.MatchString(s):
		if m := opaque.FindStringSubmatch(s); m[1] != m[2] {
			return fmt.Errorf("%q has two names", s)
		}
		return nil
	case strings.HasPrefix(s, marker+" "):
		return h.function(strings.TrimPrefix(s, marker+" "))
	}
	return fmt.Errorf("%q is none of what a shim's header has", s)
}

func (h *Header) enumerate(body string) error {
	for c := range strings.SplitSeq(body, ",") {
		c = strings.TrimSpace(c)
		if c == "" {
			continue
		}
		m := constant.FindStringSubmatch(c)
		if m == nil {
			return fmt.Errorf("constant %q has no explicit value", c)
		}
		if _, twice := h.Constants[m[1]]; twice {
			return fmt.Errorf("constant %s is there twice", m[1])
		}
		v, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			return err
		}
		h.Constants[m[1]] = v
	}
	return nil
}

func (h *Header) structure(name, body string) error {
	var s Struct
	for f := range strings.SplitSeq(body, ";") {
		f = strings.TrimSpace(f)
		if f == "" {
			continue
		}
		m := field.FindStringSubmatch(f)
		if m == nil {
			return fmt.Errorf("field %q of %s has a type that a shim's structures do not have", f, name)
		}
		bytes := 8
		if m[1] == "int32_t" {
			bytes = 4
		}
		offset := (s.Bytes + bytes - 1) / bytes * bytes
		s.Fields = append(s.Fields, Field{m[2], offset, bytes})
		s.Bytes = offset + bytes
	}
	s.Bytes = (s.Bytes + 7) / 8 * 8
	h.Structs[name] = s
	return nil
}

func (h *Header) function(s string) error {
	open := strings.Index(s, "(")
	if open < 0 || !strings.HasSuffix(s, ")") {
		return fmt.Errorf("%q is no prototype", s)
	}
	m := parameter.FindStringSubmatch(s[:open])
	if m == nil {
		return fmt.Errorf("%q has no name", s)
	}
	f := cabi.Func{Name: m[2]}
	var err error
	if f.Result, err = kind(m[1]); err != nil {
		return fmt.Errorf("%s: result: %w", f.Name, err)
	}
	list := s[open+1 : len(s)-1]
	if list != "void" {
		for p := range strings.SplitSeq(list, ",") {
			m := parameter.FindStringSubmatch(strings.TrimSpace(p))
			if m == nil {
				return fmt.Errorf("%s: parameter %q has no name", f.Name, p)
			}
			k, err := kind(m[1])
			if err != nil || k == cabi.Void {
				return fmt.Errorf("%s: parameter %q: type %q is none of a shim's", f.Name, p, m[1])
			}
			f.Args = append(f.Args, k)
		}
	}
	h.Functions = append(h.Functions, f)
	return nil
}

func kind(c string) (cabi.Kind, error) {
	c = strings.TrimSpace(c)
	switch {
	case strings.HasSuffix(c, "*"):
		return cabi.Ptr, nil
	case c == "void":
		return cabi.Void, nil
	case c == "int32_t":
		return cabi.I32, nil
	case c == "int64_t":
		return cabi.I64, nil
	case c == "size_t":
		return cabi.Size, nil
	}
	return 0, fmt.Errorf("type %q is none of a shim's", c)
}
