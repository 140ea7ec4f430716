//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package quantize

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
