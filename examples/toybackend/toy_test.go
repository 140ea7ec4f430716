package toybackend

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
	"github.com/bitlane/bitlane/backend/conformance"
)

func TestConformance(t *testing.T) {
	conformance.Test(t, conformance.Target{Backend: Backend{}}, conformance.Options{Small: testing.Short()})
}

// refuser is the toy with a kernel that says no to everything.
type refuser struct{ Backend }

type refusing struct{ kernel }

func (refuser) Kernels() []backend.Kernel { return []backend.Kernel{refusing{}} }

func (k refusing) Supports(backend.DeviceInfo, backend.Spec) *backend.Refusal {
	return (*backend.Refusal)(nil).Add(k.Name(), "layer", "any", "none", "")
}

func TestRefusingEverythingFailsTheFloor(t *testing.T) {
	report := conformance.Run(context.Background(), conformance.Target{Backend: refuser{}}, conformance.Options{Small: true})
	require.Error(t, report.Err())
	require.Subset(t, report.Failed(), []string{"floor", "exact-cells", "arguments-shape", "close-twice"})
	require.NotContains(t, report.Failed(), "grid", "refusing is allowed beyond the floor")
}

// The document shows this backend; what it shows must be what is tested.
func TestDocumentShowsThisFile(t *testing.T) {
	code, err := os.ReadFile("toy.go")
	require.NoError(t, err)
	require.Less(t, bytes.Count(code, []byte("\n")), 150, "the promise is a backend in under 150 lines")
	doc, err := os.ReadFile("../../docs/writing-a-backend.md")
	require.NoError(t, err)
	require.True(t, bytes.Contains(doc, append([]byte("```go\n"), append(code, "```\n"...)...)),
		"docs/writing-a-backend.md does not hold toy.go as it is")
	for _, c := range conformance.Checks() {
		require.Contains(t, string(doc), "| `"+c.Name+"` | ", "the table of checks lacks one")
		require.Contains(t, string(doc), " | "+c.Rule+" |", "the rule of "+c.Name+" in the table is another")
	}
}
