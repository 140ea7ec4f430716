package ptx

import "strings"

type tokenKind uint8

const (
	tokEOF    tokenKind = iota
	tokWord             // identifier, register, directive or opcode with its modifiers
	tokNumber           // integer or float literal without its sign
	tokString
	tokPunct
)

type token struct {
	kind tokenKind
	text string
	line int
	pos  int // byte offset in the source
}

// lex splits the source. A word keeps its dots and double colons:
// ld.global.nc.L1::no_allocate.u32 is one.
func lex(name, src string) ([]token, error) {
	toks := make([]token, 0, len(src)/5+16)
	line := 1
	for i := 0; i < len(src); {
		c := src[i]
		switch {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case strings.HasPrefix(src[i:], "//"):
			n := strings.IndexByte(src[i:], '\n')
			if n < 0 {
				n = len(src) - i
			}
			i += n
		case strings.HasPrefix(src[i:], "/*"):
			n := strings.Index(src[i+2:], "*/")
			if n < 0 {
				return nil, &ParseError{name, line, "/*", "comment without end"}
			}
			line += strings.Count(src[i:i+2+n], "\n")
			i += n + 4
		case c == '"':
			n := strings.IndexAny(src[i+1:], "\"\n")
			if n < 0 || src[i+1+n] == '\n' {
				return nil, &ParseError{name, line, "", "string without end"}
			}
			toks = append(toks, token{tokString, src[i+1 : i+1+n], line, i})
			i += n + 2
		case isDigit(c):
			j := i + 1
			for j < len(src) && (isWordByte(src[j]) || src[j] == '.' || (src[j] == '+' || src[j] == '-') && exponentBefore(src[i:j])) {
				j++
			}
			toks = append(toks, token{tokNumber, src[i:j], line, i})
			i = j
		case isWordStart(c):
			j := i + 1
			for j < len(src) {
				if isWordByte(src[j]) || src[j] == '.' {
					j++
				} else if src[j] == ':' && j+2 < len(src) && src[j+1] == ':' && isWordByte(src[j+2]) {
					j += 2
				} else {
					break
				}
			}
			toks = append(toks, token{tokWord, src[i:j], line, i})
			i = j
		case strings.IndexByte("{}()[]<>,;:|!@+-=~", c) >= 0:
			toks = append(toks, token{tokPunct, src[i : i+1], line, i})
			i++
		default:
			return nil, &ParseError{name, line, shorten(src[i:]), "unexpected character"}
		}
	}
	return append(toks, token{tokEOF, "", line, len(src)}), nil
}

// exponentBefore says whether a sign after s continues a decimal float.
func exponentBefore(s string) bool {
	if len(s) > 1 && s[0] == '0' && strings.IndexByte("xXfFdD", s[1]) >= 0 {
		return false
	}
	last := s[len(s)-1]
	return (last == 'e' || last == 'E') && strings.IndexByte(s, '.') >= 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordByte(c byte) bool {
	return c == '_' || c == '$' || c == '%' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isWordStart(c byte) bool { return c == '.' || isWordByte(c) }

// tidy gives a statement on one line, shortened.
func tidy(s string) string { return shorten(strings.Join(strings.Fields(s), " ")) }

func shorten(s string) string {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	s = strings.TrimSpace(s)
	if len(s) > 120 {
		s = s[:117] + "..."
	}
	return s
}
