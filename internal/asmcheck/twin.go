package asmcheck

import (
	"fmt"
	"slices"
)

// checkTwins compares every kernel of tier AVXVNNI with the twin that has the
// same instructions in EVEX encodings, which can run on more machines. All
// functions have been decoded.
func checkTwins(funcs []*function) []Problem {
	byName := map[string]*function{}
	for _, f := range funcs {
		byName[f.name] = f
	}
	var problems []Problem
	bad := func(f *function, line int, format string, args ...any) {
		problems = append(problems, Problem{f.path, line, ruleTwin, fmt.Sprintf(format, args...)})
	}
	for _, f := range funcs {
		switch f.tier {
		case twinTier:
			if name := f.family + twinOf + f.rows; byName[name] == nil {
				bad(f, f.line, "a twin of %s, which does not exist", name)
			}
		case twinOf:
			name := f.family + twinTier + f.rows
			twin := byName[name]
			if twin == nil {
				bad(f, f.line, "no twin %s", name)
				continue
			}
			if f.unread || twin.unread {
				continue
			}
			if line, why := differ(f, twin); why != "" {
				bad(f, line, "differs from its twin: %s", why)
			}
		}
	}
	return problems
}

// differ returns the first line of f that differs from twin, and how.
func differ(f, twin *function) (line int, why string) {
	line = f.line
	for i, a := range f.code {
		line = a.line
		if i == len(twin.code) {
			return line, fmt.Sprintf("%s has ended before %s", twin.name, a)
		}
		if b := twin.code[i]; a.label != b.label || a.op != b.op || !slices.Equal(a.args, b.args) {
			return line, fmt.Sprintf("%s here, %s in line %d of %s", a, b, b.line, twin.path)
		}
	}
	if n := len(f.code); n < len(twin.code) {
		return line, fmt.Sprintf("%s goes on with %s", twin.name, twin.code[n])
	}
	return 0, ""
}
