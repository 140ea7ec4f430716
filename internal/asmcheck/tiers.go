package asmcheck

import (
	"regexp"
	"slices"
	"strings"
)

// Architectures, as in GOARCH and in the names of assembly files.
const (
	amd64 = "amd64"
	arm64 = "arm64"
)

// tier is a level of processors that kernels are written for.
type tier struct {
	name     string   // as in the names of functions
	arch     string   // GOARCH
	features []string // what its functions may use, as package cpuid names it
}

var (
	avx2   = []string{"AVX2", "FMA3", "F16C"}
	avx512 = append([]string{"AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL"}, avx2...)
)

// twinTier is the tier of the twins of kernels of tier AVXVNNI: the same
// instructions, in the encoding that the assembler has.
const twinTier, twinOf = "VNNI256", "AVXVNNI"

// tiers is the one place that defines what a name promises.
var tiers = []tier{
	{"AVX2", amd64, avx2},
	{"FMA", amd64, avx2},
	{twinOf, amd64, append([]string{"AVXVNNI"}, avx2...)},
	{"AVX512", amd64, avx512},
	{"VNNI", amd64, append([]string{"AVX512VNNI"}, avx512...)},
	{twinTier, amd64, append([]string{"AVX512VNNI"}, avx512...)},
	{"BF16", amd64, append([]string{"AVX512VNNI", "AVX512BF16"}, avx512...)},
	{"DPBF16", amd64, append([]string{"AVX512BF16"}, avx512...)}, // vdpbf16ps

	{"AMX", amd64, append([]string{"AVX512VNNI", "AVX512VBMI", "AMXTILE", "AMXINT8", "AMXBF16"}, avx512...)},

	{"NEON", arm64, nil},
	{"DotProd", arm64, []string{"ASIMDDP"}},
	{"I8MM", arm64, []string{"ASIMDDP", "I8MM"}},
	{"BF16", arm64, []string{"ASIMDDP", "BF16"}},
}

// implied lists what every processor with a feature has too.
var implied = map[string][]string{
	"AVX2":       {"AVX"},
	"FMA3":       {"AVX"},
	"F16C":       {"AVX"},
	"AVXVNNI":    {"AVX2"},
	"AVX512F":    {"AVX2", "FMA3", "F16C"},
	"AVX512BW":   {"AVX512F"},
	"AVX512DQ":   {"AVX512F"},
	"AVX512VL":   {"AVX512F"},
	"AVX512VNNI": {"AVX512F"},
	"AVX512VBMI": {"AVX512BW"},
	"AVX512BF16": {"AVX512BW"},
	"AMXINT8":    {"AMXTILE"},
	"AMXBF16":    {"AMXTILE"},
}

// featureSet holds features by the names of package cpuid.
type featureSet map[string]bool

func newFeatureSet(features ...string) featureSet {
	s := featureSet{}
	for _, f := range features {
		s.add(f)
	}
	return s
}

// add adds f and all that it implies.
func (s featureSet) add(f string) {
	if s[f] {
		return
	}
	s[f] = true
	for _, g := range implied[f] {
		s.add(g)
	}
}

// missing returns what of needs s lacks, sorted.
func (s featureSet) missing(needs featureSet) []string {
	var m []string
	for f := range needs {
		if !s[f] {
			m = append(m, f)
		}
	}
	slices.Sort(m)
	return m
}

// on returns s without the features that only tiers of other architectures name.
func (s featureSet) on(arch string) featureSet {
	here, elsewhere := featureSet{}, featureSet{}
	for _, t := range tiers {
		of := elsewhere
		if t.arch == arch {
			of = here
		}
		for _, f := range t.features {
			of.add(f)
		}
	}
	kept := featureSet{}
	for f := range s {
		if here[f] || !elsewhere[f] {
			kept[f] = true
		}
	}
	return kept
}

// symbol is the name of an assembly function taken apart.
type symbol struct {
	family, tier, rows string // tier is "" where the name promises nothing
	allowed            featureSet
}

var symbolPattern = func() *regexp.Regexp {
	var names []string
	for _, t := range tiers {
		names = append(names, t.name)
	}
	// The first alternative that fits wins.
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) })
	return regexp.MustCompile(`^(\w+?)(` + strings.Join(names, "|") + `)((?:x[0-9]+)*)$`)
}()

func parseSymbol(name, arch string) symbol {
	if m := symbolPattern.FindStringSubmatch(name); m != nil {
		for _, t := range tiers {
			if t.name == m[2] && t.arch == arch {
				return symbol{m[1], m[2], m[3], newFeatureSet(t.features...)}
			}
		}
	}
	return symbol{family: name, allowed: featureSet{}}
}
