package module

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/bitlane/bitlane/quant"
)

// MaxConfig is the largest configuration file that is read, in bytes.
const MaxConfig = 16 << 20

// Field is one key of a JSON object with its value as text.
type Field struct {
	Key   string
	Value json.RawMessage
}

// Object is a JSON object with its fields in the order of the text. Keys are
// compared exactly, case included, and none occurs twice. A field that is null
// counts as absent, as Python writers mean it.
type Object struct {
	Name   string // of the file or field, for errors
	Fields []Field

	index map[string]int // of the fields by key
}

// ParseObject reads data, one JSON object of at most MaxConfig bytes and nothing
// after it. The bare words NaN, Infinity and -Infinity, which Python writes, are
// read as null.
func ParseObject(name string, data []byte) (*Object, error) {
	return ParseObjectUpTo(name, data, MaxConfig)
}

// ParseObjectUpTo is ParseObject of at most limit bytes, whole MiB.
func ParseObjectUpTo(name string, data []byte, limit int) (*Object, error) {
	bad := func(has string) error {
		return quant.Errorf(quant.ErrFormat, name, "", "one JSON object", "%s", has)
	}
	if len(data) > limit {
		return nil, quant.Errorf(quant.ErrFormat, name, "size", fmt.Sprintf("at most %d MiB", limit>>20), "%d bytes", len(data))
	}
	if !utf8.Valid(data) {
		return nil, bad("bytes that are not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(plainJSON(data)))
	if t, err := dec.Token(); err != nil {
		return nil, bad(jsonError(err))
	} else if t != json.Delim('{') {
		return nil, bad(fmt.Sprintf("text that begins with %.20q", bytes.TrimSpace(data)))
	}
	o := &Object{Name: name, index: map[string]int{}}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, bad(jsonError(err))
		}
		key, ok := t.(string)
		if !ok {
			return nil, bad("a key that is not a string")
		}
		if _, twice := o.index[key]; twice {
			return nil, quant.Errorf(quant.ErrFormat, name, "", "each key once", "key %q twice", key)
		}
		o.index[key] = len(o.Fields)
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, bad(jsonError(err))
		}
		o.Fields = append(o.Fields, Field{key, v})
	}
	if _, err := dec.Token(); err != nil {
		return nil, bad(jsonError(err))
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, bad("text after its end")
	}
	return o, nil
}

// jsonError is err for people, to whom EOF says little.
func jsonError(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "text that ends too early"
	}
	return err.Error()
}

// plainJSON drops a byte order mark and replaces Python's non-finite numbers
// outside strings by null.
func plainJSON(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !bytes.Contains(data, []byte("NaN")) && !bytes.Contains(data, []byte("Infinity")) {
		return data
	}
	out := make([]byte, 0, len(data)+8)
	inside := false
next:
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case inside && c == '\\' && i+1 < len(data):
			out = append(out, c)
			i++
			c = data[i]
		case c == '"':
			inside = !inside
		case !inside:
			for _, w := range []string{"NaN", "-Infinity", "Infinity"} {
				if bytes.HasPrefix(data[i:], []byte(w)) {
					out = append(out, "null"...)
					i += len(w) - 1
					continue next
				}
			}
		}
		out = append(out, c)
	}
	return out
}

// Raw returns the text of a field, or false where it is absent or null.
func (o *Object) Raw(key string) (json.RawMessage, bool) {
	i, ok := o.index[key]
	if !ok {
		return nil, false
	}
	v := o.Fields[i].Value
	return v, string(v) != "null"
}

// ShortName returns the name of a configuration, or of a part of one, without the
// directory: "config.json: quantization_config" of
// "/models/a/config.json: quantization_config".
func ShortName(name string) string {
	const end = ".json"
	file, keys := name, ""
	if i := strings.Index(name, end+": "); i >= 0 {
		file, keys = name[:i+len(end)], name[i+len(end):]
	} else if i := strings.Index(name, ": "); i >= 0 && !strings.HasSuffix(name, end) {
		file, keys = name[:i], name[i:]
	}
	if file != "" {
		file = filepath.Base(file)
	}
	return file + keys
}

// Has reports whether a field is there and not null.
func (o *Object) Has(key string) bool {
	_, ok := o.Raw(key)
	return ok
}

func (o *Object) wrong(key, want string) error {
	v, _ := o.Raw(key)
	if len(v) > 60 {
		v = append(v[:57:57], "..."...)
	}
	return quant.Errorf(quant.ErrFormat, o.Name, key, want, "%s", v)
}

// Text returns a string field, or "" where it is absent.
func (o *Object) Text(key string) (string, error) {
	v, ok := o.Raw(key)
	if !ok {
		return "", nil
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		return "", o.wrong(key, "a string")
	}
	return s, nil
}

// Bool returns a boolean field, or def where it is absent.
func (o *Object) Bool(key string, def bool) (bool, error) {
	v, ok := o.Raw(key)
	if !ok {
		return def, nil
	}
	switch string(v) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return def, o.wrong(key, "true or false")
}

// Int returns an integer field, or def where it is absent. An integer written
// as 128.0 counts.
func (o *Object) Int(key string, def int) (int, error) {
	v, ok := o.Raw(key)
	if !ok {
		return def, nil
	}
	var f float64
	if json.Unmarshal(v, &f) != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		return def, o.wrong(key, "an integer of 32 bits")
	}
	return int(f), nil
}

// Object returns a field that is an object, or nil where it is absent.
func (o *Object) Object(key string) (*Object, error) {
	v, ok := o.Raw(key)
	if !ok {
		return nil, nil
	}
	if v[0] != '{' {
		return nil, o.wrong(key, "an object")
	}
	return ParseObject(o.Name+": "+key, v)
}

// Texts returns a field that is a list of strings, or nil where it is absent.
func (o *Object) Texts(key string) ([]string, error) {
	v, ok := o.Raw(key)
	if !ok {
		return nil, nil
	}
	var s []string
	if json.Unmarshal(v, &s) != nil {
		return nil, o.wrong(key, "a list of strings")
	}
	return s, nil
}
