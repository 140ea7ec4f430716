package cabi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKindsHaveNames(t *testing.T) {
	for k, name := range map[Kind]string{Void: "void", I32: "int32_t", I64: "int64_t", Size: "size_t", Ptr: "pointer"} {
		require.Equal(t, name, k.String())
	}
}
