package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bitlane/bitlane/internal/ci/counts"
)

const stream = `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestGood"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"noise\n"}
{"Action":"pass","Package":"m/a","Test":"TestGood","Elapsed":0.1}
{"Action":"run","Package":"m/a","Test":"TestSkip"}
{"Action":"output","Package":"m/a","Test":"TestSkip","Output":"=== RUN   TestSkip\n"}
{"Action":"output","Package":"m/a","Test":"TestSkip","Output":"    a_test.go:9: no gadget: run make tools\n"}
{"Action":"output","Package":"m/a","Test":"TestSkip","Output":"--- SKIP: TestSkip (0.00s)\n"}
{"Action":"skip","Package":"m/a","Test":"TestSkip","Elapsed":0}
{"Action":"pass","Package":"m/a","Elapsed":0.2}
{"Action":"skip","Package":"m/none","Elapsed":0}
not json
{"ImportPath":"m/c","Action":"build-output","Output":"c.go:1: undefined: x\n"}
{"Action":"output","Package":"m/b","Test":"TestBad","Output":"    b_test.go:3: two is not three\n"}
{"Action":"output","Package":"m/b","Test":"TestBad","Output":"=== CONT  TestBad\n"}
{"Action":"fail","Package":"m/b","Test":"TestBad","Elapsed":0}
{"Action":"output","Package":"m/b","Test":"TestHung","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"m/b","Elapsed":1}
`

func TestReport(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out)
	require.NoError(t, r.read(strings.NewReader(stream)))
	require.Equal(t, counts.Counts{Passed: 1, Failed: 2, Skipped: 1}, r.counts(), "the failed package counts, too")
	text := out.String()
	for _, want := range []string{
		"ok    m/a  1 tests, 0.2 s\n", "-     m/none  no tests\n", "not json\n", "c.go:1: undefined: x\n",
		"two is not three", "panic: test timed out\n", "FAIL  m/b",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "noise")
	require.NotContains(t, text, "=== ")

	out.Reset()
	r.table(&out)
	require.Equal(t, "skipped: 1\n  m/a TestSkip  no gadget: run make tools\n", out.String())
	out.Reset()
	newReport(&out).table(&out)
	require.Equal(t, "skipped: nothing\n", out.String())
}

func TestReasonWithoutOutput(t *testing.T) {
	require.Equal(t, "no reason given", reason([]string{"--- SKIP: TestX (0.00s)\n"}))
	require.Equal(t, "plain words", reason([]string{"plain words\n"}))
}

func TestExcused(t *testing.T) {
	r := report{skipped: []skip{{why: "the processor lacks AVX9"}, {why: "no network"}, {why: "no reason given"}}}
	require.Equal(t, 3, r.unexcused(nil))
	require.Equal(t, 2, r.unexcused([]string{"no device: ", "the processor lacks"}))
}
