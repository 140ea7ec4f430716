package cuda

import (
	"fmt"
	"regexp"
	"strings"
)

// Places of parameters of Stream and Tile kernels, as LayerArgs.Slots has them.
const (
	paramX = iota
	paramXStride
	paramM
	paramK
	paramN
	paramNp
	paramUnits
	paramWeights
	paramScales
	paramScaleKind
	paramZeros
	paramZero
	paramUnitGroup
	paramMap
	paramBias
	paramY
	paramYStride
	paramYKind
	paramSums
	paramFine
)

// flow is an entry and where its numbers come from. Registers have no order in
// it: one that is written in several places comes from all of them.
type flow struct {
	name, text string
	all        []statement
	backs      map[string][]*statement // what back gave
}

func newFlow(name, text string) *flow {
	return &flow{name, text, statements(text), map[string][]*statement{}}
}

// pick gives the statements for which ok is true.
func (f *flow) pick(ok func(s *statement) bool) []*statement {
	var found []*statement
	for i := range f.all {
		if ok(&f.all[i]) {
			found = append(found, &f.all[i])
		}
	}
	return found
}

func (s *statement) is(opcodes ...string) bool {
	for _, op := range opcodes {
		if rest, ok := strings.CutPrefix(s.op, op); ok && (rest == "" || rest[0] == '.') {
			return true
		}
	}
	return false
}

// names the parameter as the entry does.
func (f *flow) param(i int) string { return fmt.Sprintf("%s_param_%d", f.name, i) }

// loads are the statements that read a parameter.
func (f *flow) loads(param int) []*statement {
	return f.pick(func(s *statement) bool {
		return s.is("ld.param") && strings.Trim(s.args[1], "[] ") == f.param(param)
	})
}

type registers map[string]bool

func (r registers) any(of []string) bool {
	for _, one := range of {
		if r[one] {
			return true
		}
	}
	return false
}

// made are the registers that a statement writes.
func (s *statement) made() []string {
	if !s.writes() {
		return nil
	}
	if s.to == nil {
		s.to = append([]string{}, names.FindAllString(s.args[0], -1)...)
	}
	return s.to
}

// reach adds the registers that statements with these opcodes make from those
// in r.
func (f *flow) reach(r registers, opcodes ...string) registers {
	for grown := true; grown; {
		grown = false
		for i := range f.all {
			s := &f.all[i]
			if !s.is(opcodes...) || !r.any(s.reads()) {
				continue
			}
			for _, to := range s.made() {
				grown = grown || !r[to]
				r[to] = true
			}
		}
	}
	return r
}

// copies are opcodes that change nothing, arithmetic those that make addresses.
var (
	copies     = []string{"mov", "cvt.u64.u32", "cvt.s64.s32", "cvt.u32.u64", "shfl"}
	arithmetic = append([]string{"add", "sub", "mul", "mad", "shl", "or", "selp", "min", "max", "cvt", "and"}, copies...)
)

// value gives the registers that hold a parameter.
func (f *flow) value(param int) registers {
	r := registers{}
	for _, s := range f.loads(param) {
		r[s.args[0]] = true
	}
	return f.reach(r, copies...)
}

// back gives the statements that the register was computed by, not beyond what
// was read from memory.
func (f *flow) back(register string) []*statement {
	if found, ok := f.backs[register]; ok {
		return found
	}
	want := registers{register: true}
	for grown := true; grown; {
		grown = false
		for i := range f.all {
			s := &f.all[i]
			if !s.is(arithmetic...) || !want.any(s.made()) {
				continue
			}
			for _, from := range s.reads() {
				grown = grown || !want[from]
				want[from] = true
			}
		}
	}
	f.backs[register] = f.pick(func(s *statement) bool { return (s.is(arithmetic...) || s.is("ld.param")) && want.any(s.made()) })
	return f.backs[register]
}

var inBrackets = regexp.MustCompile(`\[(%\w+)`)

// reaches reports whether s accesses memory at an address made from a parameter.
func (f *flow) reaches(s *statement, param int) bool {
	for _, arg := range s.args {
		if at := inBrackets.FindStringSubmatch(arg); at != nil {
			for _, by := range f.back(at[1]) {
				if by.is("ld.param") && strings.Contains(by.args[1], f.param(param)+"]") {
					return true
				}
			}
		}
	}
	return false
}
