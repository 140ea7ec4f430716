package module

import (
	"regexp"
	"strings"
)

// lookahead is a condition on what a name begins with.
type lookahead struct {
	expr   string
	wanted bool // (?=…); otherwise (?!…)
	re     *regexp.Regexp
}

// globalFlags are flags at the start, which hold for all of a pattern.
var globalFlags = regexp.MustCompile(`^(?:\(\?[aimsux]+\))+`)

// leading cuts the lookaheads off that a pattern begins with, behind flags and anchors, which are no
// news there. Where they do not stand for the whole pattern, as in (?!a)b|c, it returns the
// pattern as it is.
func leading(expr string) (ahead []lookahead, rest string) {
	flags := globalFlags.FindString(expr)
	rest = anchored(expr[len(flags):])
	for strings.HasPrefix(rest, "(?!") || strings.HasPrefix(rest, "(?=") {
		end := closing(rest)
		if end < 0 {
			return nil, expr
		}
		if globalFlags.MatchString(rest[3:end]) || globalFlags.MatchString(rest[end+1:]) {
			return nil, expr
		}
		ahead = append(ahead, lookahead{expr: flags + rest[3:end], wanted: rest[2] == '='})
		rest = anchored(rest[end+1:])
	}
	if ahead == nil || alternatives(rest) || repeated(rest) {
		return nil, expr
	}
	return ahead, flags + rest
}

func anchored(expr string) string {
	for {
		next := strings.TrimPrefix(strings.TrimPrefix(expr, "^"), `\A`)
		if next == expr {
			return expr
		}
		expr = next
	}
}

// repeated reports whether expr begins with a repetition, of what was before it.
func repeated(expr string) bool { return expr != "" && strings.IndexByte("*+?{", expr[0]) >= 0 }

// closing returns the index of the parenthesis that closes the first one of expr, -1 if there is
// none.
func closing(expr string) int {
	found := -1
	scan(expr, func(i, depth int) bool {
		if expr[i] == ')' && depth == 0 {
			found = i
		}
		return found < 0
	})
	return found
}

// alternatives reports whether expr is several, a|b, outside of any parenthesis.
func alternatives(expr string) (found bool) {
	scan(expr, func(i, depth int) bool {
		found = found || expr[i] == '|' && depth == 0
		return !found
	})
	return found
}

// scan calls f for each byte of expr that is neither escaped nor in a character class, with
// the number of parentheses that are open behind it, until f returns false.
func scan(expr string, f func(i, depth int) bool) {
	depth, class := 0, -1 // where a class began
	for i := 0; i < len(expr); i++ {
		c := expr[i]
		switch {
		case c == '\\':
			i++
			continue
		case class >= 0:
			first := i == class+1 || i == class+2 && expr[class+1] == '^'
			if c == ']' && !first {
				class = -1
			}
			continue
		case c == '[':
			class = i
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
		if !f(i, depth) {
			return
		}
	}
}
