package cuda

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Opcodes that order threads, copies or memory, and marks of order on others.
var (
	ordering = regexp.MustCompile(`^(bar|barrier|fence|membar|mbarrier)\.|^cp\.async\.(commit_group|wait_group|wait_all|mbarrier|bulk)`)
	strong   = regexp.MustCompile(`\.(acquire|release|acq_rel|sc)\b`)
)

// weakened gives the mutants of a statement that orders something: without it,
// and with less of it.
func weakened(s *statement) map[string]change {
	if !ordering.MatchString(s.op) {
		if strong.MatchString(s.op) {
			return map[string]change{"relaxed": s.replace(s.guard + strong.ReplaceAllString(s.op, ".relaxed") + " " + strings.Join(s.args, ", ") + ";")}
		}
		return nil
	}
	mutants := map[string]change{"deleted": s.replace("")}
	if s.op == "cp.async.wait_group" {
		n, err := strconv.Atoi(s.args[0])
		if err != nil {
			panic(s.source)
		}
		mutants["one group less"] = s.with(0, strconv.Itoa(n+1))
	}
	return mutants
}

// superfluous are statements that kernels do without, and why: in each kernel
// whose name fits, exactly one of those that fit. There is none.
var superfluous = []struct {
	kernel, statement *regexp.Regexp
	why               string
}{}

// syncCell has sizes at which every statement matters: each warp walks through
// its ring more than once, groups change, the last outputs and tokens do not
// exist, and blocks have neighbours.
func syncCell(k Kernel) cell {
	c := cell{kernel: k, m: k.Tokens + 1, n: 70, group: 64, zeros: true, exact: true, yKind: KindF32, scaleKind: KindF32, bias: true}
	if k.Family == Stream {
		run := 11 // units: the last step lies in the ring's first place, where sums are put down
		if k.Bits == 3 || k.Bits == 4 {
			run = 13
		}
		c.k, c.across, c.runs, c.slices = 2*2*run*Unit-4, 2, 2, 2
	} else {
		// The last step lies where sums are put down: in the ring's first place.
		stages := k.Shared / (64*k.Tokens + 4*BrickBytes(k.Bits) + 6*k.Outputs)
		c.n, c.k = 130, (stages+1)*Unit-4
	}
	return c
}

// TestSynchronisation deletes each statement of each kernel that orders
// something, one at a time, and wants it missed.
func TestSynchronisation(t *testing.T) {
	for _, k := range Kernels() {
		if !mutated(k, true) {
			continue
		}
		t.Run(k.Name+" of "+k.Module, func(t *testing.T) {
			t.Parallel()
			weaken(t, k)
		})
	}
}

func weaken(t *testing.T, k Kernel) {
	entry := sourceOf(k.Module).entries[k.Name]
	all := statements(entry)
	var trials []trial
	var unnoticed []statement
	for i := range all {
		missed := 0
		mutants := weakened(&all[i])
		for how, c := range mutants {
			if trials == nil {
				trials = passed(t, of(syncCell(k)))
			}
			by := caught(t, trials, k.Module, k.Name, mutate(entry, c))
			if by == "" {
				by, missed = "NOTHING", missed+1
			}
			t.Logf("%-18s line %-40s %-14s %s", k.Name, all[i].source, how, by)
		}
		if missed > 0 {
			assert.Equal(t, len(mutants), missed, "noticed by some only: %s", all[i].source)
			unnoticed = append(unnoticed, all[i])
		}
	}
	if k.Family <= Tile {
		require.NotNil(t, trials, "%s orders nothing", k.Name)
	}
	for _, e := range superfluous {
		if !e.kernel.MatchString(k.Name) {
			continue
		}
		at := slices.IndexFunc(unnoticed, func(s statement) bool { return e.statement.MatchString(s.text) })
		if assert.GreaterOrEqual(t, at, 0, "no statement needs the exception: %s", e.why) {
			t.Logf("%-18s line %s is not needed: %s", k.Name, unnoticed[at].source, e.why)
			unnoticed = slices.Delete(unnoticed, at, at+1)
		}
	}
	for _, s := range unnoticed {
		assert.Fail(t, "nothing noticed that this is missing", "line %s", s.source)
	}
}

func TestStrongAccessesAreWeakened(t *testing.T) {
	const entry = ".entry k()\n{\n@%p1 atom.acq_rel.gpu.global.add.u32 %r1, [%rd1], 1;\n{ ld.acquire.gpu.global.u32 %r2, [%rd2];}\n\tst.relaxed.gpu.u32 [%rd2], %r1;\n$L1:\nfence.acq_rel.gpu;\n}"
	var got []string
	for _, s := range statements(entry) {
		for _, c := range weakened(&s) {
			got = append(got, c.text)
		}
	}
	require.Equal(t, []string{"@%p1 atom.relaxed.gpu.global.add.u32 %r1, [%rd1], 1;", "ld.relaxed.gpu.global.u32 %r2, [%rd2];", ""}, got)
}
