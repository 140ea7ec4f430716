package main

import (
	"debug/elf"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type member struct {
	mode, major, minor int
	content            string
}

// members reads an archive; a member's directory must come before it.
func members(t *testing.T, data []byte) map[string]member {
	t.Helper()
	got := map[string]member{}
	text := string(data)
	for at := 0; ; {
		head := text[at:]
		require.Equal(t, "070701", head[:6])
		field := func(i int) int {
			v, err := strconv.ParseInt(head[6+8*i:14+8*i], 16, 64)
			require.NoError(t, err)
			return int(v)
		}
		name := head[110 : 110+field(11)-1]
		require.EqualValues(t, 0, head[110+field(11)-1])
		start := (at + 110 + field(11) + 3) &^ 3
		end := start + field(6)
		if name == "TRAILER!!!" {
			return got
		}
		require.NotContains(t, got, name)
		if dir := filepath.Dir(name); dir != "." {
			require.Contains(t, got, dir)
		}
		got[name] = member{field(1), field(9), field(10), text[start:end]}
		at = (end + 3) &^ 3
	}
}

func TestRAMDisk(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "testdata", "deep"), 0o777))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "else"), 0o777))
	for name, text := range map[string]string{"a.txt": "A", "testdata/deep/b": "BB", "else/c": "C"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666))
	}
	require.NoError(t, os.WriteFile(filepath.Join(other, "d"), []byte("DDD"), 0o666))
	t.Chdir(dir)
	t.Setenv("GODEBUG", "a=1")
	self := filepath.Join(other, "program")
	require.NoError(t, os.WriteFile(self, program(elf.PT_LOAD), 0o777))
	disk, token, err := ramDisk(self, []string{self, "-test.v", "-test.testlogfile=/x", "-n=1"}, []string{other})
	require.NoError(t, err)
	got := members(t, disk)
	at := func(path string) member { return got[strings.TrimPrefix(path, "/")] }
	require.Equal(t, "A", at(dir+"/a.txt").content)
	require.Equal(t, "BB", at(dir+"/testdata/deep/b").content)
	require.Equal(t, "DDD", at(other+"/d").content)
	require.NotContains(t, got, strings.TrimPrefix(dir, "/")+"/else/c")
	require.Equal(t, member{0o020600, 5, 1, ""}, at("/dev/console"))
	require.Equal(t, 0o100777, at("/init").mode)
	require.Equal(t, at("/init"), at(self))
	var todo task
	require.NoError(t, json.Unmarshal([]byte(at(taskFile).content), &todo))
	require.Equal(t, []string{self, "-test.v", "-n=1"}, todo.Args)
	require.Equal(t, dir, todo.Dir)
	require.Equal(t, token, todo.Token)
	require.NotEmpty(t, token)
	require.Contains(t, todo.Env, "TMPDIR=/tmp")
	require.Contains(t, todo.Env, "GODEBUG=a=1,cpu.avx512vl=off")

	_, _, err = ramDisk(self, []string{"no such program"}, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile("linked", program(elf.PT_INTERP), 0o777))
	_, _, err = ramDisk(self, []string{"linked"}, nil)
	require.ErrorContains(t, err, "CGO_ENABLED=0")
}
