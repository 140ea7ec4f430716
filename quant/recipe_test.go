package quant_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
)

func TestParseRecipe(t *testing.T) {
	for s, want := range map[string]quant.Recipe{
		"exact":             {},
		"int8-token-asym":   {Kind: quant.Int8TokenAsym},
		"int8-token":        {Kind: quant.Int8Token},
		"int8-token-xpu":    {Kind: quant.Int8TokenXPU},
		"int8-token-ascend": {Kind: quant.Int8TokenAscend},
		"int4-token-ascend": {Kind: quant.Int4TokenAscend},
		"int8-group":        {Kind: quant.Int8Group},
		"int8-group/32":     {Kind: quant.Int8Group, Group: 32},
		"int4-flatquant":    {Kind: quant.Int4FlatQuant},
	} {
		got, err := quant.ParseRecipe(s)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, s, got.String())
		require.NoError(t, got.Check("x"))
	}
	require.Len(t, quant.Recipes(), 8)
	for _, s := range []string{"", "int9", "Exact", "exact/1", "int8-token/32", "int8-group/", "int8-group/0", "int8-group/-1", "int8-group/12abc", "int8-group/1e3", "int8-group/9999999999999999999", "int8-group/2147483648", "/32"} {
		_, err := quant.ParseRecipe(s)
		require.ErrorIs(t, err, quant.ErrUnsupported, "%q", s)
	}
	_, err := quant.ParseRecipe("int9")
	require.ErrorContains(t, err, `"int9", want exact, int8-token-asym`)
}

// The default group size is one recipe, said or not.
func TestRecipeDefaultGroup(t *testing.T) {
	got, err := quant.ParseRecipe("int8-group/128")
	require.NoError(t, err)
	require.Equal(t, quant.Recipe{Kind: quant.Int8Group}, got)
	require.Equal(t, "int8-group", quant.Recipe{Kind: quant.Int8Group, Group: 128}.String())
	require.Equal(t, 128, got.ActGroup())
	require.Equal(t, 0, quant.Recipe{Kind: quant.Int8Token}.ActGroup())
	text, err := json.Marshal(map[string]any{"r": quant.Recipe{Kind: quant.Int8Group, Group: 64}})
	require.NoError(t, err)
	require.JSONEq(t, `{"r":"int8-group/64"}`, string(text))
}

func TestRecipeCheck(t *testing.T) {
	for _, tt := range []struct {
		r     quant.Recipe
		class error
		text  string
	}{
		{quant.Recipe{Kind: 8}, quant.ErrUnsupported, "q: recipe is RecipeKind(8), want exact"},
		{quant.Recipe{Kind: quant.Int8Group, Group: -1}, quant.ErrShape, "q: activation group is -1"},
		{quant.Recipe{Kind: quant.Int8Group, Group: quant.MaxDim + 1}, quant.ErrShape, "q: activation group is 1073741825"},
		{quant.Recipe{Kind: quant.Int8Token, Group: 4}, quant.ErrUnsupported, "q: activation group of int8-token is 4"},
	} {
		err := tt.r.Check("q")
		require.ErrorIs(t, err, tt.class)
		require.ErrorContains(t, err, tt.text)
	}
}

func TestActGroups(t *testing.T) {
	uniform, err := quant.UniformGroups(10, 4)
	require.NoError(t, err)
	ragged, err := quant.RaggedGroups([]int32{0, 5, 6, 10})
	require.NoError(t, err)
	ordered, err := quant.IndexedGroups([]int32{2, 0, 2, 2, 0, 3, 2, 0, 2, 2}, 4) // group 1 has no features
	require.NoError(t, err)
	gap, err := quant.IndexedGroups([]int32{0, 0, 2, 2}, 3)
	require.NoError(t, err)
	group := func(n int) quant.Recipe { return quant.Recipe{Kind: quant.Int8Group, Group: n} }
	tests := []struct {
		name    string
		r       quant.Recipe
		weights quant.Groups
		kind    quant.GroupKind
		index   []int32
	}{
		{"per token", quant.Recipe{Kind: quant.Int8Token}, ordered, quant.PerChannel, []int32{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"one", group(0), quant.OneGroup(3), quant.PerChannel, []int32{0, 0, 0}},
		{"one, cut", group(2), quant.OneGroup(5), quant.Uniform, []int32{0, 0, 1, 1, 2}},
		{"uniform, no longer", group(8), uniform, quant.Uniform, []int32{0, 0, 0, 0, 1, 1, 1, 1, 2, 2}},
		{"uniform, cut", group(3), uniform, quant.Ragged, []int32{0, 0, 0, 1, 2, 2, 2, 3, 4, 4}},
		{"ragged, cut", group(3), ragged, quant.Ragged, []int32{0, 0, 0, 1, 1, 2, 3, 3, 3, 4}},
		{"act-order", group(2), ordered, quant.ActOrder, []int32{2, 0, 2, 3, 0, 5, 3, 1, 4, 4}},
		{"act-order, contiguous but for an unused group", group(2), gap, quant.Uniform, []int32{0, 0, 1, 1}},
		{"longer than an int32", group(math.MaxInt), uniform, quant.Uniform, []int32{0, 0, 0, 0, 1, 1, 1, 1, 2, 2}},
		{"multiple of 2^32", group(1 << 32), ordered, quant.ActOrder, []int32{1, 0, 1, 1, 0, 2, 1, 0, 1, 1}},
		{"negative: the default", group(-5), uniform, quant.Uniform, []int32{0, 0, 0, 0, 1, 1, 1, 1, 2, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			act := tt.r.ActGroups(&tt.weights)
			require.Equal(t, tt.kind, act.Kind())
			require.Equal(t, tt.index, act.Index(nil))
		})
	}
	none := quant.Recipe{}.ActGroups(&uniform)
	require.Zero(t, none.Count())
	empty := quant.Recipe{Kind: quant.Int8Group}.ActGroups(new(quant.Groups))
	require.Zero(t, empty.Count())
}
