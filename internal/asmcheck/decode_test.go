package asmcheck

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Bytes that LLVM's assembler writes.
var decoded = map[string][]struct{ code, text, needs string }{
	amd64: {
		{"c402015044e500", "VPDPBUSD (R13)(R12*8), X15, X8", "AVXVNNI"},
		{"c4e27551c2", "VPDPBUSDS Y2, Y1, Y0", "AVXVNNI"},
		{"c4e275524424fc", "VPDPWSSD -4(SP), Y1, Y0", "AVXVNNI"},
		{"c4e275538500020000", "VPDPWSSDS 512(BP), Y1, Y0", "AVXVNNI"},
		{"62927e4052c7", "VDPBF16PS Z31, Z16, Z0", "AVX512BF16"},
		{"62d27658525080", "VDPBF16PS.BCST -512(R8), Z1, Z2", "AVX512BF16"},
		{"62d276585290fcfdffff", "VDPBF16PS.BCST -516(R8), Z1, Z2", "AVX512BF16"},
		{"62f2762852540801", "VDPBF16PS 32(AX)(CX*1), Y1, Y2", "AVX512BF16 AVX512VL"},
		{"62624748727601", "VCVTNE2PS2BF16 64(SI), Z7, Z30", "AVX512BF16"},
		{"62b27e4872d9", "VCVTNEPS2BF16 Z17, Y3", "AVX512BF16"},
		{"62f27e08721f", "VCVTNEPS2BF16X (DI), X3", "AVX512BF16 AVX512VL"},
		{"c4e2784907", "LDTILECFG (DI)", "AMXTILE"},
		{"c4e27849c0", "TILERELEASE", "AMXTILE"},
		{"c4e27b49d8", "TILEZERO TMM3", "AMXTILE"},
		{"c4e27b4b2433", "TILELOADD (BX)(SI*1), TMM4", "AMXTILE"},
		{"c4e27b4bbc3d00040000", "TILELOADD 1024(BP)(DI*1), TMM7", "AMXTILE"},
		{"c4827b4b7c6540", "TILELOADD 64(R13)(R12*2), TMM7", "AMXTILE"},
		{"c4c2794b6c3500", "TILELOADDT1 (R13)(SI*1), TMM5", "AMXTILE"},
		{"c4e27a4b443d00", "TILESTORED TMM0, (BP)(DI*1)", "AMXTILE"},
		{"c4e27a4b943d00080000", "TILESTORED TMM2, 2048(BP)(DI*1)", "AMXTILE"},
		{"c4e24a5ec4", "TDPBSUD TMM6, TMM4, TMM0", "AMXINT8"},
		{"c4e2435edd", "TDPBSSD TMM7, TMM5, TMM3", "AMXINT8"},
		{"c4e24a5cc4", "TDPBF16PS TMM6, TMM4, TMM0", "AMXBF16"},
		{"62f27e38725f01", "VCVTNEPS2BF16Y.BCST 4(DI), X3", "AVX512BF16 AVX512VL"},
	},
	arm64: {
		{"c0e39f4f", "sdot v0.4s, v30.16b, v31.4b[0]", "ASIMDDP"},
		{"3194822e", "udot v17.2s, v1.8b, v2.8b", "ASIMDDP"},
		{"209c824e", "usdot v0.4s, v1.16b, v2.16b", "I8MM"},
		{"29f8300f", "sudot v9.2s, v1.8b, v16.4b[3]", "I8MM"},
		{"41a4834e", "smmla v1.4s, v2.16b, v3.16b", "I8MM"},
		{"41a4836e", "ummla v1.4s, v2.16b, v3.16b", "I8MM"},
		{"41ac834e", "usmmla v1.4s, v2.16b, v3.16b", "I8MM"},
		{"41fc436e", "bfdot v1.4s, v2.8h, v3.8h", "BF16"},
		{"41f8430f", "bfdot v1.2s, v2.4h, v3.2h[2]", "BF16"},
		{"41ec436e", "bfmmla v1.4s, v2.8h, v3.8h", "BF16"},
		{"41fcc32e", "bfmlalb v1.4s, v2.8h, v3.8h", "BF16"},
		{"41fcc36e", "bfmlalt v1.4s, v2.8h, v3.8h", "BF16"},
		{"4168a10e", "bfcvtn v1.4h, v2.4s", "BF16"},
		{"4168a14e", "bfcvtn2 v1.8h, v2.4s", "BF16"},
		{"41d0a34f", "sqrdmulh v1.4s, v2.4s, v3.s[1]", ""},
		{"4118a34f", "fmla v1.4s, v2.4s, v3.s[3]", ""},
		{"4180234e", "smlal2 v1.8h, v2.16b, v3.16b", ""},
		{"4168606e", "uadalp v1.4s, v2.8h", ""},
		{"4178214e", "fcvtl2 v1.4s, v2.8h", ""},
	},
}

func TestDecode(t *testing.T) {
	for arch, list := range decoded {
		for _, d := range list {
			code, err := hex.DecodeString(d.code)
			require.NoError(t, err)
			in := instr{data: code, comment: d.text}
			u, err := decode(arch, &in)
			require.NoError(t, err, d.text)
			require.Equal(t, strings.Fields(d.needs), append([]string{}, u.needs...), d.text)
		}
	}
}

// No other bytes decode to the same instruction: every bit counts, or is refused.
func TestEveryBitCounts(t *testing.T) {
	for arch, list := range decoded {
		for _, d := range list {
			code, err := hex.DecodeString(d.code)
			require.NoError(t, err)
			for bit := range 8 * len(code) {
				code[bit/8] ^= 1 << (bit % 8)
				in := instr{data: code, comment: d.text}
				_, err := decode(arch, &in)
				require.Error(t, err, "%s with bit %d changed", d.text, bit)
				code[bit/8] ^= 1 << (bit % 8)
			}
			for n := range code {
				in := instr{data: code[:n], comment: d.text}
				_, err := decode(arch, &in)
				require.Error(t, err, "%s cut to %d bytes", d.text, n)
			}
		}
	}
}

// Encodings that mean the same as another, or nothing.
func TestDecodeIsStrict(t *testing.T) {
	for code, why := range map[string]string{
		"c5f550c2":             "prefix",            // two-byte VEX
		"c4e2f550c2":           "W 1",               // W
		"c4e17550c2":           "map 1",             // map
		"c4e27750c2":           "not one of those",  // AVX-VNNI-INT8
		"c4e27558c2":           "not one of those",  // another opcode
		"c4a27550c2":           "bit for an index",  // X without an index
		"c4a2755002":           "bit for an index",  // and with memory
		"c4e275500500000000":   "base register",     // relative to the next instruction
		"c4e275500422":         "SIB byte",          // SIB that says (DX)
		"c4e275500462":         "scale without",     // and with a scale
		"c4e2755004250000":     "SIB byte",          // absolute
		"c4e27550042d0000":     "base register",     // BP as index only
		"c4e2755004":           "too soon",          // SIB missing
		"c4e275504200":         "displacement of 0", // (DX) written as 0(DX)
		"c4e275508240000000":   "long displacement", // 64(DX) in four bytes
		"62fa764852c7":         "reserved",          // bit 3 of the map
		"62f2724852c7":         "reserved",          // bit 2 beside pp
		"62f2764952c7":         "mask",              // k1
		"62f276c852c7":         "mask",              // zeroing
		"62f2766852c7":         "vector length",     // L'L = 3
		"62f2765852c7":         "broadcast bit",     // broadcast of a register
		"62f2764872c5":         "unused register",   // vvvv of one source
		"62f27648525200":       "displacement of 0", // EVEX
		"62f27648529200010000": "long displacement", // 256 is 4·64
	} {
		b, err := hex.DecodeString(code)
		require.NoError(t, err)
		_, _, err = x86Decode(b)
		require.ErrorContains(t, err, why, code)
	}
}

// Decoders take whatever bytes there are.
func TestDecodeAnything(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		code := []byte{[]byte{0xc4, 0x62, 0}[rng.IntN(3)], byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())}
		code = code[:rng.IntN(len(code)+1)]
		for _, arch := range []string{amd64, arm64} {
			in := instr{data: code, comment: "x"}
			_, err := decode(arch, &in)
			require.Error(t, err, fmt.Sprint(code))
		}
	}
}
