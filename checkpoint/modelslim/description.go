package modelslim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/quant"
)

// MaxDescription is the largest description that is read, in bytes: a line for
// each tensor of the largest mixtures, some 20 MB, several times over.
const MaxDescription = 64 << 20

// description is a parsed description file.
type description struct {
	name      string            // for errors
	types     map[string]string // of tensors
	groupSize int               // features under one weight scale, where a type has groups; 0: not said
	rotated   map[string]bool   // modules whose input is to be rotated first: by name, or as "3 o_proj", of layer 3
}

// parse reads a description. Keys with a dot are tensors; the others, and
// X.quant_type of an attention, describe what is not in a linear layer.
func parse(name string, data []byte) (*description, error) {
	o, err := module.ParseObjectUpTo(name, data, MaxDescription)
	if err != nil {
		return nil, err
	}
	d := &description{name: o.Name, types: make(map[string]string, len(o.Fields)), rotated: map[string]bool{}}
	known := map[string]string{} // one string for all tensors of a type
	for _, f := range o.Fields {
		if !strings.Contains(f.Key, ".") || strings.HasSuffix(f.Key, ".quant_type") {
			continue
		}
		t, ok := known[string(f.Value)]
		if !ok {
			if json.Unmarshal(f.Value, &t) != nil || t == "" {
				return nil, quant.Errorf(quant.ErrFormat, o.Name, f.Key, "the name of a type", "%.60s", f.Value)
			}
			known[string(f.Value)] = t
		}
		d.types[f.Key] = t
	}
	if len(d.types) == 0 {
		return nil, quant.Errorf(quant.ErrFormat, o.Name, "", "a type for each tensor", "no tensor in it")
	}
	if d.groupSize, err = o.Int("group_size", 0); err != nil {
		return nil, err
	}
	if d.groupSize < 0 {
		return nil, quant.Errorf(quant.ErrFormat, o.Name, "group_size", "at least 1, or 0 where nothing has groups", "%d", d.groupSize)
	}
	return d, d.findRotations(o)
}

// rotations are the kinds of rotations at run time, and the modules that have them
// where a description names layers by their numbers, as the first ones did.
var rotations = []struct{ key, last string }{{"heads_rotation", "o_proj"}, {"kronecker_rotation", "down_proj"}}

// findRotations reads which modules QuaRot rotates the input of at run time.
func (d *description) findRotations(o *module.Object) error {
	metadata, err := o.Object("metadata")
	if metadata == nil || err != nil {
		return err
	}
	quarot, err := metadata.Object("quarot")
	if quarot == nil || err != nil {
		return err
	}
	for _, r := range rotations {
		rotation, err := quarot.Object(r.key)
		if err != nil {
			return err
		}
		if rotation == nil {
			continue
		}
		layers, err := rotation.Texts("layers")
		if err != nil {
			return err
		}
		for _, l := range layers {
			if strings.Trim(l, "0123456789") == "" {
				l += " " + r.last
			}
			d.rotated[strings.TrimSuffix(l, ".")] = true
		}
	}
	return nil
}

// rotates reports whether the input of a module is to be rotated at run time.
func (d *description) rotates(module string) bool {
	if d.rotated[module] {
		return true
	}
	_, rest, _ := strings.Cut(module, "layers.")
	layer, rest, _ := strings.Cut(rest, ".")
	return d.rotated[layer+" "+rest[strings.LastIndexByte(rest, '.')+1:]]
}

// missing returns the first described tensor, in natural order, that is
// quantized and not in the files, and how many there are; likewise of floats.
func (d *description) missing(has func(string) bool) (quantized, floats string, nq, nf int) {
	var q, f []string
	for t, kind := range d.types {
		switch {
		case has(t):
		case kind == float:
			f = append(f, t)
		default:
			q = append(q, t)
		}
	}
	first := func(names []string) string {
		if len(names) == 0 {
			return ""
		}
		return slices.MinFunc(names, module.Compare)
	}
	return first(q), first(f), len(q), len(f)
}

// refusals counts refused modules by type, for one line about each.
type refusals map[string]*refusal

type refusal struct {
	count int
	first string
}

func (r refusals) add(kind, name string) {
	if r[kind] == nil {
		r[kind] = &refusal{first: name}
	}
	r[kind].count++
}

// lines says what is refused, type by type.
func (r refusals) lines() []string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(r)) {
		out = append(out, fmt.Sprintf("%s: %s", kind, module.Layers(r[kind].count, r[kind].first)))
	}
	return out
}
