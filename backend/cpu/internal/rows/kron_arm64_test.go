package rows

import "testing"

func TestTransformedValues(t *testing.T) { testTransformedValues(t, NEON) }
