package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// printJSON writes one indented object.
func (e *env) printJSON(v any) error {
	enc := json.NewEncoder(e.json)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// kept is a writer that keeps its first error.
type kept struct {
	w   io.Writer
	err error
}

func (k *kept) Write(p []byte) (int, error) {
	n, err := k.w.Write(p)
	if k.err == nil {
		k.err = err
	}
	return n, err
}

// visible writes text to a terminal with its control characters, but for ends of
// lines and tabs, replaced by question marks: names come from files, and must
// not command the terminal.
type visible struct{ w io.Writer }

func (v visible) Write(p []byte) (int, error) {
	shown := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case c < ' ' && c != '\n' && c != '\t', c == 0x7f:
			c = '?'
		case c == 0xc2 && i+1 < len(p) && 0x80 <= p[i+1] && p[i+1] < 0xa0: // U+0080 to U+009F
			c = '?'
			i++
		}
		shown = append(shown, c)
	}
	if _, err := v.w.Write(shown); err != nil {
		return 0, err
	}
	return len(p), nil
}

// table returns a writer that lines up columns separated by tabs.
func (e *env) table() *tabwriter.Writer { return tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0) }

// progress draws one line on a terminal; an empty text removes it.
func (e *env) progress(format string, args ...any) {
	if !e.terminal {
		return
	}
	text := fmt.Sprintf(format, args...)
	if len(text) > 100 {
		text = text[:100]
	}
	fmt.Fprint(e.draw, "\r\x1b[K")
	fmt.Fprint(e.stderr, text)
}

func (e *env) warn(format string, args ...any) {
	e.progress("")
	fmt.Fprintf(e.stderr, "warning: "+format+"\n", args...)
}

// humanBytes writes a size with three digits.
func humanBytes(n int64) string {
	v, units := float64(n), []string{"bytes", "kB", "MB", "GB", "TB"}
	for v >= 1000 && len(units) > 1 {
		v, units = v/1000, units[1:]
	}
	if units[0] == "bytes" {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.3g %s", v, units[0])
}

// humanTime writes a duration with three digits.
func humanTime(d time.Duration) string {
	switch s := d.Seconds(); {
	case s >= 1:
		return fmt.Sprintf("%.3g s", s)
	case s >= 1e-3:
		return fmt.Sprintf("%.3g ms", s*1e3)
	default:
		return fmt.Sprintf("%.3g us", s*1e6)
	}
}

// plural writes "1 layer", "2 layers".
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// orEmpty makes a list that JSON writes as [], not null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
