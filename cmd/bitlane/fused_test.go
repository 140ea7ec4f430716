package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// q/k/v and gate/up of a modelslim checkpoint as one layer each: the others
// stay, and every run is accepted.
func TestRunFused(t *testing.T) {
	const dir = bundled + "modelslim-w4a4-flatquant"
	code, out, errs := program(t, "run", dir, "--fused", "--tokens", "3", "--json")
	require.Equal(t, exitOK, code, errs+out)
	var r runReport
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	rows := map[string]int{}
	for _, l := range r.Layers {
		rows[l.Name] = l.N
	}
	require.Equal(t, map[string]int{
		"lm_head": 16, "model.layers.0.mlp.gate_up_proj": 192, "model.layers.0.mlp.down_proj": 64, "model.layers.0.self_attn.qkv_proj": 128,
		"model.layers.0.self_attn.o_proj": 64, "model.layers.1.mlp.down_proj": 96,
	}, rows)
	require.Equal(t, len(r.Layers), r.Summary.Accepted)

	code, out, errs = program(t, "run", dir, "--fused", "--layer", "*gate_up_proj", "--tokens", "1", "--tp", "1/5")
	require.Equal(t, exitOK, code, errs+out)
	require.Contains(t, out, "38 x 64", "19 rows of each")
	code, _, errs = program(t, "run", dir, "--fused", "--layer", "*qkv_proj", "--tokens", "1", "--tp", "0/2")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "whole heads, as num_attention_heads")

	code, _, errs = program(t, "run", bundled+"dense-bf16", "--fused", "--tokens", "1", "--layer", "*.down_proj", "--keep", "*.up_proj")
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, errs, "--fused: of no effect: no modules of this checkpoint can be run as one layer")

	code, out, _ = program(t, "inspect", dir)
	require.Equal(t, exitOK, code)
	require.Contains(t, out, "model.layers.0.self_attn.qkv_proj  q_proj 0..63, k_proj 64..95, v_proj 96..127")
}
