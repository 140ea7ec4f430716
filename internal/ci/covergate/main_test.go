package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const profile = `mode: set
m/quant/a.go:1.1,2.2 9 0
m/quant/sub/b.go:1.1,2.2 1 0
m/quant/a.go:1.1,2.2 9 1
m/dtype/c.go:1.1,2.2 4 1
mode: set
m/dtype/c.go:3.1,4.2 4 0
`

func TestGate(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, gate(&out, strings.NewReader(profile), "m", 90, []string{"quant"}))
	require.Contains(t, out.String(), "90.0 %  quant, 10 statements\n")
	require.Contains(t, out.String(), "0.0 %  quant/sub\n")

	err := gate(&out, strings.NewReader(profile), "m", 90, []string{"quant", "dtype", "absent"})
	require.EqualError(t, err, "below 90 %: dtype 50.0 %, absent 0.0 %")
	require.ErrorContains(t, gate(&out, strings.NewReader("a b c\n"), "m", 90, nil), `"a b c"`)
}
