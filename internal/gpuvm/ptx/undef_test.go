package ptx

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever the undefined bits of the sources happen to be, they can change only
// bits of the result that count as undefined.
func TestUndefinedBitsAreSound(t *testing.T) {
	for _, text := range []string{
		"and.b32 %r9, %r10, %r11;", "or.b64 %rd9, %rd10, %rd11;", "xor.b16 %h9, %h10, %h11;", "not.b32 %r9, %r10;",
		"lop3.b32 %r9, %r10, %r11, %r12, 0xea;", "lop3.b32 %r9, %r10, %r11, %r12, 0x1b;", "lop3.b32 %r9, %r10, %r11, %r12, 0x96;", "lop3.b32 %r9, %r10, %r11, %r12, 0x80;",
		"shl.b32 %r9, %r10, %r11;", "shr.s32 %r9, %r10, %r11;", "shr.u64 %rd9, %rd10, %r11;", "shf.l.wrap.b32 %r9, %r10, %r11, %r12;", "shf.r.clamp.b32 %r9, %r10, %r11, %r12;",
		"prmt.b32 %r9, %r10, %r11, %r12;", "bfe.u32 %r9, %r10, %r11, %r12;", "bfe.s32 %r9, %r10, %r11, %r12;", "brev.b32 %r9, %r10;",
		"cvt.s64.s32 %rd9, %r10;", "cvt.u32.u8 %r9, %r10;", "cvt.s32.s8 %r9, %r10;", "cvt.u16.u32 %h9, %r10;",
		"add.rn.f16x2 %r9, %r10, %r11;", "abs.f16x2 %r9, %r10;", "cvt.rn.f16x2.f32 %r9, %f10, %f11;", "add.s32 %r9, %r10, %r11;", "mul.lo.s32 %r9, %r10, %r11;",
	} {
		e := mustParse(t, kernel(text)).Entry("k")
		in := &e.code[3] // behind the three of the frame
		require.Equal(t, text, in.text+";")
		apply := func(v [3]uint64) uint64 {
			switch {
			case in.f1 != nil:
				return in.f1(v[0])
			case in.f2 != nil:
				return in.f2(v[0], v[1])
			}
			return in.f3(v[0], v[1], v[2])
		}
		g := rng(len(text))
		masks := [3]uint64{e.regMasks[in.a], e.regMasks[in.b], e.regMasks[in.c]}
		for range 300 {
			var v, u [3]uint64
			for k := range v {
				v[k] = g.next() & masks[k]
				if g.below(3) == 0 {
					v[k] &= 63
				}
				if g.below(3) > 0 {
					u[k] = g.next() & (g.next() | 0xff) & masks[k]
				}
			}
			ub := mask(uint(in.width))
			if in.prop != nil {
				ub = in.prop(in, &v, &u)
			}
			want := apply(v) &^ ub
			for range 20 {
				x := v
				for k := range x {
					x[k] ^= g.next() & u[k]
				}
				require.Equal(t, want, apply(x)&^ub, "%s on %x with %x undefined gives other bits than %x", text, v, u, ub)
			}
		}
	}
}

// Copies carry undefined bits; each line ends in a store of %r2 that must fault,
// or must not.
func TestUndefinedBitsTravel(t *testing.T) {
	const half = "ld.global.u16 %h1, [%rd1]; mov.b32 %r1, {%h1, %h9};\n" // the upper half is undefined
	for body, ok := range map[string]bool{
		half + "mov.u32 %r2, %r1;":                                                                      false,
		half + "mov.u32 %r3, %r1; and.b32 %r2, %r3, 0xffff;":                                            true,
		half + "mov.b32 {%h2, %h3}, %r1; cvt.u32.u16 %r2, %h2;":                                         true,
		half + "mov.b32 {%h2, %h3}, %r1; cvt.u32.u16 %r2, %h3;":                                         false,
		half + "mov.b64 %rd4, {%r1, %r0}; shr.u64 %rd5, %rd4, 32; cvt.u32.u64 %r2, %rd5;":               true,
		half + "mov.b64 %rd4, {%r0, %r1}; shr.u64 %rd5, %rd4, 48; cvt.u32.u64 %r2, %rd5;":               false,
		half + "mov.b64 %rd4, {%r0, %r1}; bfe.u64 %rd5, %rd4, 32, 16; cvt.u32.u64 %r2, %rd5;":           true,
		half + "bfi.b32 %r2, 7, %r1, 16, 16;":                                                           true,
		half + "bfi.b32 %r2, 7, %r1, 15, 16;":                                                           false,
		half + "bfi.b32 %r2, 7, %r0, %r1, 16;":                                                          false,
		half + "prmt.b32 %r2, %r1, %r0, 0x5410;":                                                        true,
		half + "shfl.sync.idx.b32 %r3, %r1, 0, 31, 1; and.b32 %r2, %r3, 255;":                           true,
		half + "shfl.sync.idx.b32 %r3, %r1, 0, 31, 1; shr.u32 %r2, %r3, 31;":                            false,
		half + ".shared .b32 s; st.shared.u32 [s], %r1; ld.shared.u16 %r2, [s];":                        true,
		half + ".shared .b32 s; st.shared.u32 [s], %r1; ld.shared.u16 %r2, [s+2];":                      false,
		half + ".local .b64 s; st.local.u32 [s+4], %r1; ld.local.s16 %r2, [s+4];":                       true,
		half + ".local .b64 s; st.local.u32 [s+4], %r1; ld.local.u64 %rd4, [s]; cvt.u32.u64 %r2, %rd4;": false,
		half + "setp.eq.s32 %p1, %r0, 0; selp.b32 %r3, %r1, %r0, %p1; and.b32 %r2, %r3, 1;":             true,
		half + "setp.eq.s32 %p1, %r0, 0; selp.b32 %r3, %r1, %r0, %p1; mov.b32 %r2, %r3;":                false,
		half + "setp.eq.s32 %p1, %r1, 0; set.eq.and.u32.s32 %r2, %r0, 0, %p1;":                          false,
		half + "not.pred %p2, %p1; mov.pred %p3, %p2; selp.b32 %r2, 1, 2, %p3;":                         false,
		half + "slct.b32.s32 %r2, %r0, %r0, %r1;":                                                       false,
		half + "add.rn.f16x2 %r3, %r1, %r1; and.b32 %r2, %r3, 0xffff;":                                  true,
		half + "add.rn.f16x2 %r3, %r1, %r1; shr.u32 %r2, %r3, 16;":                                      false,
		"ld.global.u32 %r2, [%rd1]; setp.ne.s32 %p1, %r0, 0; @%p1 mov.u32 %r2, %r5;":                    true, // not executed
	} {
		_, err := launchBody(t, Config{}, body+"\nst.global.u32 [%rd0], %r2;", make([]byte, 16), 16, 1)
		if ok {
			require.NoError(t, err, body)
		} else {
			wantFault(t, err, Uninitialised)
		}
	}
}

// An undefined element of a matrix in shared memory arrives where it belongs.
func TestUndefinedMatrixElements(t *testing.T) {
	for _, c := range []struct {
		op string
		at int // lane that gets element 3 of row 2
	}{{"ldmatrix.sync.aligned.m8n8.x1.shared.b16", 9}, {"ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16", 13}} {
		body := `
	.shared .align 16 .b8 s[128];
	mov.u32 %r1, s; and.b32 %r2, %r0, 7; shl.b32 %r2, %r2, 4; add.s32 %r1, %r1, %r2;
	setp.lt.u32 %p1, %r0, 8; setp.ne.s32 %p2, %r0, 2; and.pred %p3, %p1, %p2; mov.b32 %r3, 0;
	@%p3 st.shared.v4.u32 [%r1], {%r3, %r3, %r3, %r3};
	not.pred %p2, %p2;
	@%p2 st.shared.u32 [%r1], %r3; @%p2 st.shared.u16 [%r1+4], %r3; @%p2 st.shared.u64 [%r1+8], 0;
	bar.warp.sync -1;
	` + c.op + ` {%r4}, [%r1];
	mul.wide.u32 %rd2, %r0, 4; add.s64 %rd3, %rd0, %rd2;
	st.global.u32 [%rd3], %r4;`
		_, err := launchBody(t, Config{}, body, nil, 128, 32)
		require.EqualValues(t, c.at, wantFault(t, err, Uninitialised).Thread[0], c.op)
	}
	// A's, B's and C's undefined elements spoil what they enter into.
	for reg, elements := range map[string]string{"%r10": "c0 c1", "%r11": "c2 c3", "%r14": "c0 c2", "%r16": "c0"} {
		for i, out := range []string{"c0", "c1", "c2", "c3"} {
			body := `
	setp.ne.s32 %p1, %r0, 0;
	mov.b32 %r1, 0;
	mov.b32 %r10, 0; mov.b32 %r11, 0; mov.b32 %r14, 0; mov.b32 %r16, 0;
	@!%p1 mov.b32 ` + reg + `, %r50;
	mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r40, %r41, %r42, %r43}, {%r10, %r11, %r1, %r1}, {%r14, %r1}, {%r16, %r1, %r1, %r1};
	@!%p1 st.global.u32 [%rd0], %r4` + string(rune('0'+i)) + ";"
			_, err := launchBody(t, Config{}, body, nil, 128, 32)
			if containsWord(elements, out) {
				wantFault(t, err, Uninitialised)
			} else {
				require.NoError(t, err, "%s %s", reg, out)
			}
		}
	}
}

func containsWord(list, word string) bool {
	for i := 0; i+2 <= len(list); i += 3 {
		if list[i:i+2] == word {
			return true
		}
	}
	return false
}
