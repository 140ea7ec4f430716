package cuda

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A red kernel is a kind of mistake: what it changes in an entry. Each change
// must be found in every kernel that the mistake is for, and be noticed.
type red struct {
	name  string
	of    func(k Kernel) bool // the kernels that can have it
	spoil func(f *flow) []change
	each  bool // a change alone is a mistake, too: see eachPlace
}

func layered(k Kernel) bool  { return k.Family <= Tile }
func gathers(k Kernel) bool  { return k.Family == Gather }
func coded(k Kernel) bool    { return layered(k) && k.Bits <= 8 }
func straight(k Kernel) bool { return layered(k) && !k.Mapped }
func finishes(k Kernel) bool { return k.Family == Finish }
func expands(k Kernel) bool  { return k.Family == Expand }

var reds = []red{
	{name: "two registers of a fragment A swapped", of: layered, spoil: func(f *flow) []change { return f.swapped(0, 1) }},
	{name: "two registers of a fragment B swapped", of: layered, spoil: func(f *flow) []change { return f.swapped(0, 2) }},
	{name: "two registers of the last fragment A swapped", of: layered, spoil: func(f *flow) []change { return f.swapped(-1, 1) }},
	{name: "no barriers", of: layered, spoil: func(f *flow) []change { return f.without("bar", "barrier") }},
	{name: "no waits for copies", of: layered, spoil: func(f *flow) []change { return f.without("cp.async.wait_group", "cp.async.wait_all") }},
	{name: "copies never committed", of: layered, spoil: func(f *flow) []change { return f.without("cp.async.commit_group") }},
	{name: "the next group", of: layered, spoil: func(f *flow) []change { return f.nextGroup(paramUnitGroup) }},
	{name: "slices share their sums", of: layered, spoil: (*flow).sharedSums},
	{name: "no bound of tokens", of: layered, spoil: func(f *flow) []change { return f.unbounded(paramM) }, each: true},
	{name: "no bound of outputs", of: layered, spoil: func(f *flow) []change { return f.unbounded(paramN) }, each: true},
	{name: "no bound of padded outputs", of: layered, spoil: func(f *flow) []change { return f.unbounded(paramNp) }, each: true},
	{name: "features beyond K", of: straight, spoil: (*flow).allFeatures},
	{name: "float16 scales taken for bfloat16", of: layered, spoil: func(f *flow) []change { return f.mistaken(paramScaleKind, KindF16, KindBF16) }},
	{name: "float32 scales taken for halves", of: layered, spoil: func(f *flow) []change { return f.mistaken(paramScaleKind, KindF32, 3) }},
	{name: "float16 y taken for bfloat16", of: layered, spoil: func(f *flow) []change { return f.mistaken(paramYKind, KindF16, KindBF16) }},
	{name: "the constant zero point plus 1", of: coded, spoil: func(f *flow) []change { return f.plus(paramZero, 1) }},
	{name: "zero points of groups plus 1", of: coded, spoil: func(f *flow) []change { return f.storedZeros("ld.shared.u16") }},
	{name: "bias added twice", of: layered, spoil: func(f *flow) []change { return f.biasTwice(paramBias) }},
	{name: "bias added by each slice", of: layered, spoil: (*flow).biasPerSlice},
	{name: "fine ignored", of: layered, spoil: func(f *flow) []change { return f.plusText(paramFine, "mov.u32 %s, 0;") }},
	{name: "map read in the wrong order", of: func(k Kernel) bool { return k.Mapped }, spoil: func(f *flow) []change { return f.mapSwapped(paramMap) }},

	{name: "the last slice forgotten", of: finishes, spoil: func(f *flow) []change { return f.plus(1, -1) }},
	{name: "no bound of tokens", of: finishes, spoil: func(f *flow) []change { return f.plus(2, 1) }},
	{name: "no bound of outputs", of: finishes, spoil: func(f *flow) []change { return f.unbounded(3) }},
	{name: "bias added twice", of: finishes, spoil: func(f *flow) []change { return f.biasTwice(5) }},
	{name: "float16 y taken for bfloat16", of: finishes, spoil: func(f *flow) []change { return f.mistaken(8, KindF16, KindBF16) }},
	{name: "map read in the wrong order", of: gathers, spoil: func(f *flow) []change { return f.mapSwapped(4) }},
	{name: "features beyond K", of: gathers, spoil: func(f *flow) []change { return f.plus(2, 1) }},

	{name: "the next group", of: expands, spoil: func(f *flow) []change { return f.nextGroup(5) }},
	{name: "float16 scales taken for bfloat16", of: expands, spoil: func(f *flow) []change { return f.mistaken(2, KindF16, KindBF16) }},
	{name: "float32 scales taken for halves", of: expands, spoil: func(f *flow) []change { return f.mistaken(2, KindF32, 3) }},
	{name: "the constant zero point plus 1", of: expands, spoil: func(f *flow) []change { return f.plus(4, 1) }},
	{name: "zero points of groups plus 1", of: expands, spoil: func(f *flow) []change { return f.storedZeros("ld.global.nc.u16") }},
	{name: "no bound of units", of: expands, spoil: func(f *flow) []change { return f.plus(7, 1) }},
	{name: "always the first row", of: expands, spoil: func(f *flow) []change { return f.plusText(8, "mov.u32 %s, 0;") }},
	{name: "shrink ignored", of: expands, spoil: func(f *flow) []change { return f.plusText(9, "mov.f32 %s, 0f3f800000;") }},
	{name: "two numbers of a fragment swapped", of: expands, spoil: (*flow).storeSwapped},
}

// swapped exchanges the first two registers of an operand of the nth mma, or the
// last for -1.
func (f *flow) swapped(nth, operand int) []change {
	all := f.pick(func(s *statement) bool { return s.is("mma.sync") })
	if len(all) == 0 {
		return nil
	}
	return []change{all[(nth+len(all))%len(all)].swap(operand)}
}

func (s *statement) swap(operand int) change {
	v := strings.Split(strings.Trim(s.args[operand], "{}"), ",")
	v[0], v[1] = v[1], v[0]
	return s.with(operand, "{"+strings.Join(v, ",")+"}")
}

func (f *flow) without(opcodes ...string) []change {
	var all []change
	for _, s := range f.pick(func(s *statement) bool { return s.is(opcodes...) }) {
		all = append(all, s.replace(""))
	}
	return all
}

// plusText puts a statement behind each that reads a parameter; %s stands for
// the register.
func (f *flow) plusText(param int, text string) []change {
	var all []change
	for _, s := range f.loads(param) {
		all = append(all, s.then(strings.ReplaceAll(text, "%s", s.args[0])))
	}
	return all
}

func (f *flow) plus(param, by int) []change {
	return f.plusText(param, fmt.Sprintf("add.s32 %%s, %%s, %d;", by))
}

// nextGroup adds 1 to what is read of the map from units to groups.
func (f *flow) nextGroup(param int) []change {
	var all []change
	for _, s := range f.pick(func(s *statement) bool { return s.is("ld.global") && f.reaches(s, param) }) {
		all = append(all, s.then(fmt.Sprintf("add.s32 %s, %s, 1;", s.args[0], s.args[0])))
	}
	return all
}

func (f *flow) sumStores() []*statement {
	return f.pick(func(s *statement) bool { return s.is("st.global") && f.reaches(s, paramSums) })
}

// sharedSums takes the block's slice for 0 where it is multiplied by M on the
// way to the place of a sum.
func (f *flow) sharedSums() []change {
	slice, tokens := f.reach(registers{"%ctaid.y": true}, copies...), f.value(paramM)
	found := map[int]change{}
	for _, store := range f.sumStores() {
		for _, s := range f.back(inBrackets.FindStringSubmatch(store.args[0])[1]) {
			if !s.is("mul", "mad") || !tokens.any(s.reads()) {
				continue
			}
			for i, arg := range s.args[1:] {
				if slice[arg] {
					found[s.start] = s.with(i+1, "0")
				}
			}
		}
	}
	var all []change
	for _, c := range found {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b change) int { return a.start - b.start })
	return all
}

// unbounded makes comparisons with a parameter, or with what is left of it,
// find that everything is below.
func (f *flow) unbounded(param int) []change {
	bound := f.value(param)
	for _, s := range f.pick(func(s *statement) bool { return s.is("sub") && bound[s.args[1]] }) {
		bound[s.args[0]] = true
	}
	var all []change
	for _, s := range f.pick(func(s *statement) bool { return s.is("setp") && len(s.args) == 3 }) {
		parts := strings.Split(s.op, ".")
		less := strings.HasPrefix(parts[1], "l")
		if !less && !strings.HasPrefix(parts[1], "g") || bound[s.args[1]] == bound[s.args[2]] {
			continue
		}
		same, r := "eq", s.args[2]
		if bound[s.args[1]] {
			less, r = !less, s.args[1]
		}
		if !less {
			same = "ne"
		}
		all = append(all, s.replace(fmt.Sprintf("%ssetp.%s.%s %s, %s, %s;", s.guard, same, parts[len(parts)-1], s.args[0], r, r)))
	}
	return all
}

// allFeatures takes 32 times the units for K.
func (f *flow) allFeatures() []change {
	return f.plusText(paramK, fmt.Sprintf("ld.param.u32 %%s, [%s]; shl.b32 %%s, %%s, 5;", f.param(paramUnits)))
}

// mistaken compares a kind with another than it should.
func (f *flow) mistaken(param, kind, with int) []change {
	is := f.value(param)
	var all []change
	for _, s := range f.pick(func(s *statement) bool {
		return s.is("setp.eq", "setp.ne") && is[s.args[1]] && s.args[2] == strconv.Itoa(kind)
	}) {
		all = append(all, s.with(2, strconv.Itoa(with)))
	}
	return all
}

// storedZeros adds 1 to the zero points on their way from memory into a
// floating-point number's last bits: 1536 in float16, 1.5 * 2^23 in float32.
func (f *flow) storedZeros(load string) []change {
	read := registers{}
	for _, s := range f.pick(func(s *statement) bool { return s.is(load) }) {
		read[s.args[0]] = true
	}
	f.reach(read, "cvt")
	var all []change
	for _, s := range f.pick(func(s *statement) bool { return s.is("add") && read[s.args[1]] }) {
		if s.args[2] == strconv.Itoa(0x6600) || s.args[2] == strconv.Itoa(0x4b400000) {
			v, _ := strconv.Atoi(s.args[2])
			all = append(all, s.with(2, strconv.Itoa(v+1)))
		}
	}
	return all
}

// biasTwice repeats additions of what is read of the bias.
func (f *flow) biasTwice(param int) []change {
	bias := registers{}
	for _, s := range f.pick(func(s *statement) bool { return s.is("ld.global") && f.reaches(s, param) }) {
		bias[s.args[0]] = true
	}
	var all []change
	for _, s := range f.pick(func(s *statement) bool { return s.is("add.rn.f32", "add.f32") && bias.any(s.reads()) }) {
		b := s.args[1]
		if !bias[b] {
			b = s.args[2]
		}
		all = append(all, s.then(fmt.Sprintf("add.rn.f32 %s, %s, %s;", s.args[0], s.args[0], b)))
	}
	return all
}

// biasPerSlice adds the first bias to each partial sum.
func (f *flow) biasPerSlice() []change {
	var all []change
	for _, s := range f.sumStores() {
		text := "{ .reg .b64 at; .reg .f32 b; ld.param.u64 at, [%s]; ld.global.nc.f32 b, [at]; add.rn.f32 %s, %s, b; } %s;"
		all = append(all, s.replace(fmt.Sprintf(text, f.param(paramBias), s.args[1], s.args[1], f.text[s.start:s.end-1])))
	}
	return all
}

// mapSwapped exchanges two features of a map.
func (f *flow) mapSwapped(param int) []change {
	for _, s := range f.pick(func(s *statement) bool { return s.is("ld.global.nc.v4") && f.reaches(s, param) }) {
		return []change{s.swap(0)}
	}
	return nil
}

// storeSwapped exchanges two words of what is stored in fours.
func (f *flow) storeSwapped() []change {
	for _, s := range f.pick(func(s *statement) bool { return s.is("st.global.v4") }) {
		return []change{s.swap(1)}
	}
	return nil
}

// redTrials are cells that together see every mistake.
func redTrials(k Kernel) []trial {
	named := func(suffix string) Kernel {
		all := Kernels()
		return all[slices.IndexFunc(all, func(other Kernel) bool { return other.Name == k.Module+suffix })]
	}
	switch k.Family {
	case Finish:
		c := cell{kernel: named("_n8"), m: 3, n: 130, k: 6 * Unit, exact: true, bias: true, yKind: KindF32, runs: 1, slices: 6}
		half := c
		half.yKind, half.bias = KindF16, false
		return []trial{of(c), of(half)}
	case Gather:
		c := cell{kernel: named("_t64"), m: 3, n: 33, k: 35*Unit - 3, exact: true, yKind: KindF32, unaligned: true}
		mapped := c
		mapped.k, mapped.group = 120, 20
		return []trial{of(c), of(mapped)}
	}
	if k.Family == Expand {
		c := cell{kernel: k, m: 3, n: 70, k: 5*Unit - 3, group: 64, exact: true, yKind: KindF32}
		halves, floats := c, c
		halves.zeros, halves.scaleKind = true, KindF16
		floats.k, floats.scaleKind = 35*Unit, KindF32
		return []trial{of(halves), of(floats)}
	}
	c := cell{kernel: k, m: k.Tokens + 1, n: 70, k: 13*Unit - 3, group: 64, exact: true, bias: true, across: 4, runs: 1}
	last := 40 // outputs end in the upper half of a warp's 64, those of c in the lower
	if k.Family == Tile {
		c.m, c.k, last = k.Tokens-3, 7*Unit-3, 130
	}
	halves, floats := c, c
	halves.zeros, halves.scaleKind, halves.yKind, halves.slices = true, KindF16, KindF32, 2
	floats.n, floats.runs, floats.scaleKind, floats.yKind = last, 2, KindF32, KindF16
	trials := []trial{of(halves), of(floats)}
	if k.Family == Stream {
		// The last group begins at an odd unit of what is copied before the first
		// wait, and at an even one of what is copied behind it.
		early := cell{kernel: k, m: 2, n: 70, k: 4 * Unit, group: 3 * Unit, exact: true, scaleKind: KindF32, yKind: KindF32, runs: 1}
		late := early
		late.k, late.group = 5*Unit, 2*Unit
		trials = append(trials, of(early), of(late))
	}
	fine := cell{kernel: k, m: 2, n: 70, k: 2 * Unit, exact: true, scaleKind: KindF32, yKind: KindF32, fine: true, runs: 1}
	trials = append(trials, trial{fine, fine.cancelling()})
	// A ring is unrolled: the last group, whose end is that of the memory, comes
	// by each place where groups are copied.
	for units := 1; k.Family == Stream && eachPlace(k) && units <= 16; units++ {
		trials = append(trials, of(cell{kernel: k, m: 1, n: 70, k: units * Unit, group: Unit, exact: true, scaleKind: KindF32, yKind: KindF32, runs: 1}))
	}
	return trials
}

// cancelling is a problem whose sums are right only where each half of a unit is
// scaled on its own: the first half of unit 0 and that of unit 1 cancel, and the
// other half of unit 1 is too small for a sum with either.
func (c cell) cancelling() *problem {
	p := c.problem()
	const small = 1.0 / 64
	for n := range p.u {
		p.scale[0][n] = 1
		for f := range p.u[n] {
			p.u[n][f] = int(p.zero[0][n]) + 1
		}
	}
	for m := range c.m {
		clear(p.x[m])
		for f, from := range p.feature {
			if f%8/4 == 0 {
				p.x[m][from] = math.Copysign(1<<15, float64(f/Unit)-0.5)
			}
		}
		p.x[m][p.feature[Unit+5]] = small
		for n := range c.n {
			p.want[m][n] = small
		}
	}
	return p
}

// harmless are mistakes that are none at one of their places: exactly one in
// each kernel whose name fits.
var harmless = []struct {
	kernel    *regexp.Regexp
	name, why string
}{
	{
		regexp.MustCompile(`^w16_\w+_t\d+$`), "no bound of padded outputs",
		"a brick has 128 chunks, one for each thread: the first chunk is of the block's first brick, which exists",
	},
}

// eachPlace is whether a mistake is also made at one place at a time.
func eachPlace(k Kernel) bool {
	return *allModules || !testing.Short() && !withRace && k.Module == "w3_f16" && k.Name != "w3_f16_t128"
}

// TestRedKernels makes each mistake in each kernel.
func TestRedKernels(t *testing.T) {
	for _, k := range Kernels() {
		if !mutated(k, false) {
			continue
		}
		t.Run(k.Name+" of "+k.Module, func(t *testing.T) {
			t.Parallel()
			trials := passed(t, redTrials(k)...)
			f := newFlow(k.Name, sourceOf(k.Module).entries[k.Name])
			for _, r := range reds {
				if !r.of(k) {
					continue
				}
				changes := r.spoil(f)
				if !assert.NotEmpty(t, changes, "%s: the place was not found", r.name) {
					continue
				}
				try := func(name string, changes ...change) bool {
					by := caught(t, trials, k.Module, k.Name, mutate(f.text, changes...))
					t.Logf("%-18s %-46s %2d changes  %s", k.Name, name, len(changes), by)
					return by != ""
				}
				assert.True(t, try(r.name, changes...), "%s: nothing noticed", r.name)
				if !r.each || !eachPlace(k) {
					continue
				}
				var unnoticed []string
				for i, c := range changes {
					if name := fmt.Sprintf("%s, place %d", r.name, i); !try(name, c) {
						unnoticed = append(unnoticed, name)
					}
				}
				want := 0
				for _, h := range harmless {
					if h.name == r.name && h.kernel.MatchString(k.Name) {
						want++
					}
				}
				assert.Len(t, unnoticed, want, "places where nothing noticed")
			}
		})
	}
}
