package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/quant"
)

func TestQuickstart(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(&out, "../../testdata/gptq-w4-g128", "model.layers.0.mlp.down_proj"))
	require.Regexp(t, `^cpu_w\w+_a16_\w+ chosen: .*\ny is \[2, 512\] and begins with -?\d`, out.String())

	require.ErrorIs(t, run(&out, "../../testdata/damaged/gptq-scales-nan", "model.layers.0.mlp.down_proj"), quant.ErrFormat)
	require.ErrorContains(t, run(&out, "../../testdata/gptq-w4-g128", "no.such.layer"), "no.such.layer")
}
