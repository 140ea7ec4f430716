package ptx

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// raceCase is a kernel of blocks·threads with in (zeroed, 64 bytes) and out
// (fresh, 4 bytes a thread) and whether it races.
type raceCase struct {
	name            string
	blocks, threads uint32
	body            string
	kinds           []Kind // none: clean
}

func runRaces(t *testing.T, cases []raceCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			seeds(t, func(t *testing.T, cfg Config) {
				cfg.StepLimit = 1 << 16
				b := newBench(t, cfg, make([]byte, 64), int(4*c.blocks*c.threads))
				err := b.launch(mustParse(t, kernel(c.body)).Entry("k"), c.blocks, c.threads, 0)
				if c.kinds == nil {
					require.NoError(t, err)
					return
				}
				f, ok := err.(*Fault)
				require.True(t, ok, "want a fault, got %v", err)
				require.Contains(t, c.kinds, f.Kind, "%v", err)
				if f.Kind == Race {
					require.NotNil(t, f.Other)
					require.NotEqual(t, [2][3]uint32{f.Block, f.Thread}, [2][3]uint32{f.Other.Block, f.Other.Thread})
					require.Contains(t, f.Error(), "before at line")
				}
			})
		})
	}
}

const (
	// own is the address of the thread's own word of out in %rd3.
	own = "mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mad.lo.s32 %r3, %r1, %r2, %r0; mul.wide.u32 %rd2, %r3, 4; add.s64 %rd3, %rd0, %rd2;\n"
	// leader sets %p1 in thread 0 of the block.
	leader = "mov.u32 %r1, %ctaid.x; setp.eq.s32 %p1, %r0, 0;\n"
)

func TestPlainRaces(t *testing.T) {
	race := []Kind{Race}
	runRaces(t, []raceCase{
		{"own words", 3, 70, own + "st.global.u32 [%rd3], %r0;", nil},
		{"halves of a word", 1, 64, "mul.wide.u32 %rd2, %r0, 2; add.s64 %rd3, %rd0, %rd2; cvt.u16.u32 %h1, %r0; st.global.u16 [%rd3], %h1;", nil},
		{"bytes of a word, read back", 1, 64, "cvt.u64.u32 %rd2, %r0; add.s64 %rd3, %rd0, %rd2; st.global.u8 [%rd3], %r0; ld.global.u8 %r1, [%rd3]; st.global.u8 [%rd3], %r1;", nil},
		{"overlapping halves", 1, 64, "cvt.u64.u32 %rd2, %r0; and.b64 %rd2, %rd2, -2; add.s64 %rd3, %rd0, %rd2; cvt.u16.u32 %h1, %r0; st.global.u16 [%rd3], %h1;", race},
		{"all write one word", 1, 32, "st.global.u32 [%rd0], %r0;", race},
		{"all write one value", 1, 32, "st.global.u32 [%rd0], 7;", nil},
		{"warps write one value", 1, 64, "st.global.u32 [%rd0], 7;", race},
		{"blocks write one word", 2, 1, "mov.u32 %r1, %ctaid.x; st.global.u32 [%rd0], %r1;", race},
		{"all read", 3, 64, own + "ld.global.u32 %r4, [%rd1]; st.global.u32 [%rd3], %r4;", nil},
		{"one writes what others read", 1, 64, leader + "@%p1 st.global.u32 [%rd1], 1; ld.global.u32 %r4, [%rd1];", race},
		{"one writes what others of its warp read", 1, 32, leader + "@%p1 st.global.u32 [%rd1], 1; ld.global.u32 %r4, [%rd1];", race},
		{"written before a barrier", 1, 64, leader + "@%p1 st.global.u32 [%rd1], 1; bar.sync 0; ld.global.u32 %r4, [%rd1];", nil},
		{"read before a barrier", 1, 64, leader + "ld.global.u32 %r4, [%rd1]; bar.sync 0; @%p1 st.global.u32 [%rd1], 1;", nil},
		{"a barrier orders one block alone", 2, 64, leader + "ld.global.u32 %r4, [%rd1]; bar.sync 0; setp.eq.and.s32 %p2, %r1, 0, %p1; @%p2 st.global.u32 [%rd1], 1;", race},
		{"a barrier of the warp orders one warp alone", 1, 64, leader + "@%p1 st.global.u32 [%rd1], 1; bar.warp.sync -1; ld.global.u32 %r4, [%rd1];", race},
		{"mma, shfl and votes order nothing", 1, 32, leader + "@%p1 st.global.u32 [%rd1], 1; shfl.sync.idx.b32 %r5, %r0, 0, 31, -1; vote.sync.ballot.b32 %r6, %p1, -1; ld.global.u32 %r4, [%rd1];", race},
		{"read of constant memory and nc", 2, 64, own + "ld.global.nc.u32 %r4, [%rd1]; st.global.u32 [%rd3], %r4;", nil},
		{"nc of what the thread wrote itself", 1, 1, own + "st.global.u32 [%rd3], 1; ld.global.nc.u32 %r4, [%rd3];", []Kind{ReadOnly}},
		{"nc, then a write behind a barrier", 1, 64, leader + "ld.global.nc.u32 %r4, [%rd1]; bar.sync 0; @%p1 st.global.u32 [%rd1], 1;", []Kind{ReadOnly}},
		{"generic addresses are the same memory", 1, 64, leader + "cvta.global.u64 %rd4, %rd1; @%p1 st.u32 [%rd4], 1; ld.global.u32 %r4, [%rd1];", race},
		{"atomics of one size", 3, 64, "atom.global.add.u64 %rd4, [%rd1], 1;", nil},
		{"atomics of two sizes", 1, 64, "setp.lt.u32 %p1, %r0, 32; @%p1 atom.global.add.u64 %rd4, [%rd1], 1; @!%p1 atom.global.add.u32 %r4, [%rd1], 1;", race},
		{"atomics of a block beside another's", 2, 1, "atom.cta.global.add.u32 %r4, [%rd1], 1;", race},
		{"an atomic beside a load", 1, 64, leader + "@%p1 atom.global.add.u32 %r4, [%rd1], 1; @!%p1 ld.global.u32 %r5, [%rd1];", race},
		{"an atomic beside a strong load", 1, 64, leader + "@%p1 atom.global.add.u32 %r4, [%rd1], 1; @!%p1 ld.relaxed.cta.global.u32 %r5, [%rd1];", nil},
		{"shared memory of blocks is apart", 4, 1, ".shared .b32 s; mov.u32 %r1, %ctaid.x; st.shared.u32 [s], %r1; ld.shared.u32 %r2, [s];", nil},
		{"a warp that has exited", 1, 64, ".shared .b32 s; setp.ge.u32 %p1, %r0, 32; @%p1 st.shared.u32 [s], 7; @%p1 exit; bar.sync 0; ld.shared.u32 %r2, [s];", race},
		{"early exit is no other's matter", 1, 96, ".shared .b32 s; setp.ge.u32 %p1, %r0, 64; @%p1 exit; setp.eq.s32 %p2, %r0, 33; @%p2 st.shared.u32 [s], 7; bar.sync 0; ld.shared.u32 %r2, [s];", nil},
	})
}

// Message passing between two blocks: block 0 writes data and raises a flag,
// block 1 waits and reads. %p2 is true in the writer. The loop gives up after
// some turns: blocks may run one after the other.
func passing(write, raise, look, after string) string {
	return `
	mov.u32 %r1, %ctaid.x; setp.eq.s32 %p2, %r1, 0; mov.u32 %r9, 0;
	@!%p2 bra $reader;
	` + write + raise + `
	bra.uni $end;
$reader:
	` + look + `
	add.s32 %r9, %r9, 1;
	setp.eq.s32 %p3, %r5, 1;
	@%p3 bra $got;
	setp.lt.u32 %p4, %r9, 3000;
	@%p4 bra $reader;
	bra.uni $end;
$got:
	` + after + `
$end:
`
}

func TestMessagePassing(t *testing.T) {
	const data, read = "st.global.u32 [%rd1], 42;", "ld.global.u32 %r6, [%rd1];"
	clean := [][3]string{
		{"st.release.gpu.global.u32 [%rd1+16], 1;", "ld.acquire.gpu.global.u32 %r5, [%rd1+16];", read},
		{"fence.acq_rel.gpu; st.relaxed.gpu.global.u32 [%rd1+16], 1;", "ld.relaxed.gpu.global.u32 %r5, [%rd1+16];", "fence.acq_rel.gpu;" + read},
		{"membar.gl; st.volatile.global.u32 [%rd1+16], 1;", "ld.volatile.global.u32 %r5, [%rd1+16];", "membar.gl;" + read},
		{"membar.gl; red.global.add.u32 [%rd1+16], 1;", "atom.acquire.sys.global.or.b32 %r5, [%rd1+16], 0;", read},
		{"fence.sc.gpu; atom.global.exch.b32 %r7, [%rd1+16], 1;", "ld.acquire.gpu.global.u32 %r5, [%rd1+16];", read},
		{"st.release.gpu.global.u32 [%rd1+16], 1;", "ld.acquire.gpu.global.u32 %r5, [%rd1+16];", read + "st.global.u32 [%rd1], 5; st.global.u32 [%rd1+16], 0;"},
		// The reader may take the flag back by a plain store: it has seen the write.
		{"fence.acq_rel.gpu; st.relaxed.gpu.global.u32 [%rd1+16], 1;", "ld.relaxed.gpu.global.u32 %r5, [%rd1+16];", "st.global.u32 [%rd1+16], 0;"},
	}
	for _, c := range clean {
		runRaces(t, []raceCase{{c[0] + c[1], 2, 1, passing(data, c[0], c[1], c[2]), nil}})
	}
	// A reader that is first sees no flag, so the flag is read before the data is
	// missed: what is wrong shows where the message arrives. Both orders of the
	// blocks occur among the seeds; some fault is wanted from one of them.
	broken := [][3]string{
		{"st.relaxed.gpu.global.u32 [%rd1+16], 1;", "ld.acquire.gpu.global.u32 %r5, [%rd1+16];", read},
		{"st.release.gpu.global.u32 [%rd1+16], 1;", "ld.relaxed.gpu.global.u32 %r5, [%rd1+16];", read},
		{"st.release.cta.global.u32 [%rd1+16], 1;", "ld.acquire.gpu.global.u32 %r5, [%rd1+16];", read},
		{"st.release.gpu.global.u32 [%rd1+16], 1;", "ld.acquire.cta.global.u32 %r5, [%rd1+16];", read},
		{"st.global.u32 [%rd1+16], 1;", "ld.acquire.gpu.global.u32 %r5, [%rd1+16];", read},
		{"st.release.gpu.global.u32 [%rd1+16], 1;", "ld.global.u32 %r5, [%rd1+16];", read},
		{"st.relaxed.gpu.global.u32 [%rd1+16], 1; fence.acq_rel.gpu;", "ld.acquire.gpu.global.u32 %r5, [%rd1+16];", read},
		{"fence.acq_rel.cta; st.relaxed.gpu.global.u32 [%rd1+16], 1;", "ld.acquire.gpu.global.u32 %r5, [%rd1+16];", read},
		{"fence.acq_rel.gpu; st.relaxed.gpu.global.u32 [%rd1+16], 1;", "ld.relaxed.gpu.global.u32 %r5, [%rd1+16];", "fence.acq_rel.cta;" + read},
		{"fence.acq_rel.gpu; st.global.u32 [%rd1], 43; st.relaxed.gpu.global.u32 [%rd1+16], 1;", "ld.acquire.gpu.global.u32 %r5, [%rd1+16];", read},
		{"st.release.gpu.global.u32 [%rd1+20], 1; st.relaxed.gpu.global.u32 [%rd1+16], 1;", "ld.acquire.gpu.global.u32 %r5, [%rd1+16];", read},
	}
	for _, c := range broken {
		t.Run(c[0]+c[1], func(t *testing.T) {
			faults := 0
			for seed := range uint64(12) {
				b := newBench(t, Config{Seed: seed, Workers: 1}, make([]byte, 64), 64)
				err := b.launch(mustParse(t, kernel(passing(data, c[0], c[1], c[2]))).Entry("k"), 2, 1, 0)
				if err != nil {
					require.Equal(t, Race, err.(*Fault).Kind, "%v", err)
					faults++
				}
			}
			require.Positive(t, faults)
		})
	}
}

// Knowledge passes on: thread to block by a barrier, block to block by flags.
func TestTransitivity(t *testing.T) {
	hop := passing("", `
	st.global.u32 [%rd1], 42;
	st.release.gpu.global.u32 [%rd1+16], 1;`, "ld.acquire.gpu.global.u32 %r5, [%rd1+16];", `
	bar.warp.sync -1;
	ld.global.u32 %r6, [%rd1];`)
	one := strings.Replace(hop, "$reader:", "$reader:\n", 1)
	runRaces(t, []raceCase{{"by the warp's barrier", 2, 1, one, nil}})
	// Only lane 0 looks at the flag; the barrier tells the others.
	body := leader + `
	setp.eq.s32 %p2, %r1, 0;
	@!%p2 bra $reader;
	@!%p1 bra $end;
	st.global.u32 [%rd1], 42;
	st.release.gpu.global.u32 [%rd1+16], 1;
	bra.uni $end;
$reader:
	mov.u32 %r5, 0;
	@%p1 ld.acquire.gpu.global.u32 %r5, [%rd1+16];
	.shared .b32 s;
	@%p1 st.shared.u32 [s], %r5;
	bar.sync 0; // X
	ld.shared.u32 %r5, [s];
	setp.eq.s32 %p3, %r5, 1;
	@%p3 ld.global.u32 %r6, [%rd1];
$end:
`
	runRaces(t, []raceCase{{"by the block's barrier", 2, 64, body, nil}})
	for _, cut := range marked(body) {
		runRaces(t, []raceCase{{"without it", 2, 64, cut, []Kind{Race, Uninitialised}}})
	}
	warp := strings.Replace(body, "bar.sync 0;", "bar.warp.sync -1;", 1)
	runRaces(t, []raceCase{
		{"by the warp's barrier for one warp", 2, 32, warp, nil},
		{"by the warp's barrier for two", 2, 64, warp, []Kind{Race, Uninitialised}},
	})
}

// More readers than are kept one by one, then a write that knows them or not.
func TestManyReaders(t *testing.T) {
	count := func(fence string) string {
		return leader + `
	ld.global.u32 %r4, [%rd1];
	bar.sync 0;
	@!%p1 bra $end;
	` + fence + `
	atom.global.add.u32 %r5, [%rd1+16], 1;
	` + fence + `
	mov.u32 %r6, %nctaid.x; add.s32 %r6, %r6, -1;
	setp.eq.s32 %p2, %r5, %r6;
	@%p2 st.global.u32 [%rd1], 1;
$end:
`
	}
	runRaces(t, []raceCase{
		{"ordered", 100, 64, count("fence.acq_rel.gpu;"), nil},
		{"not", 100, 64, count(""), []Kind{Race}},
	})
}
