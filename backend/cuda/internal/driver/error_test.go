package driver

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/backend"
)

func TestErrorText(t *testing.T) {
	for want, e := range map[string]Error{
		"cuX: CUDA_ERROR_Y (7): because": {Call: "cuX", Code: 7, Name: "CUDA_ERROR_Y", Text: "because"},
		"cuX: error 7":                   {Call: "cuX", Code: 7},
		"cuX: error 7\nline 1\nline 2":   {Call: "cuX", Code: 7, Detail: "line 1\nline 2\n"},
	} {
		require.EqualError(t, &e, want)
	}
}

func TestErrorClasses(t *testing.T) {
	for code := range 1000 {
		err := error(&Error{Call: "cuX", Code: code})
		require.Equal(t, code == 2, errors.Is(err, backend.ErrOutOfMemory), code)
	}
	for _, code := range []int{214, 220, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999} {
		require.ErrorIs(t, &Error{Code: code}, backend.ErrDeviceLost, code)
	}
	for _, code := range []int{1, 2, 100, 201, 218, 400, 500, 600, 701, 801, 900} {
		require.NotErrorIs(t, &Error{Code: code}, backend.ErrDeviceLost, code)
	}
}
