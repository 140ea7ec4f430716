package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConsole(t *testing.T) {
	for _, output := range []string{"", "\n", "PASS\n", "no end of line", "\n\ntwo lines\n\n\n", "TOKEN is no mark\n", "a\r\nb\x00\n"} {
		serial := "[0.1] kernel\nmore\n\nTOKEN start\n" + output + "\nTOKEN 7\nreboot\n"
		for _, step := range []int{1, 3, len(serial)} {
			var out bytes.Buffer
			c := &console{out: &out, token: "TOKEN"}
			for rest := []byte(serial); len(rest) > 0; {
				n, err := c.Write(rest[:min(step, len(rest))])
				require.NoError(t, err)
				rest = rest[n:]
			}
			require.True(t, c.done)
			require.Equal(t, 7, c.status)
			require.Equal(t, output, out.String(), "in pieces of %d", step)
		}
	}
}

func TestConsoleOfKernel(t *testing.T) {
	var out bytes.Buffer
	c := &console{out: &out, token: "TOKEN", verbose: true}
	_, err := c.Write([]byte("one\ntwo\nKernel panic"))
	require.NoError(t, err)
	require.False(t, c.done)
	require.Equal(t, "one\ntwo\nKernel panic", out.String()+c.rest())
}
