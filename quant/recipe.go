package quant

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Recipe says how the activations x enter the product. The zero value is
// Exact. A Recipe is comparable.
type Recipe struct {
	Kind  RecipeKind
	Group int // Int8Group only: features under one activation scale; 0 means DefaultActGroup
}

// DefaultActGroup is the number of features under one activation scale of
// Int8Group where the Recipe does not say.
const DefaultActGroup = 128

// RecipeKind names an activation recipe. docs/numerics.md has the table of
// their arithmetic; quant/reference has it in code.
type RecipeKind uint8

// The activation recipes. T is the type of x.
const (
	Exact           RecipeKind = iota // x as it is
	Int8TokenAsym                     // dynamic 4-bit: asymmetric int8 rows, float32, ties away (PyTorch's _dyn_quant_matmul_4bit)
	Int8Token                         // compressed-tensors: absmax/127.5 and x/scale rounded to T, clamp, half even
	Int8TokenXPU                      // oneDNN W4A8: absmax/127 ≥ 1e-5 rounded to T, half even
	Int8TokenAscend                   // aclnnDynamicQuant: absmax/127 in float32, half even
	Int8Group                         // absmax/127 in float32 per group of K, half even
	Int4FlatQuant                     // Kronecker transform, then int4 rows (aclnnFlatQuant)
	Int4TokenAscend                   // aclnnDynamicQuant to int4: absmax/7 in float32, half even
)

var recipeNames = [...]string{"exact", "int8-token-asym", "int8-token", "int8-token-xpu", "int8-token-ascend", "int8-group", "int4-flatquant", "int4-token-ascend"}

// String returns the kind's name as the command line spells it.
func (k RecipeKind) String() string {
	if int(k) < len(recipeNames) {
		return recipeNames[k]
	}
	return fmt.Sprintf("RecipeKind(%d)", uint8(k))
}

// Recipes lists every kind.
func Recipes() []RecipeKind {
	r := make([]RecipeKind, len(recipeNames))
	for i := range r {
		r[i] = RecipeKind(i)
	}
	return r
}

// String returns the recipe's name, with the group size where it is not the default.
func (r Recipe) String() string {
	if r.Kind == Int8Group && r.ActGroup() != DefaultActGroup {
		return fmt.Sprintf("%v/%d", r.Kind, r.Group)
	}
	return r.Kind.String()
}

// UnmarshalText reads what MarshalText writes.
func (r *Recipe) UnmarshalText(text []byte) error {
	parsed, err := ParseRecipe(string(text))
	if err == nil {
		*r = parsed
	}
	return err
}

// MarshalText writes the recipe's name.
func (r Recipe) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// ParseRecipe reads a recipe as String writes it: a kind's name, for
// Int8Group also with "/" and the group size.
func ParseRecipe(s string) (Recipe, error) {
	name, size, sized := strings.Cut(s, "/")
	kind := slices.Index(recipeNames[:], name)
	if kind < 0 {
		return Recipe{}, Errorf(ErrUnsupported, "activations", "", strings.Join(recipeNames[:], ", "), "%q", s)
	}
	r := Recipe{Kind: RecipeKind(kind)}
	if !sized {
		return r, nil
	}
	group, err := strconv.Atoi(size)
	if err != nil || r.Kind != Int8Group || group < 1 || group > MaxDim {
		return Recipe{}, Errorf(ErrUnsupported, "activations", "", Int8Group.String()+"/SIZE or a recipe's name alone", "%q", s)
	}
	if group != DefaultActGroup {
		r.Group = group
	}
	return r, nil
}

// Check reports a recipe of no known kind, or a group size where none belongs.
func (r Recipe) Check(name string) error {
	switch {
	case int(r.Kind) >= len(recipeNames):
		return Errorf(ErrUnsupported, name, "recipe", strings.Join(recipeNames[:], ", "), "%v", r.Kind)
	case r.Group < 0 || r.Group > MaxDim:
		return Errorf(ErrShape, name, "activation group", "0 (the default) to 2^30", "%d", r.Group)
	case r.Group != 0 && r.Kind != Int8Group:
		return Errorf(ErrUnsupported, name, "activation group of "+r.Kind.String(), "none: only "+Int8Group.String()+" has groups", "%d", r.Group)
	}
	return nil
}

// CheckFor reports a recipe that a layer cannot have: one that is wrong in itself, one
// that quantizes the input of a plain weight, Int4FlatQuant without a transform
// or a transform with any other. name is the layer's.
func (r Recipe) CheckFor(name string, plain, transform bool) error {
	if err := r.Check(name); err != nil {
		return err
	}
	if plain && r.Kind != Exact {
		return Errorf(ErrUnsupported, name, "recipe of a plain weight", Exact.String(), "%v", r)
	}
	switch {
	case r.Kind == Int4FlatQuant && !transform:
		return Errorf(ErrUnsupported, name, "recipe", "another recipe: the layer has no transform", "%v", r)
	case r.Kind != Int4FlatQuant && transform:
		return Errorf(ErrUnsupported, name, "recipe", Int4FlatQuant.String()+", which the layer's transform is for", "%v", r)
	}
	return nil
}

// ActGroup returns the features under one activation scale of Int8Group, the
// default where Group does not say, and 0 for every other kind.
func (r Recipe) ActGroup() int {
	switch {
	case r.Kind != Int8Group:
		return 0
	case r.Group < 1:
		return DefaultActGroup
	}
	return r.Group
}

// ActGroups returns the map of features to activation scales: one group for
// the per-token recipes; for Int8Group each weight group, its features in
// ascending order, cut into runs of ActGroup features, so that no activation
// scale spans two weight groups. Exact has none (an empty map).
func (r Recipe) ActGroups(weights *Groups) Groups {
	switch r.Kind {
	case Exact:
		return Groups{}
	case Int8Group:
	default:
		return OneGroup(weights.K())
	}
	size := min(r.ActGroup(), max(weights.K(), 1))
	bounds := weights.Bounds(nil)
	runs := []int32{0}
	for g := 1; g < len(bounds); g++ {
		for at := bounds[g-1]; at < bounds[g]; {
			at += min(int32(size), bounds[g]-at)
			runs = append(runs, at)
		}
	}
	order := weights.Order()
	if order == nil {
		return raggedGroups(runs)
	}
	index := make([]int32, len(order))
	for run := range len(runs) - 1 {
		for _, k := range order[runs[run]:runs[run+1]] {
			index[k] = int32(run)
		}
	}
	return indexedGroups(index, len(runs)-1)
}
