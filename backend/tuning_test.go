package backend_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
)

// untuned is a backend that knows nothing of tuning.
type untuned struct{ backend.Backend }

func (untuned) Name() string { return "toy" }

type tuned struct{ untuned }

func (tuned) Tunings() []backend.Tuning {
	return []backend.Tuning{{Name: "tile-rows", Value: 32, Least: 1, Most: 64, What: "the least rows"}, {Name: "rest", Most: 1}}
}

func TestCheckTuning(t *testing.T) {
	require.NoError(t, backend.CheckTuning(untuned{}, nil))
	require.NoError(t, backend.CheckTuning(tuned{}, backend.Tuned{"tile-rows": 64, "rest": 0}))
	require.Equal(t, "rest=0,tile-rows=64", backend.Tuned{"tile-rows": 64, "rest": 0}.String())
	for _, c := range []struct {
		b    backend.Backend
		t    backend.Tuned
		want string
	}{
		{untuned{}, backend.Tuned{"tile-rows": 1}, "toy: tuning is \"tile-rows\", want none: it has nothing to tune"},
		{tuned{}, backend.Tuned{"tile": 1}, "tuning is \"tile\", want one of tile-rows, rest"},
		{tuned{}, backend.Tuned{"tile-rows": 65}, "tuning tile-rows is 65, want 1..64"},
		{tuned{}, backend.Tuned{"rest": -1}, "tuning rest is -1, want 0..1"},
	} {
		err := backend.CheckTuning(c.b, c.t)
		require.ErrorIs(t, err, backend.ErrUnsupported)
		require.ErrorContains(t, err, c.want)
	}
}
