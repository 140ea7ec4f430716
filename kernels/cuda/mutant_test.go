package cuda

import (
	"flag"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/internal/gpuvm/ptx"
)

// source is the text of a module, cut into what stands before its entries, and
// the entries.
type source struct {
	head    string
	entries map[string]string
}

var entryStart = regexp.MustCompile(`(?m)^\.visible \.entry (\w+)\(`)

func cut(text string) source {
	s := source{entries: map[string]string{}}
	found := entryStart.FindAllStringSubmatchIndex(text, -1)
	s.head = text[:found[0][0]]
	for i, at := range found {
		end := len(text)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		s.entries[text[at[2]:at[3]]] = text[at[0]:end]
	}
	return s
}

var sources sync.Map // module name to source

func sourceOf(module string) source {
	s, ok := sources.Load(module)
	if !ok {
		s, _ = sources.LoadOrStore(module, cut(string(PTX(module))))
	}
	return s.(source)
}

// statement is one instruction of an entry.
type statement struct {
	start, end int // in the entry's text
	guard      string
	op         string
	args       []string
	text       string // all of it, in one line with single blanks
	source     string // line and text; the first line of the entry is 1

	from, to []string // what reads and made give, once asked for
}

var (
	before = regexp.MustCompile(`^(\s|\{|\}|\$\w+:|//.*\n)*`)
	guards = regexp.MustCompile(`^@!?%?\w+\s+`)
	names  = regexp.MustCompile(`%[\w.]+`)
)

// statements lists the instructions of an entry's body.
func statements(entry string) []statement {
	var all []statement
	at := strings.Index(entry, "\n{") + 1
	for at < len(entry) {
		end := strings.IndexByte(entry[at:], ';')
		if end < 0 {
			break
		}
		end += at
		start := at + len(before.FindString(entry[at:end]))
		at = end + 1
		text := entry[start:end]
		s := statement{start: start, end: at, text: strings.Join(strings.Fields(text), " ")}
		s.source = fmt.Sprintf("%d: %s", 1+strings.Count(entry[:start], "\n"), s.text)
		s.guard = guards.FindString(text)
		text = text[len(s.guard):]
		s.op, text, _ = strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
		if strings.HasPrefix(s.op, ".") {
			continue
		}
		s.args = arguments(text)
		all = append(all, s)
	}
	return all
}

// arguments splits at the commas outside of braces and brackets.
func arguments(text string) []string {
	var args []string
	depth, from := 0, 0
	for i, r := range text + "," {
		switch r {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				args = append(args, strings.TrimSpace(text[from:i]))
				from = i + 1
			}
		}
	}
	return args
}

// writes reports whether the first argument is what the instruction makes.
func (s *statement) writes() bool {
	switch op, _, _ := strings.Cut(s.op, "."); op {
	case "st", "bar", "barrier", "bra", "cp", "red", "ret", "fence", "membar", "exit":
		return false
	}
	return len(s.args) > 0
}

// reads gives the registers that an instruction takes, guards apart.
func (s *statement) reads() []string {
	if s.from == nil {
		from := s.args
		if s.writes() {
			from = from[1:]
		}
		s.from = append([]string{}, names.FindAllString(strings.Join(from, ","), -1)...)
	}
	return s.from
}

// change is a piece of an entry's text and what stands there in a mutant.
type change struct {
	start, end int
	text       string
}

// replace puts text in the place of a statement, its guard too.
func (s *statement) replace(text string) change { return change{s.start, s.end, text} }

// then adds text behind s.
func (s *statement) then(text string) change { return change{s.end, s.end, " " + text} }

// with changes argument i.
func (s *statement) with(i int, arg string) change {
	args := append([]string{}, s.args...)
	args[i] = arg
	return s.replace(s.guard + s.op + " " + strings.Join(args, ", ") + ";")
}

// mutate makes changes, which are in the order of the text and do not overlap.
func mutate(entry string, changes ...change) string {
	var b strings.Builder
	at := 0
	for _, c := range changes {
		b.WriteString(entry[at:c.start])
		b.WriteString(c.text)
		at = c.end
	}
	b.WriteString(entry[at:])
	return b.String()
}

// A trial is cells that intact kernels pass and mutants must not all pass.
type trial struct {
	cell    cell
	problem *problem
}

func of(c cell) trial { return trial{c, c.problem()} }

// passed sees that the intact kernels pass the trials, and returns them.
func passed(t *testing.T, trials ...trial) []trial {
	for _, one := range trials {
		for seed := range uint64(2) {
			y, err := one.cell.launch(t, module(t, one.cell.kernel.Module).Entry, one.problem, schedule(seed))
			require.NoError(t, err, "intact")
			require.NoError(t, one.cell.judge(one.problem, y), "intact")
		}
	}
	return trials
}

var allModules = flag.Bool("cuda.full", false, "make every mutant of every module")

// mutated reports whether mutants are made of a kernel in this run: of all, or
// of some where that takes too long. Those of bfloat16 order as those of float16
// do, which is why half of all is enough where each statement is tried.
func mutated(k Kernel, all bool) bool {
	switch {
	case *allModules:
		return true
	case withRace:
		return k.Module == "w3_f16" && (k.Family > Tile || k.Tokens == 8)
	case testing.Short():
		return k.Module == "w3_f16"
	}
	return all && strings.HasSuffix(k.Module, "_f16") || k.Module == "w3_f16" || k.Module == "w8_bf16"
}

// schedule is a device on which blocks run one after the other: tests run side
// by side already.
func schedule(seed uint64) ptx.Config {
	return ptx.Config{Arch: 80, SharedOptIn: 163 << 10, Seed: seed, Workers: 1, StepLimit: 1 << 16}
}

// caught runs the trials with a mutant in place of the entry of that name and
// says what noticed it, or "".
func caught(t *testing.T, trials []trial, module_, name, mutant string) string {
	m, err := ptx.Parse("mutant of "+name, []byte(sourceOf(module_).head+mutant))
	require.NoError(t, err)
	find := func(want string) *ptx.Entry {
		if want == name {
			return m.Entry(name)
		}
		return module(t, module_).Entry(want)
	}
	for seed := range uint64(2) {
		for _, one := range trials {
			y, err := one.cell.launch(t, find, one.problem, schedule(seed))
			if err == nil {
				err = one.cell.judge(one.problem, y)
			}
			if err != nil {
				return noticed(err)
			}
		}
	}
	return ""
}

// noticed is an error as a table has it.
func noticed(err error) string {
	if f, ok := err.(*ptx.Fault); ok {
		return fmt.Sprintf("%v at %s", f.Kind, strings.Join(strings.Fields(f.Text), " "))
	}
	text, _, _ := strings.Cut(err.Error(), " of ")
	return "wrong: " + text
}
