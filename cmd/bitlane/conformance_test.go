package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend/conformance"
)

func TestConformanceCommand(t *testing.T) {
	code, out, errs := program(t, "conformance", "--list", "--json")
	require.Equal(t, exitOK, code, errs)
	var v struct{ Checks []conformance.Info }
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	require.Equal(t, conformance.Checks(), v.Checks)
	floor := v.Checks[0]
	for _, c := range v.Checks {
		if c.Floor {
			floor = c
		}
	}
	code, out, errs = program(t, "conformance", "--device", "cpu:0", "--small", "--only", floor.Name, "--json")
	require.Equal(t, exitOK, code, out+errs)
	var r conformance.Report
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Len(t, r.Results, 1)
	require.Equal(t, conformance.Passed, r.Results[0].Status)

	code, _, errs = program(t, "conformance", "--skip", floor.Name)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "cannot be skipped")
	code, _, errs = program(t, "conformance", "--only", "magic")
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, `"magic"`)
}
