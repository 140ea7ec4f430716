package asmcheck

import (
	"errors"
	"fmt"
	"strings"
)

// errUnknown says that the tables do not have a mnemonic.
var errUnknown = errors.New("the tables do not know")

// checkCode checks the instructions of a function, puts what was decoded in
// the place of bytes, and returns the features that the body needs as far as
// its tier allows them.
func checkCode(f *function) (needs featureSet, problems []Problem) {
	needs = featureSet{}
	bad := func(i int, rule, format string, args ...any) {
		problems = append(problems, Problem{f.path, f.code[i].line, rule, fmt.Sprintf(format, args...)})
	}
	uses := make([]use, len(f.code))
	for i := range f.code {
		in := &f.code[i]
		if in.label != "" || in.op == "" && in.data == nil { // nothing, or bytes that could not be read
			continue
		}
		var err error
		if in.data != nil {
			if uses[i], err = decode(f.arch, in); err != nil {
				rule := ruleEncoding
				if errors.Is(err, errUnknown) {
					rule = ruleTier
				}
				bad(i, rule, "%v", err)
				f.unread = true
				continue
			}
		} else if uses[i], err = useOf(f.arch, *in); err != nil {
			bad(i, ruleTier, "%v", err)
			continue
		}
		missing := f.allowed.missing(newFeatureSet(uses[i].needs...))
		if len(missing) > 0 {
			rule := ruleTier
			if uses[i].evex && !f.allowed["AVX512F"] {
				rule = ruleForm
			}
			bad(i, rule, "%s needs %s, which %s", in, strings.Join(missing, ", "), f.promise())
			continue
		}
		for _, n := range uses[i].needs {
			needs.add(n)
		}
	}
	labels := map[string]bool{}
	for _, in := range f.code {
		labels[in.label] = true
	}
	for i, in := range f.code {
		if in.data == nil && jumps(f.arch, in.op) && (len(in.args) == 0 || !labels[in.args[len(in.args)-1]]) {
			bad(i, ruleSyntax, "%s does not jump to a label of the function", in)
		}
	}
	avx, wide, tiles := false, false, false
	for i, u := range uses {
		avx, wide, tiles = avx || u.avx, wide || u.wide, tiles || f.code[i].op == "LDTILECFG"
	}
	for i, u := range uses {
		if u.sse && avx {
			bad(i, ruleForm, "%s is a legacy SSE encoding in a function that uses AVX", f.code[i])
		}
		if u.ret && wide && (i == 0 || !uses[i-1].zeroes) {
			bad(i, ruleVzeroupper, "RET without VZEROUPPER right before it in a function that touches Y or Z registers")
		}
		if u.ret && tiles && (i < 2 || !uses[i-1].zeroes || f.code[i-2].op != "TILERELEASE") {
			bad(i, ruleVzeroupper, "RET without TILERELEASE and VZEROUPPER right before it in a function that configures tiles")
		}
	}
	return needs, problems
}

func (f *function) promise() string {
	if f.tier == "" {
		return fmt.Sprintf("the name %s, which has no tier, does not promise", f.name)
	}
	return fmt.Sprintf("tier %s does not promise", f.tier)
}

func useOf(arch string, in instr) (use, error) {
	if arch == arm64 {
		return armUse(in.op)
	}
	return x86Use(in.op, in.args)
}

// jumps reports whether a mnemonic is that of a jump. Calls are in no table.
func jumps(arch, op string) bool {
	if arch == amd64 {
		return strings.HasPrefix(op, "J")
	}
	switch op {
	case "CBZ", "CBZW", "CBNZ", "CBNZW", "TBZ", "TBNZ":
		return true
	}
	return op == "B" || len(op) == 3 && op[0] == 'B' && op != "BFI" && op != "BIC"
}

// decode decodes bytes written by hand into in and compares with the comment.
func decode(arch string, in *instr) (use, error) {
	if in.comment == "" {
		return use{}, fmt.Errorf("bytes without a comment that says what they are")
	}
	decoder := x86Decode
	if arch == arm64 {
		decoder = armDecode
	}
	got, u, err := decoder(in.data)
	if err != nil {
		return use{}, fmt.Errorf("%s: %w", in.comment, err)
	}
	op, args, _ := strings.Cut(strings.ReplaceAll(in.comment, "\t", " "), " ")
	want := instr{op: op, args: splitArgs(args)}
	if got.String() != want.String() {
		return use{}, fmt.Errorf("the bytes are %s, the comment says %s", got, want)
	}
	in.op, in.args = got.op, got.args
	return u, nil
}
