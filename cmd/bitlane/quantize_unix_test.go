//go:build unix

package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/checkpoint/safetensors"
)

// TestMain makes the tests' binary the program where this is set.
func TestMain(m *testing.M) {
	if os.Getenv("BITLANE_TEST_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// Who reads the output goes away after a line: nothing is left beside OUT.
func TestQuantizeWithoutAReader(t *testing.T) {
	parent := t.TempDir()
	in := filepath.Join(parent, "in")
	require.NoError(t, os.Mkdir(in, 0o777))
	var tensors []safetensors.Data
	for i := range 200 {
		tensors = append(tensors, safetensors.Data{Name: "layers." + string(rune('a'+i/20)) + string(rune('a'+i%20)) + ".weight", Type: "F32", Shape: []int64{64, 128}, Bytes: make([]byte, 4*64*128)})
	}
	require.NoError(t, safetensors.WriteFile(filepath.Join(in, "model.safetensors"), nil, tensors...))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "quantize", in, filepath.Join(parent, "out"))
	cmd.Env = append(os.Environ(), "BITLANE_TEST_PROGRAM=1")
	read, write, err := os.Pipe()
	require.NoError(t, err)
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = write, &errs
	require.NoError(t, cmd.Start())
	write.Close()
	_, err = bufio.NewReaderSize(read, 16).ReadByte()
	require.True(t, err == nil || err == io.EOF)
	read.Close()
	require.Error(t, cmd.Wait())
	require.Equal(t, exitFailed, cmd.ProcessState.ExitCode(), errs.String())
	require.Contains(t, errs.String(), "bitlane quantize: nobody reads the output any more, after ")
	require.Contains(t, errs.String(), "out is not written\n")
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, left, 1, "only the input")
}
