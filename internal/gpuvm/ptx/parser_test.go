package ptx

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Everything that is not known, or is not PTX, is refused with its line.
func TestRefusals(t *testing.T) {
	body := map[string]string{
		"wgmma.fence.sync.aligned;":                          "unsupported opcode wgmma",
		"call.uni (%r1), f, (%r2);":                          "unsupported opcode call",
		"ld.global.u32.L1::no_allocate %r1, [%rd1];":         "unsupported modifier .L1::no_allocate",
		"ld.global.L1::evict_sometimes.u32 %r1, [%rd1];":     "L1::evict_sometimes",
		"ld.global.b128 %r1, [%rd1];":                        "b128",
		"ld.global.v8.u32 {%r1, %r2}, [%rd1];":               "v8",
		"ld.global.v4.u64 {%rd2, %rd3, %rd4, %rd5}, [%rd1];": "more than 16 bytes",
		"ld.global.v2.u32 {%r1, %r1}, [%rd1];":               "written twice",
		"ld.global.v2.u32 %r1, [%rd1];":                      "want a vector",
		"ld.global.u64 %r1, [%rd1];":                         "register %r1 is .b32",
		"ld.shared.nc.u32 %r1, [%r2];":                       ".nc",
		"ld.relaxed.global.u32 %r1, [%rd1];":                 "unsupported modifier",
		"ld.acquire.gpu.param.u32 %r1, [n];":                 "strong access of param",
		"ld.global.u32 %r1, [%r2];":                          "no global address",
		"ld.shared.u32 %r1, [out];":                          "param memory, not shared",
		"ld.global.u32 %r1, [nothing];":                      "unknown name nothing",
		"ld.global.u32 %r1, %rd1;":                           "want an address",
		"st.param.u32 [n], %r1;":                             "store to param",
		"add.s32 %r1, %r2;":                                  "2 operands",
		"add.s32 %r1, %r2, %r3, %r4;":                        "4 operands",
		"add.s32 %r1, %r2, 4294967296;":                      "literal is no .s32",
		"add.s32 %r1, %r2, -2147483649;":                     "literal is no .s32",
		"add.u16 %h1, %h2, 65536;":                           "literal is no .u16",
		"add.s32 %r1, %r2, %nope;":                           "unknown register %nope",
		"add.s32 %r1, %r2, %f3;":                             "register %f3 is .f32",
		"add.s32 %r1, %r2, !%r3;":                            "!",
		"add.cc.s32 %r1, %r2, %r3;":                          "carries",
		"add.sat.u32 %r1, %r2, %r3;":                         ".sat",
		"add.s32 5, %r2, %r3;":                               "no register",
		"mul.s32 %r1, %r2, %r3;":                             "want one of .lo .hi .wide",
		"setp.lt.b32 %p1, %r1, %r2;":                         "comparison .lt of .b32",
		"setp.lo.s32 %p1, %r1, %r2;":                         "comparison .lo of .s32",
		"setp.ltu.s32 %p1, %r1, %r2;":                        "comparison",
		"selp.b32 %r1, %r2, %r3, %r4;":                       "wanted",
		"mov.u32 %r1, %clock;":                               "%clock",
		"mov.pred %p1, 2;":                                   "no predicate",
		"mov.pred 1, %p1;":                                   "no register",
		"mov.b32 %r1, {%h1, %h2, %h3};":                      "parts",
		"mov.b32 {%h1, %h1}, %r1;":                           "written twice",
		"mov.u32 %r1, %gridid;":                              "special register",
		"bra $nowhere;":                                      "unknown label $nowhere",
		"bra 5;":                                             "label",
		"@%r1 bra $x;\n$x: ret;":                             "wanted",
		"lop3.b32 %r1, %r2, %r3, %r4, 256;":                  "literal from 0 to 255",
		"cp.async.cg.shared.global [%r1], [%rd1], 8;":        "cp-size 8",
		"cp.async.ca.shared.global [%r1], [%rd1], 5;":        "cp-size 5",
		"cp.async.wait_group %r1;":                           "want a literal",
		"cp.async.bulk.commit_group;":                        "bulk",
		"fence.proxy.async;":                                 "proxy",
		"barrier.sync 0;":                                    ".aligned",
		"bar.arrive 0;":                                      "1 operands",
		"atom.global.add.f16 %h1, [%rd1], %h2;":              "noftz",
		"atom.global.add.s64 %rd2, [%rd1], %rd3;":            "s64",
		"red.acquire.gpu.global.add.u32 [%rd1], 1;":          "acquire",
		"red.global.cas.b32 [%rd1], 1, 2;":                   "cas",
		"mma.sync.aligned.m16n8k16.row.row.f32.f16.f16.f32 {%r1, %r2, %r3, %r4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%r1, %r2, %r3, %r4};":  "col",
		"mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r1, %r2}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%r1, %r2};":                      "f32",
		"mma.sync.aligned.m16n8k16.row.col.f32.f16.bf16.f32 {%r1, %r2, %r3, %r4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%r1, %r2, %r3, %r4};": "unsupported mma",
		"mma.sync.aligned.m16n8k32.row.col.s32.s4.s4.s32 {%r1, %r2, %r3, %r4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%r1, %r2, %r3, %r4};":    "s4",
		"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r1, %r2, %r3}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%r1, %r2, %r3, %r4};":       "want a vector of 4",
		"ldmatrix.sync.aligned.m8n8.x3.shared.b16 {%r1, %r2, %r3}, [%r4];":                                                                 "x3",
		"shfl.bfly.b32 %r1, %r2, 1, 31;":  "sync",
		".reg .b32 %r5;":                  "declared twice",
		".reg .b8 %x;":                    "register type",
		".shared .b32 s; .shared .b32 s;": "bad variable s",
		".pragma \"other\";":              "pragma",
		"$a: $a: ret;":                    "defined twice",
		"add.s32 %r1, %r2, 1":             "expected \",\"",
		"add.s32 %r1, %r2, 0x;":           "bad integer",
		"add.s32 %r1, %r2, 1_0;":          "bad integer",
		"mov.f32 %f1, 0f3F80;":            "bad float",
		"@%p1 5;":                         "instruction",
	}
	for text, want := range body {
		_, err := Parse("file.ptx", []byte(kernel(text)))
		var pe *ParseError
		require.True(t, errors.As(err, &pe), "%s: %v", text, err)
		require.Contains(t, err.Error(), want, text)
		line := strings.Count(strings.Split(kernel(text), text)[0], "\n") + 1
		require.GreaterOrEqual(t, pe.Line, line, text)
		require.LessOrEqual(t, pe.Line, line+2, text)
	}
	for text, want := range map[string]string{
		"":                            "no .version",
		".version 7.1\n":              "no .version and .target",
		".entry k() { ret; }":         "starts with .version",
		".version 5.0\n.target sm_80": "bad .version",
		".version 7.1\n.target sm_20": "bad .target",
		".version 7.1\n.target sm_80, texmode_independent":         "platform option",
		header + ".func f() { ret; }":                              "inline them",
		header + ".entry k() { ret; } .entry k() { ret; }":         "defined twice",
		header + ".entry k() { }":                                  "no instructions",
		header + ".entry k() { ret;":                               "without end",
		header + ".entry k(.param .u64 a, .param .u64 a) { ret; }": "declared twice",
		header + ".entry k(.param .b8 a[5000]) { ret; }":           "bad parameter size",
		header + ".entry k() .maxclusterrank 2 { ret; }":           "unsupported directive",
		header + ".global .b32 a; .global .b32 a;":                 "defined twice",
		header + ".extern .global .b32 a;":                         "must be, without size",
		header + ".global .b8 a[99999999];":                        "too large",
		header + ".global .b8 a[2] = {1, 2, 3};":                   "too many values",
		header + ".global .b8 a = 300;":                            "does not fit",
		header + ".global .u64 a = b;":                             "unknown variable",
		header + ".global .tex t;":                                 "expected a type",
		header + ".section .debug { }":                             "unsupported directive",
		header + "/* open":                                         "comment without end",
		header + ".entry k() { .pragma \"x }":                      "string without end",
		header + "#":                                               "unexpected character",
		header + ".entry k() { .reg .b32 %r<70000>; ret; }":        "too many registers",
		strings.Replace(header, "64", "32", 1):                     "address_size",
	} {
		_, err := Parse("file.ptx", []byte(text))
		require.Error(t, err, text)
		require.Contains(t, err.Error(), want, text)
	}
}

// What compilers write around instructions.
func TestAcceptedForms(t *testing.T) {
	m := mustParse(t, `//
// Generated
.version 8.1
.target sm_90
.address_size 64
	.file	1 "a.cu"
.visible .entry k(
	.param .u64 .ptr .global .align 16 k_param_0,
	.param .align 4 .b8 k_param_1[12]
)
.maxntid 64
.pragma "nounroll";
{
	.loc 1 5 0
	.reg .b32 %r<3>;
	.reg .pred p, q;
	.pragma "nounroll";
$L__BB0_1: // =>
	mov.u32 	%r1, 1U;
	mov.u32 %r2, 0b101; mov.u32 %r2, 017; mov.u32 %r2, -0x10;
	{ .reg .pred p; setp.eq.s32 p, %r1, 1; @!p bra $L__BB0_1; }
	{ .reg .pred p; setp.eq.s32 p, %r1, 1; @!p bra $L__BB0_1; }
}
.weak .entry other() { ret; }
`)
	require.Len(t, m.Entries, 2)
	require.Equal(t, 16, m.Entries[0].Params[0].Align+8)
	require.Equal(t, [3]uint32{64, 1, 1}, m.Entries[0].MaxThreads)
	require.NotNil(t, m.Entry("other"))
	require.Nil(t, m.Entry("none"))
}

// The package's text names every opcode.
func TestCoverageIsDocumented(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, list, ok := strings.Cut(string(text), "# Coverage")
	require.True(t, ok)
	list, _, _ = strings.Cut(list, "Left out")
	words := strings.Fields(list)
	for op := range decoders {
		require.Contains(t, words, op)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		splitK, ring, kernel(exchange), header,
		kernel("$t: .branchtargets $a, $a;\n$a: brx.idx %r0, $t;"),
		header + ".const .align 4 .b8 t[8] = {1, 2}; .global .u64 p = generic(t)+4; .extern .shared .align 16 .b8 d[]; .entry k() { .reg .b32 %r<4>; mov.u32 %r1, d; }",
		kernel("mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32 {%r1, %r2, %r3, %r4}, {%r1, %r2, %r3, %r4}, {%r1, %r2}, {%r1, %r2, %r3, %r4};"),
		kernel("cp.async.ca.shared.global.L2::cache_hint [%r1+4], [%rd1], 8, %r2, %rd3; setp.lt.and.f32 %p1|%p2, %f1, 0f3F800000, !%p3; mov.b64 {%r1, _}, %rd2; ld.volatile.v4.f32 {%f1, %f2, _, %f3}, [%rd1+-8];"),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := Parse("fuzz", src)
		if err != nil {
			var pe *ParseError
			require.True(t, errors.As(err, &pe), "%v", err)
			require.NotEmpty(t, err.Error())
			return
		}
		// What parses runs, if only to its first fault: nothing panics.
		mach := NewMachine(Config{StepLimit: 200, Workers: 1})
		for _, e := range m.Entries {
			l := Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{40, 1, 1}, Shared: 64, Bytes: make([][]byte, len(e.Params))}
			for i, p := range e.Params {
				l.Bytes[i] = make([]byte, p.Size)
			}
			if r := e.ReqThreads; r[0] != 0 {
				l.Block = r
			}
			_ = mach.Launch(t.Context(), e, l)
		}
	})
}
