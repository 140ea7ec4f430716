//go:build unix

package main

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// manyLayers writes a plain model of 200 layers whose names have so many letters more.
func manyLayers(t *testing.T, parent string, letters int) (in string) {
	t.Helper()
	in = filepath.Join(parent, "in")
	require.NoError(t, os.Mkdir(in, 0o777))
	var tensors []safetensors.Data
	for i := range 200 {
		name := "layers." + string(rune('a'+i/20)) + string(rune('a'+i%20)) + strings.Repeat("x", letters) + ".weight"
		tensors = append(tensors, safetensors.Data{Name: name, Type: "F32", Shape: []int64{64, 128}, Bytes: make([]byte, 4*64*128)})
	}
	require.NoError(t, safetensors.WriteFile(filepath.Join(in, "model.safetensors"), nil, tensors...))
	return in
}

// Who reads the output goes away after a line: nothing is left beside OUT.
func TestQuantizeWithoutAReader(t *testing.T) {
	parent := t.TempDir()
	in := manyLayers(t, parent, 0)
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

// A process that is killed leaves what it made. The next one that makes the same OUT
// removes that, but not while it is being made.
func TestQuantizeAfterAKill(t *testing.T) {
	parent := t.TempDir()
	in, out := manyLayers(t, parent, 1000), filepath.Join(parent, "out") // more than a pipe holds: it cannot end
	cmd := exec.CommandContext(t.Context(), os.Args[0], "quantize", in, out)
	cmd.Env = append(os.Environ(), "BITLANE_TEST_PROGRAM=1")
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = io.ReadFull(output, make([]byte, 1)) // it makes the directory
	require.NoError(t, err)
	left, err := filepath.Glob(filepath.Join(parent, ".out.*.tmp"))
	require.NoError(t, err)
	require.Len(t, left, 1)

	code, _, errs := program(t, "quantize", in, out)
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, errs, "warning: "+left[0]+" is there, too: another process is making "+out+"\n")
	require.DirExists(t, left[0])

	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	code, _, errs = program(t, "quantize", in, out, "--force")
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, errs, "warning: "+left[0]+" was left by a run that was killed: it is removed\n")
	require.NoDirExists(t, left[0])
}
