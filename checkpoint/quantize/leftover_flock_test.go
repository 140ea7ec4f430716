//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package quantize

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// kept is a disk on which nothing is removed: what a killed process leaves.
type kept struct{ system }

func (kept) RemoveAll(string) error { return nil }

// abandoned leaves what was made of out when Model ended, and returns its name.
func abandoned(t *testing.T, in, out string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Model(ctx, in, out, Options{Settings: Settings{Group: 32}, disk: kept{}, Progress: func(Step) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
	found, err := filepath.Glob(filepath.Join(filepath.Dir(out), "."+filepath.Base(out)+".*.tmp"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

// What a killed process left is removed by the next that makes the same directory, what
// one makes that lives, or what is not surely Model's, never.
func TestLeftovers(t *testing.T) {
	in := llama(t).write()
	parent := filepath.Dir(in)
	out := filepath.Join(parent, "out")
	left := abandoned(t, in, out)
	require.FileExists(t, filepath.Join(left, lockName))
	others := []string{".out.0123456789abcdef.tmp", ".out.0123456789abcdeg.tmp", ".out.x.tmp", ".outer.0123456789abcdef.tmp", "out.0123456789abcdef.tmp", ".out.1123456789abcdef.tmp.old"}
	for _, name := range others {
		require.NoError(t, os.Mkdir(filepath.Join(parent, name), 0o777))
	}
	require.NoError(t, os.WriteFile(filepath.Join(parent, ".out.2123456789abcdef.tmp"), nil, 0o666))
	inside := []string{}
	r, err := Model(t.Context(), in, out, Options{Settings: Settings{Group: 32}, Progress: func(s Step) {
		if s.Number == 2 && s.Layer == nil { // while this one lives, another makes the same
			other, err := Model(t.Context(), in, out, Options{Settings: Settings{Group: 32}, Replace: true})
			require.NoError(t, err)
			inside = other.Warnings
			require.NoError(t, os.RemoveAll(out))
		}
	}})
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(out, lockName))
	require.NoDirExists(t, left)
	told := strings.Join(r.Warnings, "\n")
	require.Contains(t, told, left+" was left by a run that was killed: it is removed")
	require.Contains(t, told, filepath.Join(parent, others[0])+" was left by a run that was killed, or another is making it, which cannot be told: it is not touched")
	require.Contains(t, told, filepath.Join(parent, others[5])+" is what was at "+out+" before a run that was killed, or what one that still runs is replacing: it is not touched")
	require.Len(t, r.Warnings, 3)
	require.Len(t, inside, 3)
	require.Contains(t, strings.Join(inside, "\n"), " is there, too: another process is making "+out)
	for _, name := range others {
		require.DirExists(t, filepath.Join(parent, name))
	}
	_, err = os.Stat(filepath.Join(parent, ".out.2123456789abcdef.tmp"))
	require.NotErrorIs(t, err, fs.ErrNotExist)
}

// Where locks are of a machine alone, one that is free says nothing of another machine.
func TestLeftoversOfAnotherMachine(t *testing.T) {
	in := llama(t).write()
	out := filepath.Join(filepath.Dir(in), "out")
	left := abandoned(t, in, out)
	here, err := os.ReadFile(filepath.Join(left, lockName))
	require.NoError(t, err)
	require.Equal(t, machine(), string(here))
	require.Equal(t, machine(), machine())
	for _, text := range []string{"", "elsewhere 0123\n", string(here) + "x", string(here[:len(here)-2])} {
		require.NoError(t, os.WriteFile(filepath.Join(left, lockName), []byte(text), 0o666))
		r, err := Model(t.Context(), in, out, Options{Settings: Settings{Group: 32}})
		require.NoError(t, err)
		require.Equal(t, []string{left + " was left by a run that was killed, or another is making it, which cannot be told: it is not touched"}, r.Warnings)
		require.FileExists(t, filepath.Join(left, lockName))
		require.NoError(t, os.RemoveAll(out))
	}
}

// A lock of what is no longer at its path says nothing of what is there now.
func TestLockOfWhatIsGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	require.NoError(t, os.Mkdir(dir, 0o777))
	path := filepath.Join(dir, lockName)
	hold(dir).Close()
	opened := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}
	f := opened()
	require.NoError(t, os.Rename(path, path+".else"))
	require.ErrorIs(t, takeOpen(f, path), errGone)
	hold(dir).Close()
	require.ErrorIs(t, takeOpen(f, path), errGone, "another of the same name")
	require.NoError(t, takeOpen(opened(), path))

	p := &place{disk: system{}, out: filepath.Join(filepath.Dir(dir), "out")}
	require.NoError(t, os.RemoveAll(dir))
	require.Empty(t, p.clearOne(dir), "it is done, or removed, since it was listed")
}

// silly is a disk on which a file that is removed while it is open stays, as on NFS.
type silly struct{ system }

func (s silly) RemoveAll(path string) error {
	for _, lock := range []string{path, filepath.Join(path, lockName), filepath.Join(path, hiddenName)} {
		name := filepath.Base(lock)
		f, err := os.Open(lock)
		if err != nil || name != lockName && name != hiddenName {
			continue
		}
		err = tryLock(f)
		f.Close()
		if err != nil {
			return &fs.PathError{Op: "remove", Path: path, Err: syscall.ENOTEMPTY}
		}
	}
	return s.system.RemoveAll(path)
}

// Nothing is removed while the lock file in it is open.
func TestLocksOnNFS(t *testing.T) {
	in := llama(t).write()
	parent := filepath.Dir(in)
	out := filepath.Join(parent, "out")
	left := abandoned(t, in, out)
	ctx, cancel := context.WithCancel(t.Context())
	var notes []string
	o := Options{Settings: Settings{Group: 32}, disk: silly{}, Progress: func(s Step) {
		if s.Note != "" {
			require.Zero(t, s.Number)
			notes = append(notes, s.Note)
			return
		}
		cancel()
	}}
	_, err := Model(ctx, in, out, o)
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), "left behind")
	require.Equal(t, []string{left + " was left by a run that was killed: it is removed"}, notes, "though the run fails")
	require.Equal(t, []string{"in"}, entries(t, parent))
	_, err = Model(t.Context(), in, out, o)
	require.NoError(t, err)
	require.Equal(t, []string{"in", "out"}, entries(t, parent))
	require.NotContains(t, strings.Join(entries(t, out), " "), ".bitlane")
}

// What cannot be removed is still known to be nobody's.
func TestLeftoversThatStay(t *testing.T) {
	in := llama(t).write()
	out := filepath.Join(filepath.Dir(in), "out")
	left := abandoned(t, in, out)
	p := &place{disk: stuck{failing{err: syscall.EIO}}, out: out}
	for range 2 {
		require.Contains(t, p.clearOne(left), left+" was left by a run that was killed, and cannot be removed: ")
		require.FileExists(t, filepath.Join(left, lockName))
	}
	p.disk = system{}
	require.Equal(t, left+" was left by a run that was killed: it is removed", p.clearOne(left))
}
