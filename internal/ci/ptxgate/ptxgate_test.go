package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	kernels "github.com/bitlane/bitlane/kernels/cuda"
)

const said = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'a' for 'sm_90'
ptxas info    : Function properties for a
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 80 registers, used 1 barriers
ptxas info    : Compile time = 9.5 ms
ptxas info    : Compiling entry function 'b' for 'sm_90'
ptxas info    : Function properties for b
    24 bytes stack frame, 16 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 128 registers, used 1 barriers, 24 bytes cumulative stack size, 48 bytes smem, 400 bytes cmem[0]
`

func TestParse(t *testing.T) {
	got, err := parse([]byte(said))
	require.NoError(t, err)
	require.Equal(t, map[string]resources{"a": {registers: 80}, "b": {registers: 128, shared: 48, stack: 24, spills: 36}}, got)
	_, err = parse([]byte("ptxas info    : Compiling entry function 'a' for 'sm_90'\n"))
	require.ErrorContains(t, err, "registers of a")
}

func TestJudge(t *testing.T) {
	table := []kernels.Kernel{{Name: "a", Module: "m", Registers: 80}}
	with := func(r resources) map[string]map[string]resources {
		of := map[string]resources{}
		for _, arch := range architectures {
			of[arch] = resources{registers: 80}
		}
		of["sm_100"] = r
		return map[string]map[string]resources{"m/a": of}
	}
	require.NoError(t, judge(table, with(resources{registers: 80})))
	require.ErrorContains(t, judge(table, with(resources{registers: 81})), "a of m on sm_100: 81 registers, at most 80")
	require.ErrorContains(t, judge(table, with(resources{registers: 80, spills: 4, stack: 8})), "4 bytes of spills, 8 of local memory")
	require.ErrorContains(t, judge(table, with(resources{registers: 80, shared: 16})), "16 bytes of static shared memory")
	require.ErrorContains(t, judge(table, nil), "no such kernel for sm_80")
}

func TestSameEntries(t *testing.T) {
	const text = ".visible .entry a(\n\t.param .u64 a_param_0\n)\n.maxntid 128, 1, 1\n{\nret;\n}\n"
	require.NoError(t, sameEntries("m", []byte(text), []kernels.Kernel{{Name: "a", Module: "m", Threads: 128}, {Name: "b", Module: "n"}}))
	require.ErrorContains(t, sameEntries("m", []byte(text), []kernels.Kernel{{Name: "a", Module: "m", Threads: 256}}), "a of 128 threads; the table a of 256 threads")
	require.ErrorContains(t, sameEntries("m", []byte(text), nil), "the table ")
}

func TestTidy(t *testing.T) {
	require.Equal(t, ".version 7.1\n\tret;\n", string(tidy([]byte("//\n// made by\n.version 7.1\n\n\t// begin inline asm\n\tret;  // here\n   \n"))))
}

// What is committed has the entries of the table. The gate itself, which needs
// the compiler, does the rest.
func TestCommitted(t *testing.T) {
	for _, m := range kernels.Modules() {
		require.NoError(t, sameEntries(m, kernels.PTX(m), kernels.Kernels()))
	}
}
