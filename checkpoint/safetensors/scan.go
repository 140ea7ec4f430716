package safetensors

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON token by token from bytes that it owns and that are
// valid UTF-8. It decodes strings in place, which never makes them longer.
type scanner struct {
	b  []byte
	at int
}

// span is a part of the scanned bytes.
type span struct{ off, len uint32 }

// syntaxError says what is wrong at a byte of the JSON text, and what should
// be there where that is not plain.
type syntaxError struct {
	at        int
	has, want string
	tensor    string // whose entry it is in; empty where it is in none
}

func (e *syntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.at, e.has) }

func (s *scanner) fail(format string, args ...any) error {
	return &syntaxError{at: s.at, has: fmt.Sprintf(format, args...)}
}

func (s *scanner) bytes(p span) []byte { return s.b[p.off : p.off+p.len] }

// next skips blanks and returns the byte after them without taking it, 0 at
// the end of the text. (A NUL byte is no JSON token either.)
func (s *scanner) next() byte {
	for ; s.at < len(s.b); s.at++ {
		switch s.b[s.at] {
		case ' ', '\t', '\n', '\r':
		default:
			return s.b[s.at]
		}
	}
	return 0
}

// take skips blanks and takes the byte c.
func (s *scanner) take(c byte) error {
	if s.next() != c {
		return s.unexpected(strconv.QuoteRune(rune(c)))
	}
	s.at++
	return nil
}

func (s *scanner) unexpected(want string) error {
	if s.at >= len(s.b) {
		return &syntaxError{at: s.at, has: "the text ends", want: want}
	}
	return &syntaxError{at: s.at, has: strconv.QuoteRune(rune(s.b[s.at])), want: want}
}

// object scans an object. It calls member for each key, with the scanner
// standing before the value, which member scans.
func (s *scanner) object(member func(key span) error) error {
	if err := s.take('{'); err != nil {
		return err
	}
	if s.next() == '}' {
		s.at++
		return nil
	}
	for {
		key, err := s.text()
		if err != nil {
			return err
		}
		if err := s.take(':'); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
		if s.next() == '}' {
			s.at++
			return nil
		}
		if err := s.take(','); err != nil {
			return err
		}
	}
}

// array scans an array; element scans one element.
func (s *scanner) array(element func() error) error {
	if err := s.take('['); err != nil {
		return err
	}
	if s.next() == ']' {
		s.at++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.next() == ']' {
			s.at++
			return nil
		}
		if err := s.take(','); err != nil {
			return err
		}
	}
}

// uint scans a plain integer below 2^64: no sign, fraction or exponent.
func (s *scanner) uint() (uint64, error) {
	if c := s.next(); c < '0' || c > '9' {
		return 0, s.unexpected("an unsigned integer")
	}
	start := s.at
	var v uint64
	for ; s.at < len(s.b); s.at++ {
		c := s.b[s.at]
		if c < '0' || c > '9' {
			if c == '.' || c == 'e' || c == 'E' {
				return 0, s.unexpected("an integer without fraction or exponent")
			}
			break
		}
		hi, lo := bits.Mul64(v, 10)
		sum, carry := bits.Add64(lo, uint64(c-'0'), 0)
		if hi != 0 || carry != 0 {
			return 0, s.fail("an integer of more than 64 bits")
		}
		v = sum
	}
	if s.b[start] == '0' && s.at > start+1 {
		return 0, s.fail("an integer with leading zeros")
	}
	return v, nil
}

// text scans a string and decodes it in place.
func (s *scanner) text() (span, error) {
	if err := s.take('"'); err != nil {
		return span{}, err
	}
	start := s.at
	to := start
	for s.at < len(s.b) {
		c := s.b[s.at]
		switch {
		case c == '"':
			s.at++
			return span{uint32(start), uint32(to - start)}, nil
		case c < ' ':
			return span{}, s.fail("control character %q in a string", c)
		case c == '\\':
			r, err := s.escape()
			if err != nil {
				return span{}, err
			}
			to += utf8.EncodeRune(s.b[to:s.at], r)
		default:
			if to != s.at {
				s.b[to] = c
			}
			to++
			s.at++
		}
	}
	return span{}, s.fail("the text ends inside a string")
}

// escape takes one escape sequence, or the two of a surrogate pair.
func (s *scanner) escape() (rune, error) {
	if s.at+1 >= len(s.b) {
		return 0, s.fail("the text ends inside an escape")
	}
	c := s.b[s.at+1]
	if i := bytes.IndexByte([]byte(`"\/bfnrt`), c); i >= 0 {
		s.at += 2
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	r, ok := s.hex4(s.at)
	if !ok {
		return 0, s.fail("an invalid escape")
	}
	if !utf16.IsSurrogate(r) {
		s.at += 6
		return r, nil
	}
	low, ok := s.hex4(s.at + 6)
	r = utf16.DecodeRune(r, low)
	if !ok || r == utf8.RuneError {
		return 0, s.fail("half a surrogate pair")
	}
	s.at += 12
	return r, nil
}

// hex4 reads the \uXXXX at i.
func (s *scanner) hex4(i int) (rune, bool) {
	if i+6 > len(s.b) || s.b[i] != '\\' || s.b[i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s.b[i+2 : i+6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// skip scans any value that nests at most depth containers deep.
func (s *scanner) skip(depth int) error {
	switch c := s.next(); {
	case c == '"':
		_, err := s.text()
		return err
	case c == '{' || c == '[':
		if depth == 0 {
			return s.fail("nested too deeply")
		}
		if c == '[' {
			return s.array(func() error { return s.skip(depth - 1) })
		}
		return s.object(func(span) error { return s.skip(depth - 1) })
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	}
	for _, w := range []string{"true", "false", "null"} {
		if s.word(w) {
			return nil
		}
	}
	return s.unexpected("a value")
}

// word takes w if it comes next.
func (s *scanner) word(w string) bool {
	s.next()
	if !bytes.HasPrefix(s.b[s.at:], []byte(w)) {
		return false
	}
	s.at += len(w)
	return true
}

// number scans a number of JSON's grammar and forgets it.
func (s *scanner) number() error {
	if s.b[s.at] == '-' {
		s.at++
	}
	zero := s.at < len(s.b) && s.b[s.at] == '0'
	if n := s.digits(); n == 0 || zero && n > 1 {
		return s.fail("an invalid number")
	}
	if s.at < len(s.b) && s.b[s.at] == '.' {
		s.at++
		if s.digits() == 0 {
			return s.fail("an invalid number")
		}
	}
	if s.at < len(s.b) && s.b[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.b) && (s.b[s.at] == '+' || s.b[s.at] == '-') {
			s.at++
		}
		if s.digits() == 0 {
			return s.fail("an invalid number")
		}
	}
	return nil
}

func (s *scanner) digits() int {
	start := s.at
	for s.at < len(s.b) && '0' <= s.b[s.at] && s.b[s.at] <= '9' {
		s.at++
	}
	return s.at - start
}

// end reports anything but blanks after the value.
func (s *scanner) end() error {
	s.next()
	if s.at < len(s.b) {
		return s.unexpected("nothing after the value")
	}
	return nil
}

// duplicate returns the first of n keys that equals an earlier one, or false.
// It takes 8 to 16 bytes per key, fewer than a key's entry has in the text.
func (s *scanner) duplicate(n int, key func(i int) span) (span, bool) {
	if n < 2 {
		return span{}, false
	}
	table := make([]uint32, 1<<bits.Len(uint(2*n-1))) // key number + 1; 0 is free
	seed := maphash.MakeSeed()
	for i := range n {
		k := s.bytes(key(i))
		at := int(maphash.Bytes(seed, k) % uint64(len(table)))
		for ; table[at] != 0; at = (at + 1) % len(table) {
			if bytes.Equal(k, s.bytes(key(int(table[at]-1)))) {
				return key(i), true
			}
		}
		table[at] = uint32(i + 1)
	}
	return span{}, false
}
