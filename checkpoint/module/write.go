package module

import (
	"bytes"
	"encoding/json"
	"strings"
)

// NewField returns the field key with the value v: a []Field, which becomes an
// object in that order, or anything that encoding/json writes.
func NewField(key string, v any) Field {
	if fields, ok := v.([]Field); ok {
		return Field{key, marshal(fields)}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // patterns shall stay legible
	if err := e.Encode(v); err != nil {
		panic(err) // a value of the caller's own types, not of a file
	}
	return Field{key, bytes.TrimSpace(b.Bytes())}
}

// WriteObject returns fields as the text of a JSON object in their order, each
// level indented by two blanks and everything below the first line by depth more
// levels.
func WriteObject(fields []Field, depth int) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, marshal(fields), strings.Repeat("  ", depth), "  "); err != nil {
		panic(err) // fields are valid JSON
	}
	return b.Bytes()
}

func marshal(fields []Field) json.RawMessage {
	b := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, NewField("", f.Key).Value...)
		b = append(b, ':')
		b = append(b, f.Value...)
	}
	return append(b, '}')
}
