package main

import (
	"errors"
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

func TestUnlessLate(t *testing.T) {
	const (
		late  = "fuzz: elapsed: 5s, execs: 40304 (0/sec)\n--- FAIL: FuzzX (5.20s)\n    context deadline exceeded\nFAIL\n"
		wrong = "--- FAIL: FuzzX (0.20s)\n    --- FAIL: FuzzX (0.00s)\n    context deadline exceeded\n\n    Failing input written to testdata/fuzz/FuzzX/1\nFAIL\n"
	)
	for _, c := range []struct {
		outs []string // "": success
		runs int
		want string
	}{
		{[]string{""}, 1, ""},
		{[]string{late, ""}, 2, ""},
		{[]string{late, wrong, ""}, 2, wrong},
		{[]string{wrong, ""}, 1, wrong},
		{[]string{late, late, late, ""}, 3, late},
	} {
		runs := 0
		out, err := unlessLate(func() ([]byte, error) {
			out := c.outs[runs]
			runs++
			if out != "" {
				return []byte(out), errors.New("exit status 1")
			}
			return nil, nil
		})
		require.Equal(t, c.runs, runs)
		require.Equal(t, c.want, string(out))
		require.Equal(t, c.want != "", err != nil)
	}
}
