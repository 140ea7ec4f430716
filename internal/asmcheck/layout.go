package asmcheck

import (
	"fmt"
	"strings"
)

// checkLayout checks what a reader finds in a file before its code.
func checkLayout(s *source, generated bool) []Problem {
	var problems []Problem
	bad := func(line int, format string, args ...any) {
		problems = append(problems, Problem{s.path, line, ruleLayout, fmt.Sprintf(format, args...)})
	}
	if len(s.funcs) == 0 {
		bad(0, "no TEXT")
	}
	if generated && (len(s.head) == 0 || !strings.HasPrefix(s.head[0], "Code generated ") || !strings.HasSuffix(s.head[0], "DO NOT EDIT.")) {
		bad(1, `the first line is not "// Code generated ... DO NOT EDIT."`)
	}
	for _, f := range s.funcs {
		first := s.funcs[0]
		if withoutElement(f.family) != withoutElement(first.family) {
			bad(f.line, "%s is not of the family of %s: a file holds one", f.name, first.name)
		}
		if len(f.doc) == 0 {
			bad(f.line, "no comment right before TEXT")
		}
		if !generated {
			continue
		}
		for _, word := range []string{"Maths", "Registers"} {
			if !begins(s.head, word) && !begins(f.doc, word) {
				bad(f.line, "neither the head of the file nor the comment before %s has a line that begins with %q", f.name, word)
			}
		}
	}
	return problems
}

// withoutElement cuts the type of elements off the end of a family's name.
func withoutElement(family string) string {
	for _, e := range []string{"BF16", "F16", "F32"} {
		if short, ok := strings.CutSuffix(family, e); ok && short != "" {
			return short
		}
	}
	return family
}

func begins(lines []string, word string) bool {
	for _, l := range lines {
		if strings.HasPrefix(strings.ToLower(l), strings.ToLower(word)) {
			return true
		}
	}
	return false
}
