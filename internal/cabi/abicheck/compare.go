package abicheck

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/bitlane/bitlane/internal/cabi"
)

// Declarations is what Go says about a shim.
type Declarations struct {
	Functions []cabi.Func
	Constants map[string]int64
	Structs   map[string]any // a value of each structure, by its name in C
}

// Compare returns a line for each difference, none if there is none.
func Compare(h *Header, d Declarations) []string {
	var found []string
	report := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for name, v := range d.Constants {
		if c, ok := h.Constants[name]; !ok {
			report("constant %s is not in the header", name)
		} else if c != v {
			report("constant %s is %d in the header, %d in Go", name, c, v)
		}
	}
	for name := range h.Constants {
		if _, ok := d.Constants[name]; !ok {
			report("constant %s is not in Go", name)
		}
	}
	compareFunctions(h, d, report)
	for name, v := range d.Structs {
		if s, ok := h.Structs[name]; !ok {
			report("structure %s is not in the header", name)
		} else {
			compareStruct(name, s, reflect.TypeOf(v), report)
		}
	}
	for name := range h.Structs {
		if _, ok := d.Structs[name]; !ok {
			report("structure %s is not in Go", name)
		}
	}
	slices.Sort(found)
	return found
}

func compareFunctions(h *Header, d Declarations, report func(string, ...any)) {
	byName := map[string]cabi.Func{}
	for _, f := range h.Functions {
		if _, twice := byName[f.Name]; twice {
			report("function %s is in the header twice", f.Name)
		}
		byName[f.Name] = f
	}
	known := map[string]bool{}
	for _, f := range d.Functions {
		known[f.Name] = true
		c, ok := byName[f.Name]
		switch {
		case !ok:
			report("function %s is not in the header", f.Name)
			continue
		case len(c.Args) != len(f.Args):
			report("function %s has %d arguments in the header, %d in Go", f.Name, len(c.Args), len(f.Args))
			continue
		case c.Result != f.Result:
			report("function %s returns %v in the header, %v in Go", f.Name, c.Result, f.Result)
		case len(f.Args) > cabi.MaxArgs:
			report("function %s has %d arguments, a call has at most %d", f.Name, len(f.Args), cabi.MaxArgs)
		}
		for i := range f.Args {
			if c.Args[i] != f.Args[i] {
				report("argument %d of %s is %v in the header, %v in Go", i, f.Name, c.Args[i], f.Args[i])
			}
		}
	}
	for name := range byName {
		if !known[name] {
			report("function %s is not in Go", name)
		}
	}
}

func compareStruct(name string, s Struct, t reflect.Type, report func(string, ...any)) {
	if t.NumField() != len(s.Fields) || int(t.Size()) != s.Bytes {
		report("structure %s has %d fields and %d bytes in the header, %d and %d in Go", name, len(s.Fields), s.Bytes, t.NumField(), t.Size())
		return
	}
	for i, c := range s.Fields {
		f := t.Field(i)
		want := f.Tag.Get("c")
		if want == "" {
			want = snake(f.Name)
		}
		if c.Name != want {
			report("field %d of %s is %s in the header, %s in Go", i, name, c.Name, want)
		}
		if c.Offset != int(f.Offset) || c.Bytes != int(f.Type.Size()) {
			report("field %s of %s has %d bytes at %d in the header, %d at %d in Go", c.Name, name, c.Bytes, c.Offset, f.Type.Size(), f.Offset)
		}
	}
}

// snake turns XCols into x_cols.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
