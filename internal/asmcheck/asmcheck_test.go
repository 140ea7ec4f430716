package asmcheck

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModule(t *testing.T) {
	problems, err := Module(os.DirFS("../.."))
	require.NoError(t, err)
	for _, p := range problems {
		t.Error(p)
	}
}
