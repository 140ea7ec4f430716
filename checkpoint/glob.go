package checkpoint

import (
	"regexp"
	"strings"

	"github.com/bitlane/bitlane/quant"
)

// Glob is a pattern of module names, as DenseOptions has them.
type Glob string

// Check reports a glob that has no meaning.
func (g Glob) Check() error { return checkGlobs([]string{string(g)}) }

// Match reports whether g, which Check finds right, matches the whole name.
func (g Glob) Match(name string) bool { return matchGlob(string(g), name) }

// Pattern returns g, which Check finds right, as a regular expression that reads the
// same in Go, Python and PCRE and is anchored at the end of a name.
func (g Glob) Pattern() string {
	var out strings.Builder
	for rest := string(g); rest != ""; {
		switch rest[0] {
		case '*':
			out.WriteString(".*")
		case '?':
			out.WriteByte('.')
		case '\\':
			rest = rest[1:]
			out.WriteString(regexp.QuoteMeta(rest[:1]))
		case '[':
			set, after, _ := cutSet(rest)
			writeSet(&out, set)
			rest = after
			continue
		default:
			out.WriteString(regexp.QuoteMeta(rest[:1]))
		}
		rest = rest[1:]
	}
	return out.String() + "$"
}

// writeSet writes the elements of a set as a class, each escaped.
func writeSet(out *strings.Builder, set string) {
	one := func(c byte) {
		if strings.IndexByte(`\]^-[&~|`, c) >= 0 {
			out.WriteByte('\\')
		}
		out.WriteByte(c)
	}
	out.WriteByte('[')
	if strings.HasPrefix(set, "^") {
		out.WriteByte('^')
		set = set[1:]
	}
	for len(set) > 0 {
		one(set[0])
		if len(set) >= 3 && set[1] == '-' {
			out.WriteByte('-')
			one(set[2])
			set = set[2:]
		}
		set = set[1:]
	}
	out.WriteByte(']')
}

// matchAny returns the first of globs that matches name, or "".
func matchAny(globs []string, name string) string {
	for _, g := range globs {
		if matchGlob(g, name) {
			return g
		}
	}
	return ""
}

// matchGlob matches a checked glob: "*" is any run of bytes, dots included,
// "?" one byte, "[a-c]" and "[^a-c]" one byte of a set, and "\" takes the next
// byte as it is. On a mismatch only the last star gives way, so that the time is
// at most the product of the lengths.
func matchGlob(glob, name string) bool {
	starGlob, starName, starred := "", "", false
	for {
		if strings.HasPrefix(glob, "*") {
			glob = glob[1:]
			starGlob, starName, starred = glob, name, true
			continue
		}
		if glob == "" && name == "" {
			return true
		}
		if glob != "" && name != "" {
			if rest, ok := matchByte(glob, name[0]); ok {
				glob, name = rest, name[1:]
				continue
			}
		}
		if !starred || starName == "" {
			return false
		}
		starName = starName[1:]
		glob, name = starGlob, starName
	}
}

// matchByte matches c with the first element of glob, which is not a star, and
// returns what follows that element.
func matchByte(glob string, c byte) (rest string, ok bool) {
	switch glob[0] {
	case '?':
		return glob[1:], true
	case '\\':
		return glob[2:], glob[1] == c
	case '[':
		set, rest, _ := cutSet(glob)
		negated := strings.HasPrefix(set, "^")
		if negated {
			set = set[1:]
		}
		in := false
		for len(set) > 0 {
			if len(set) >= 3 && set[1] == '-' {
				in = in || set[0] <= c && c <= set[2]
				set = set[3:]
				continue
			}
			in = in || set[0] == c
			set = set[1:]
		}
		return rest, in != negated
	}
	return glob[1:], glob[0] == c
}

// cutSet cuts the set "[...]" at the start of glob; a "]" right after the
// opening is an element.
func cutSet(glob string) (set, rest string, ok bool) {
	from := 2
	if strings.HasPrefix(glob, "[^") {
		from = 3
	}
	if from > len(glob) {
		return "", "", false
	}
	end := strings.IndexByte(glob[from:], ']')
	if end < 0 {
		return "", "", false
	}
	return glob[1 : from+end], glob[from+end+1:], true
}

// maxGlob bounds the time that a glob takes on a name.
const maxGlob = 1 << 10

// checkGlobs reports a glob with an open set, a range that is the wrong way round or a
// backslash at its end, or one that is too long.
func checkGlobs(globs []string) error {
	for _, g := range globs {
		if len(g) > maxGlob {
			return quant.Errorf(quant.ErrFormat, "glob", "length", "at most 1024", "%d", len(g))
		}
		for rest := g; rest != ""; {
			switch {
			case rest[0] == '\\' && len(rest) == 1:
				return quant.Errorf(quant.ErrFormat, "glob", "", "a character after the backslash", "%q", g)
			case rest[0] == '\\':
				rest = rest[2:]
			case rest[0] == '[':
				set, after, ok := cutSet(rest)
				if !ok {
					return quant.Errorf(quant.ErrFormat, "glob", "", "a ] for each [", "%q", g)
				}
				// Nothing is in such a range here, and as a regular expression it is an error.
				for set = strings.TrimPrefix(set, "^"); len(set) >= 3; set = set[1:] {
					if set[1] != '-' {
						continue
					}
					if set[0] > set[2] {
						return quant.Errorf(quant.ErrFormat, "glob", "", "ranges from the smaller character to the larger one", "%q", g)
					}
					set = set[2:]
				}
				rest = after
			default:
				rest = rest[1:]
			}
		}
	}
	return nil
}
