package bench

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuantile(t *testing.T) {
	v := []float64{4, 1, 3, 2}
	require.Equal(t, 1.0, quantile(v, 0))
	require.Equal(t, 4.0, quantile(v, 1))
	require.Equal(t, 2.5, median(v))
	require.InDelta(t, 1.3, quantile(v, 0.1), 1e-12)
	require.Equal(t, []float64{4, 1, 3, 2}, v, "the order of the values is the caller's")
	require.Equal(t, 7.0, quantile([]float64{7}, 0.9))
	require.True(t, math.IsNaN(median(nil)))
}
