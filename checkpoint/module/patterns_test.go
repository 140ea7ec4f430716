package module

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPatternList: the first that matches decides, however patterns begin.
func TestPatternList(t *testing.T) {
	var p Patterns
	var l PatternList
	got, err := p.First(&l, "a")
	require.NoError(t, err)
	require.Equal(t, -1, got)
	for _, expr := range []string{`model\.layers\.3\.mlp\.up$`, `.*\.up`, `model\.layers\.`, `model\.layers\.3\..*`, `lm_head`, ``} {
		x, err := p.Compile("field", expr)
		require.NoError(t, err)
		l.Add(x)
	}
	for name, want := range map[string]int{
		"model.layers.3.mlp.up": 0, "model.layers.4.mlp.up": 1, "model.layers.3.mlp.down": 2, "lm_head": 4, "model": 5, "": 5,
	} {
		got, err := p.First(&l, name)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
	all, err := p.All(&l, "model.layers.3.mlp.up")
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2, 3, 5}, all)
}
