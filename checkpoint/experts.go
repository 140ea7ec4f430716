package checkpoint

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/bitlane/bitlane/checkpoint/module"
	"github.com/bitlane/bitlane/checkpoint/safetensors"
	"github.com/bitlane/bitlane/quant"
)

// Some mixtures keep the weights of all experts in one tensor:
//
//	X.experts.gate_up_proj.weight        int8  [E, 2N, K]
//	X.experts.gate_up_proj.weight_scale  float [E, 2N, 1]
//	X.experts.w13_weight_packed          int32 [E, 2N, K/8]   names joined by "_" are the same
//	X.experts.w2_weight.weight_packed    int32 [E, N, K/8]    and so are weights as modules
//
// unstacked shows each expert of such a stack of integer weights as tensors of
// its own, X.experts.3.gate_up_proj.weight [2N, K], so that the formats need
// not know of stacks. The file is read where the expert lies; nothing is
// copied.
type unstacked struct {
	safetensors.Source
	stacks map[string]*stack // by "X.experts gate_up_proj"
	hidden map[string]bool   // the tensors of stacks
}

// stack is one projection of all experts of a layer.
type stack struct {
	experts, projection string // "X.experts", "gate_up_proj"
	count               int
	parts               map[string]safetensors.Tensor // by suffix: "weight", "weight_scale"
}

// The bounds on experts, far above any model, so that a hostile header cannot
// ask for names without end.
const (
	maxExperts    = 1 << 12 // of one layer
	maxAllExperts = 1 << 20
)

// projections are what stacks are called.
var projections = []string{"gate_up_proj", "gate_proj", "up_proj", "down_proj", "w13", "w1", "w2", "w3"}

// stackSuffixes are the tensors of a module that stacks have; the second name
// is a shorter one.
var stackSuffixes = []struct{ name, short string }{
	{"weight", ""}, {"weight_packed", "packed"}, {"weight_scale", "scale"}, {"weight_offset", "offset"}, {"weight_zero_point", "zero_point"},
	{"weight_shape", "shape"}, {"weight_g_idx", "g_idx"}, {"bias", "bias"}, {"left_trans", "left_trans"}, {"right_trans", "right_trans"}, {"clip_ratio", "clip_ratio"},
}

// splitStacked takes the name of a tensor of a stack apart.
func splitStacked(name string) (experts, projection, suffix string, ok bool) {
	at := strings.LastIndex(name, "experts.")
	if at < 0 || at > 0 && name[at-1] != '.' {
		return "", "", "", false
	}
	experts, rest := name[:at+len("experts")], name[at+len("experts."):]
	for _, p := range projections {
		tail, found := strings.CutPrefix(rest, p)
		if !found || tail != "" && tail[0] != '.' && tail[0] != '_' {
			continue
		}
		tail = strings.TrimPrefix(tail, "_weight.") // a weight that is a module
		tail = strings.TrimPrefix(strings.TrimPrefix(tail, "."), "_")
		for _, s := range stackSuffixes {
			if tail == s.name || tail == s.short {
				return experts, p, s.name, true
			}
		}
	}
	return "", "", "", false
}

// unstack finds the stacks of integer weights in src. Those that are not read
// are refused; their tensors, too, are out of sight.
func unstack(src safetensors.Source) (*unstacked, []module.Refused, error) {
	u := &unstacked{src, map[string]*stack{}, map[string]bool{}}
	found := map[string]*stack{}
	for _, name := range src.Names() {
		experts, projection, suffix, ok := splitStacked(name)
		if !ok {
			continue
		}
		key := experts + " " + projection
		if found[key] == nil {
			found[key] = &stack{experts: experts, projection: projection, parts: map[string]safetensors.Tensor{}}
		}
		t, _ := src.Lookup(name)
		if other, twice := found[key].parts[suffix]; twice {
			return nil, nil, quant.Errorf(quant.ErrFormat, name, "tensor", "one "+suffix+" of the experts", "a second one beside %s", other.Name)
		}
		found[key].parts[suffix] = t
	}
	var refused []module.Refused
	all := 0
	for _, key := range slices.Sorted(maps.Keys(found)) {
		s := found[key]
		if !s.integer() {
			continue
		}
		why, err := s.check(src)
		if err != nil {
			return nil, nil, err
		}
		for _, t := range s.parts {
			u.hidden[t.Name] = true
		}
		if why != "" {
			refused = append(refused, module.Refused{Name: s.experts + "." + s.projection, Why: why})
			continue
		}
		if all += s.count; all > maxAllExperts {
			return nil, nil, quant.Errorf(quant.ErrUnsupported, s.experts, "experts", fmt.Sprintf("at most %d in all", maxAllExperts), "more")
		}
		u.stacks[key] = s
	}
	return u, refused, nil
}

// floatExperts says why a tensor that holds the weights of several experts, but
// no codes, is refused, or "".
func floatExperts(t safetensors.Tensor) string {
	if len(t.Shape) != 3 || !strings.Contains(t.Name, "experts.") {
		return ""
	}
	if _, _, suffix, ok := splitStacked(t.Name); ok && suffix != "weight" && suffix != "weight_packed" {
		return ""
	}
	return fmt.Sprintf("%s in one tensor, %s %v: reading it needs to know how this architecture lays them (input or output first, gate and up apart or in turns)",
		module.Count(int(min(t.Shape[0], 1<<30)), "expert"), t.Type, t.Shape)
}

// weight returns the codes of the stack.
func (s *stack) weight() (safetensors.Tensor, bool) {
	t, ok := s.parts["weight_packed"]
	if !ok {
		t, ok = s.parts["weight"]
	}
	return t, ok
}

// integer reports whether the stack is codes with scales, the only ones that
// are taken apart: how floats lie in their tensor only the model's code knows.
func (s *stack) integer() bool {
	t, ok := s.weight()
	_, scaled := s.parts["weight_scale"]
	return ok && scaled && len(t.Shape) == 3 && (t.Type == safetensors.I8 || t.Type == safetensors.I32)
}

// check compares the tensors of a stack with each other. It returns why the
// stack is refused, or "".
func (s *stack) check(src safetensors.Source) (string, error) {
	w, _ := s.weight()
	if min(w.Shape[0], w.Shape[1], w.Shape[2]) < 1 || max(w.Shape[1], w.Shape[2]) > quant.MaxDim {
		return "", quant.Errorf(quant.ErrFormat, w.Name, "shape", "experts of 1 to 2^30 rows and columns", "%v", w.Shape)
	}
	if w.Shape[0] > maxExperts {
		return "", quant.Errorf(quant.ErrUnsupported, w.Name, "experts", fmt.Sprintf("at most %d", maxExperts), "%d", w.Shape[0])
	}
	s.count = int(w.Shape[0])
	scale := s.parts["weight_scale"]
	if d := scale.Shape; len(d) == 3 && d[0] == w.Shape[0] && d[1] != w.Shape[1] && d[2] == w.Shape[2] {
		return fmt.Sprintf("%s in one tensor of %v, input first as the scales %v say, which is not read: only [experts, N, K] is", module.Count(s.count, "expert"), w.Shape, d), nil
	}
	suffixes := slices.Sorted(maps.Keys(s.parts))
	for _, suffix := range suffixes {
		t := s.parts[suffix]
		if suffix == "weight_shape" {
			if err := s.checkSizes(src, t); err != nil {
				return "", err
			}
			continue
		}
		if s.shared(suffix, t) {
			continue
		}
		if len(t.Shape) < 1 || t.Shape[0] != w.Shape[0] {
			return "", quant.Errorf(quant.ErrFormat, t.Name, "shape", fmt.Sprintf("%s first, as %s %v has", module.Count(s.count, "expert"), w.Name, w.Shape), "%v", t.Shape)
		}
	}
	for e := range s.count {
		for _, suffix := range suffixes {
			if name := s.name(e, suffix); has(src, name) {
				return "", quant.Errorf(quant.ErrFormat, name, "tensor", "an expert stored once", "in %s as well", s.parts[suffix].Name)
			}
		}
	}
	return "", nil
}

func has(src safetensors.Source, name string) bool {
	_, ok := src.Lookup(name)
	return ok
}

// shared reports a tensor that is the same for all experts.
func (s *stack) shared(suffix string, t safetensors.Tensor) bool {
	return suffix == "weight_shape" && len(t.Shape) == 1 || suffix == "weight_g_idx" && len(t.Shape) == 1
}

// checkSizes compares the sizes that are stored as numbers, [N, K] or [E, N,
// K] for all experts, or [E, 2], with the number of experts.
func (s *stack) checkSizes(src safetensors.Source, t safetensors.Tensor) error {
	d, size := t.Shape, int64(t.Type.Bits()/8)
	switch {
	case t.Type != safetensors.I64 && t.Type != safetensors.I32:
		return quant.Errorf(quant.ErrFormat, t.Name, "type", "I64 or I32", "%s", t.Type)
	case len(d) == 1 && d[0] == 2, len(d) == 2 && d[0] == int64(s.count) && d[1] == 2:
		return nil
	case len(d) != 1 || d[0] != 3:
		return quant.Errorf(quant.ErrFormat, t.Name, "shape", fmt.Sprintf("[2], [3] or [%d 2]", s.count), "%v", d)
	}
	var b [8]byte
	if err := src.ReadAt(b[:size], t.Name, 0); err != nil {
		return err
	}
	if n := binary.LittleEndian.Uint64(b[:]); n != uint64(s.count) {
		w, _ := s.weight()
		return quant.Errorf(quant.ErrFormat, t.Name, "element 0", fmt.Sprintf("%d, as %s %v has", s.count, w.Name, w.Shape), "%d", n)
	}
	return nil
}

// name is that of a tensor of expert e.
func (s *stack) name(e int, suffix string) string {
	return s.experts + "." + strconv.Itoa(e) + "." + s.projection + "." + suffix
}

// find returns the stack, expert and tensor that a name stands for.
func (u *unstacked) find(name string) (s *stack, e int, t safetensors.Tensor, ok bool) {
	at := strings.LastIndex(name, "experts.")
	if at < 0 || len(u.stacks) == 0 {
		return nil, 0, t, false
	}
	part := strings.Split(name[at+len("experts."):], ".")
	if len(part) != 3 {
		return nil, 0, t, false
	}
	if s = u.stacks[name[:at+len("experts")]+" "+part[1]]; s == nil {
		return nil, 0, t, false
	}
	e, err := strconv.Atoi(part[0])
	if err != nil || e < 0 || e >= s.count || strconv.Itoa(e) != part[0] {
		return nil, 0, t, false
	}
	t, ok = s.parts[part[2]]
	return s, e, t, ok
}

// slice returns what an expert has of a tensor: its shape, and where it is.
func (s *stack) slice(e int, suffix string, t safetensors.Tensor) (shape []int64, off, bytes int64) {
	switch {
	case s.shared(suffix, t) && len(t.Shape) == 1 && suffix == "weight_shape":
		size := t.Bytes / t.Shape[0]
		return []int64{2}, t.Bytes - 2*size, 2 * size // the last two
	case s.shared(suffix, t):
		return t.Shape, 0, t.Bytes
	}
	bytes = t.Bytes / int64(s.count)
	if shape = t.Shape[1:]; len(shape) == 0 {
		shape = []int64{1}
	}
	return shape, int64(e) * bytes, bytes
}

func (u *unstacked) of(name string) (t safetensors.Tensor, off int64, ok bool) {
	s, e, t, ok := u.find(name)
	if !ok {
		return t, 0, false
	}
	shape, off, bytes := s.slice(e, name[strings.LastIndexByte(name, '.')+1:], t)
	t.Shape, t.Bytes, t.Offset = shape, bytes, t.Offset+off
	return t, off, true
}

// Origin returns the name that the files have for a tensor.
func (u *unstacked) Origin(name string) string {
	if _, _, t, ok := u.find(name); ok {
		return t.Name
	}
	return name
}

// Lookup returns a tensor of the files or of an expert.
func (u *unstacked) Lookup(name string) (safetensors.Tensor, bool) {
	if t, _, ok := u.of(name); ok {
		t.Name = name
		return t, true
	}
	return u.Source.Lookup(name)
}

// Read returns the bytes of a tensor of the files or of an expert.
func (u *unstacked) Read(dst []byte, name string) ([]byte, error) {
	t, off, ok := u.of(name)
	if !ok {
		return u.Source.Read(dst, name)
	}
	dst = slices.Grow(dst[:0], int(t.Bytes))[:t.Bytes]
	return dst, u.Source.ReadAt(dst, t.Name, off)
}

// ReadAt fills dst with bytes of a tensor of the files or of an expert.
func (u *unstacked) ReadAt(dst []byte, name string, from int64) error {
	t, off, ok := u.of(name)
	if !ok {
		return u.Source.ReadAt(dst, name, from)
	}
	if from < 0 || from > t.Bytes || int64(len(dst)) > t.Bytes-from {
		return quant.Errorf(quant.ErrFormat, name, "bytes", fmt.Sprintf("inside the expert's %d", t.Bytes), "%d from %d on", len(dst), from)
	}
	return u.Source.ReadAt(dst, t.Name, off+from)
}

// Names returns the tensors of the files, those of experts in the place of
// stacks.
func (u *unstacked) Names() []string {
	names := u.Source.Names()
	if len(u.hidden) == 0 {
		return names
	}
	names = slices.DeleteFunc(names, func(n string) bool { return u.hidden[n] })
	for _, s := range u.stacks {
		for e := range s.count {
			for suffix := range s.parts {
				names = append(names, s.name(e, suffix))
			}
		}
	}
	slices.Sort(names)
	return names
}
