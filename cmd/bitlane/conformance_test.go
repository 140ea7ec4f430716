package main

import (
	"encoding/json"
	"fmt"
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

// An interrupt shows what was run and is no failure of the backend.
func TestConformanceInterrupted(t *testing.T) {
	total := len(conformance.Checks())
	code, out, errs := interrupted(t, 3, "conformance", "--device", "cpu", "--small")
	require.Equal(t, exitInterrupted, code, errs)
	require.Contains(t, errs, fmt.Sprintf("bitlane conformance: interrupted after 2 of %d checks\n", total))
	require.Contains(t, out, fmt.Sprintf("cpu: 2 passed, 0 failed, 0 skipped, %d not run", total-2))

	code, out, errs = interrupted(t, 3, "conformance", "--device", "cpu", "--small", "--json")
	require.Equal(t, exitInterrupted, code, errs)
	var r conformance.Report
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Len(t, r.Results, total)
	require.Equal(t, conformance.Passed, r.Results[1].Status)
	require.Equal(t, conformance.NotRun, r.Results[2].Status)
}
