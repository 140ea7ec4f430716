package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/module"
)

// One cause is told a few times, and then counted.
func TestFindingsAlike(t *testing.T) {
	var a alike
	require.Empty(t, a.rest())
	shown := 0
	for range 5 {
		if a.shown(module.Finding{Module: "m", Text: "labelled v1"}) {
			shown++
		}
	}
	require.True(t, a.shown(module.Finding{Module: "m", Text: "another"}))
	require.Equal(t, 3, shown)
	require.Equal(t, []string{"2 more findings like these: labelled v1"}, a.rest())
}
