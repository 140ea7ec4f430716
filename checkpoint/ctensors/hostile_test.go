package ctensors

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
)

// A long name and a long pattern, well inside the bounds on each, take minutes.
func TestPatternsForLongNamesAreBounded(t *testing.T) {
	name, pattern := strings.Repeat("a", 1<<21), `["re:.*`+strings.Repeat("a?", 4000)+`b"]`
	for field, config := range map[string]string{
		"ignore":                    `{"ignore":` + pattern + `}`,
		"config_groups: g: targets": `{"config_groups":{"g":{"targets":` + pattern + `}}}`,
	} {
		_, err := open(t, config, named(name)...)
		require.ErrorIs(t, err, quant.ErrUnsupported)
		require.ErrorContains(t, err, "quantization_config: "+field+": patterns for too many modules")
	}
}

// The time that a configuration takes is in proportion to its length: with a
// search through all groups for each of them, these take minutes.
func TestManyGroups(t *testing.T) {
	var b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&b, `%s"g%d":{}`, map[bool]string{true: ","}[i > 0], i)
	}
	_, err := open(t, `{"config_groups":{`+b.String()+`}}`, named("a")...)
	require.ErrorContains(t, err, "no target matches")
}

// A setting that upstream refuses is not taken for another one.
func TestContradictingArgs(t *testing.T) {
	for weights, want := range map[string]string{
		`{"num_bits":4,"strategy":"channel","actorder":"grouped"}`:     `weights: actorder is "grouped", want group, weight`,
		`{"num_bits":4,"strategy":"channel","group_size":128}`:         "weights: group_size is 128, want none, as strategy channel has",
		`{"num_bits":4,"strategy":"token","group_size":32}`:            "group_size is 32, want none",
		`{"num_bits":4,"strategy":"group","actorder":7}`:               "group_size",
		`{"num_bits":4,"group_size":32,"actorder":7}`:                  "actorder is 7, want true or false",
		`{"num_bits":4,"group_size":32,"actorder":"Group","x":"\u00"}`: "one JSON object",
	} {
		_, err := open(t, configOf("pack-quantized", weights, "null"), named("a")...)
		require.ErrorContains(t, err, want, weights)
	}
}
