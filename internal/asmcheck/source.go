package asmcheck

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// source is one assembly file.
type source struct {
	path  string
	arch  string
	head  []string // comment lines before the first directive, without slashes
	funcs []*function
}

// function is what follows one TEXT.
type function struct {
	symbol
	name string
	path string
	arch string
	line int
	doc  []string // the comment lines right before TEXT
	code []instr

	unread bool // some bytes could not be decoded
}

// instr is a label, an instruction, or bytes written by hand.
type instr struct {
	line    int
	label   string // of a label, then nothing else is set
	op      string // mnemonic; "" for bytes until they are decoded
	args    []string
	data    []byte // written by hand
	comment string // of data: what it should be
}

func (i instr) String() string {
	if i.label != "" {
		return i.label + ":"
	}
	return strings.TrimSpace(i.op + " " + strings.Join(i.args, ", "))
}

// archOf returns the architecture in an assembly file's name.
func archOf(name string) string {
	base := strings.TrimSuffix(path.Base(name), ".s")
	for _, arch := range []string{amd64, arm64} {
		if strings.HasSuffix(base, "_"+arch) {
			return arch
		}
	}
	return ""
}

var (
	textPattern  = regexp.MustCompile(`^TEXT\s+·(\w+)(?:<>)?\(SB\),\s*(?:[A-Z|0-9]+,\s*)?\$[0-9]+(?:-[0-9]+)?$`)
	labelPattern = regexp.MustCompile(`^([A-Za-z_]\w*):\s*`)
	dataPattern  = regexp.MustCompile(`^(BYTE|WORD|LONG|QUAD)\s+\$(\S+)$`)
)

// asmReader turns lines into a source.
type asmReader struct {
	*source
	problems []Problem
	inHead   bool
	comments []string // comment lines right before this one
	open     bool     // the last instruction is data that may go on in this line
}

// parse reads the text of an assembly file. What it cannot read is a problem.
func parse(name, text string) (*source, []Problem) {
	p := &asmReader{source: &source{path: name, arch: archOf(name)}, inHead: true}
	if p.arch == "" {
		p.bad(0, "the name ends neither in _amd64.s nor in _arm64.s")
		return p.source, p.problems
	}
	for i, line := range strings.Split(text, "\n") {
		p.line(i+1, strings.TrimSpace(line))
	}
	return p.source, p.problems
}

func (p *asmReader) bad(line int, format string, args ...any) {
	p.problems = append(p.problems, Problem{p.path, line, ruleSyntax, fmt.Sprintf(format, args...)})
}

func (p *asmReader) line(n int, line string) {
	code, comment, hasComment := strings.Cut(line, "//")
	code, comment = strings.TrimSpace(code), strings.TrimSpace(comment)
	if code == "" {
		p.open = false
		switch {
		case !hasComment:
			p.comments = nil
		default:
			if p.inHead {
				p.head = append(p.head, comment)
			}
			p.comments = append(p.comments, comment)
		}
		return
	}
	p.inHead = false
	above := p.comments
	p.comments = nil
	switch {
	case strings.HasPrefix(code, "#include "):
	case strings.HasPrefix(code, "#"):
		p.bad(n, "preprocessor line: the checks read no macros")
	case strings.Contains(code, "/*") || strings.Contains(code, "*/"):
		p.bad(n, "block comment")
	case strings.HasPrefix(code, "TEXT"):
		p.text(n, code, above)
	case strings.HasPrefix(code, "DATA") || strings.HasPrefix(code, "GLOBL"):
	case len(p.funcs) == 0:
		p.bad(n, "%q before the first TEXT", code)
	default:
		p.statements(n, code, comment, above)
	}
}

func (p *asmReader) text(n int, code string, above []string) {
	p.open = false
	m := textPattern.FindStringSubmatch(code)
	if m == nil {
		p.bad(n, "cannot read %q", code)
		m = []string{"", "unreadable"}
	}
	p.funcs = append(p.funcs, &function{symbol: parseSymbol(m[1], p.arch), name: m[1], path: p.path, arch: p.arch, line: n, doc: above})
}

// statements reads one line of code: labels and instructions, separated by
// semicolons.
func (p *asmReader) statements(n int, code, comment string, above []string) {
	f := p.funcs[len(p.funcs)-1]
	if m := labelPattern.FindStringSubmatch(code); m != nil {
		f.code = append(f.code, instr{line: n, label: m[1]})
		code, p.open = code[len(m[0]):], false
	}
	data := 0
	for _, s := range strings.Split(code, ";") {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		if m := dataPattern.FindStringSubmatch(s); m != nil {
			if data == 0 && !(p.open && comment == "") {
				what := comment
				if what == "" && len(above) > 0 {
					what = above[len(above)-1]
				}
				f.code = append(f.code, instr{line: n, comment: what})
				p.open = comment == ""
			}
			data++
			last := &f.code[len(f.code)-1]
			b, err := p.dataBytes(m[1], m[2])
			if err != nil {
				p.bad(n, "%s: %v", s, err)
			}
			last.data = append(last.data, b...)
			continue
		}
		if data > 0 {
			p.bad(n, "data and an instruction in one line")
		}
		p.open = false
		op, args, _ := strings.Cut(strings.ReplaceAll(s, "\t", " "), " ")
		f.code = append(f.code, instr{line: n, op: op, args: splitArgs(args)})
	}
}

// dataBytes returns the bytes of one data directive. WORD has two bytes on
// amd64 and is an instruction of four on arm64.
func (p *asmReader) dataBytes(directive, value string) ([]byte, error) {
	size := map[string]int{"BYTE": 1, "WORD": 2, "LONG": 4, "QUAD": 8}[directive]
	if p.arch == arm64 {
		if directive != "WORD" {
			return nil, fmt.Errorf("only WORD holds an instruction of arm64")
		}
		size = 4
	}
	v, err := strconv.ParseUint(value, 0, 8*size)
	if err != nil {
		return nil, err
	}
	var b []byte
	for range size {
		b = append(b, byte(v))
		v >>= 8
	}
	return b, nil
}

// splitArgs splits at commas outside brackets.
func splitArgs(s string) []string {
	var args []string
	depth, start := 0, 0
	for i, c := range s {
		switch c {
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		case ',':
			if depth == 0 {
				args = append(args, strings.TrimSpace(s[start:i]))
				start = i + 1
			}
		}
	}
	if last := strings.TrimSpace(s[start:]); last != "" {
		args = append(args, last)
	}
	return args
}
