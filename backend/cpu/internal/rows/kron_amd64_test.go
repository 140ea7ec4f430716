package rows

import "testing"

func TestTransformedValues(t *testing.T) {
	if !hasAVX2() {
		t.Skip("the processor lacks AVX2")
	}
	testTransformedValues(t, AVX2, AVX512)
}
