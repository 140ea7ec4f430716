package quantize

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
)

// joints are the projections that servers load as one, by the last parts of their
// names, and what they call the one.
var joints = []struct {
	whole string
	parts []string
}{
	{"qkv_proj", []string{"q_proj", "k_proj", "v_proj"}},
	{"gate_up_proj", []string{"gate_proj", "up_proj"}},
	{"", []string{"w1", "w3"}},
	{"fused_qkv_a_proj", []string{"q_a_proj", "kv_a_proj_with_mqa"}},
	{"in_proj_qkvz", []string{"in_proj_qkv", "in_proj_z"}},
	{"in_proj_ba", []string{"in_proj_b", "in_proj_a"}},
}

// joint is one of them, or all experts of a layer: two or more layers that are there, and
// how each is quantized.
type joint struct {
	whole    string   // what servers call the one; "" where they do not ask for it
	what     string   // the parts that there can be
	parent   string   // what the names of parts begin with
	parts    []string // the rest of their names
	settings []Settings
	experts  bool
}

// differing returns the first part that is not quantized as the first one is, or 0.
func (j *joint) differing() int {
	return max(0, slices.IndexFunc(j.settings, func(s Settings) bool { return s != j.settings[0] }))
}

// numbered is the name of a layer of one of many experts.
var numbered = regexp.MustCompile(`^(.*experts)\.[0-9]+\.`)

// findJoints returns the joints of the model in natural order.
func (p *plan) findJoints() (found []joint) {
	settings := map[string]Settings{} // of a layer that stays plain: none
	for _, l := range p.layers {
		settings[l.Name] = visible(l.settings)
	}
	for _, name := range p.ignored {
		settings[name] = Settings{}
	}
	experts := map[string]int{}
	for _, name := range slices.SortedFunc(maps.Keys(settings), module.Compare) {
		if all := numbered.FindStringSubmatch(name); all != nil {
			if _, seen := experts[all[1]]; !seen {
				experts[all[1]] = len(found)
				found = append(found, joint{whole: all[1], what: "all experts", parent: all[1] + ".", experts: true})
			}
			j := &found[experts[all[1]]]
			j.parts, j.settings = append(j.parts, name[len(j.parent):]), append(j.settings, settings[name])
			continue
		}
		at := strings.LastIndexByte(name, '.') + 1
		for _, f := range joints {
			j := joint{what: strings.Join(f.parts, ", "), parent: name[:at]}
			for _, part := range f.parts {
				if s, ok := settings[name[:at]+part]; ok {
					j.parts, j.settings = append(j.parts, part), append(j.settings, s)
				}
			}
			if len(j.parts) < 2 || j.parts[0] != name[at:] { // once, where the first part is
				continue
			}
			if _, taken := settings[j.parent+f.whole]; !taken && f.whole != "" {
				j.whole = j.parent + f.whole
			}
			found = append(found, j)
		}
	}
	return found
}

// names are those of the layers to quantize.
func (p *plan) names() (out []string) {
	for _, l := range p.layers {
		out = append(out, l.Name)
	}
	return out
}

// visible returns what files show of settings.
func visible(s Settings) Settings {
	s.Parity = false
	return s
}

// warnOfJoints says which layers servers will not take.
func (p *plan) warnOfJoints() {
	for _, j := range p.joints {
		if i := j.differing(); i > 0 {
			p.warnings = append(p.warnings, fmt.Sprintf("%s%s and %s differ: servers that load %s as one refuse that", j.parent, j.parts[0], j.parts[i], j.what))
		}
	}
}

// alias is a pattern of the names that servers have for joints, which no layer of the
// files has, with the settings of their parts: none where they stay plain.
type alias struct {
	pattern string
	Settings
}

// aliases returns those that a configuration needs because it would say something else
// of such a name than of the parts: vLLM looks for the name of the one layer only.
func (p *plan) aliases() (found []alias) {
	type key struct {
		last string
		Settings
	}
	names, all := map[key][]string{}, map[string]int{}
	var order []key
	for _, j := range p.joints {
		// compressed-tensors is asked for each expert.
		if j.whole == "" || j.differing() > 0 || j.experts && p.o.Format == CompressedTensors {
			continue
		}
		last := j.whole[strings.LastIndexByte(j.whole, '.')+1:]
		all[last]++
		said := p.o.Settings
		if o := p.overridesOf(j.whole); len(o) > 0 {
			said = p.o.Overrides[o[0]].Settings
		}
		if j.settings[0] == visible(said) {
			continue
		}
		k := key{last, j.settings[0]}
		if names[k] == nil {
			order = append(order, k)
		}
		names[k] = append(names[k], regexp.QuoteMeta(j.whole))
	}
	stored := map[string]bool{} // last parts of names that layers of the files have
	for _, name := range slices.Concat(p.ignored, p.names()) {
		stored[name[strings.LastIndexByte(name, '.')+1:]] = true
	}
	for _, k := range order {
		pattern := `(?:.*\.)?` + k.last + "$"
		if len(names[k]) < all[k.last] || stored[k.last] {
			pattern = "(?:" + strings.Join(names[k], "|") + ")$"
		}
		found = append(found, alias{pattern, k.Settings})
	}
	return found
}
