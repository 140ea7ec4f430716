package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFuzzFuncs(t *testing.T) {
	names, err := fuzzFuncs("a_test.go", `package a
import "testing"
func FuzzHeader(f *testing.F) {}
func TestFuzz(t *testing.T) {}
func (x T) FuzzMethod(f *testing.F) {}
func Fuzz2(f *testing.F) { fuzz(f) }
func FuzzTwo(a, b *testing.F) {}
func FuzzOther(t *testing.T) {}
`)
	require.NoError(t, err)
	require.Equal(t, []string{"FuzzHeader", "Fuzz2"}, names)
	_, err = fuzzFuncs("a_test.go", "package")
	require.Error(t, err)
}
