package bf16emu

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var general = [...]string{"AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15"}

// String is s as the Go assembler would write it.
func (s site) String() string {
	if s.x >= 0 {
		return fmt.Sprintf("VDPBF16PS Z%d, Z%d, Z%d", s.x, s.w, s.sum)
	}
	name, unit := "VDPBF16PS", 64
	if s.bcst {
		name, unit = "VDPBF16PS.BCST", 4
	}
	b, x := int(^s.xb>>5&1)<<3, int(^s.xb>>6&1)<<3
	base, index, rest := b|int(s.rm[0]&7), "", s.rm[1:]
	if s.rm[0]&7 == 4 {
		base = b | int(rest[0]&7)
		if i := x | int(rest[0]>>3&7); general[i] != "SP" { // which says that there is none
			index = fmt.Sprintf("(%s*%d)", general[i], 1<<(rest[0]>>6))
		}
		rest = rest[1:]
	}
	disp := ""
	switch {
	case len(rest) == 1 && rest[0] != 0:
		disp = strconv.Itoa(int(int8(rest[0])) * unit)
	case len(rest) == 4:
		disp = strconv.Itoa(int(int32(uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16 | uint32(rest[3])<<24)))
	}
	return fmt.Sprintf("%s %s(%s)%s, Z%d, Z%d", name, disp, general[base], index, s.w, s.sum)
}

// Every VDPBF16PS of the kernels is understood, and no byte of it is left.
func TestDecode(t *testing.T) {
	files, err := filepath.Glob("../../backend/cpu/internal/asm/*dpbf16_amd64.s")
	require.NoError(t, err)
	written := regexp.MustCompile(`(?m)^\t// (VDPBF16PS.*)\n((?:\tBYTE +\$0x[0-9a-f]+\n)+)`)
	forms := map[string]int{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range written.FindAllStringSubmatch(string(text), -1) {
			var code []byte
			for _, b := range strings.Fields(strings.ReplaceAll(m[2], "BYTE", "")) {
				v, err := strconv.ParseUint(strings.TrimPrefix(b, "$0x"), 16, 8)
				require.NoError(t, err)
				code = append(code, byte(v))
			}
			s, found, err := decode(append(code, 0x62, 0xff, 0x24))
			require.NoError(t, err, m[1])
			require.True(t, found, m[1])
			require.Equal(t, m[1], s.String())
			require.Len(t, code, s.size)
			forms[strings.Fields(m[1])[0]]++
		}
	}
	require.Greater(t, forms["VDPBF16PS"], 100)
	require.Greater(t, forms["VDPBF16PS.BCST"], 100)
}

func TestDecodeRefuses(t *testing.T) {
	for name, code := range map[string][]byte{
		"a mask":          {0x62, 0xf2, 0x76, 0x49, 0x52, 0xc2},
		"Y registers":     {0x62, 0xf2, 0x76, 0x28, 0x52, 0xc2},
		"rounding":        {0x62, 0xf2, 0x76, 0x58, 0x52, 0xc2},
		"RIP":             {0x62, 0xf2, 0x76, 0x48, 0x52, 0x05, 0, 0, 0, 0},
		"the stack":       {0x62, 0xf2, 0x76, 0x58, 0x52, 0x44, 0x24, 0x01},
		"sum as a weight": {0x62, 0xf2, 0x7e, 0x48, 0x52, 0xc2},
		"cut off":         {0x62, 0xf2, 0x76, 0x58, 0x52, 0x83, 0x01},
	} {
		_, found, err := decode(code)
		require.True(t, found, name)
		require.ErrorIs(t, err, errForm, name)
	}
	for name, code := range map[string][]byte{
		"VPDPWSSD": {0x62, 0xf2, 0x75, 0x48, 0x52, 0xc2},
		"nothing":  {0x62},
	} {
		_, found, err := decode(code)
		require.False(t, found, name)
		require.NoError(t, err, name)
	}
}

// The bytes are those that GNU objdump prints for the instructions beside them.
func TestEmulate(t *testing.T) {
	for of, want := range map[string]string{
		// vdpbf16ps 0x8(%rbx,%r10,4){1to16},%zmm2,%zmm27
		"62226e58525c9302": `
		488da42400ffffff lea -0x100(%rsp),%rsp
		0fae9c24c0000000 stmxcsr 0xc0(%rsp)
		62f17c4811442400 vmovups %zmm0,0x0(%rsp)
		62f17c48114c2401 vmovups %zmm1,0x40(%rsp)
		62f17c48115c2402 vmovups %zmm3,0x80(%rsp)
		0fae15d1f7ffff ldmxcsr -0x82f(%rip)
		62b27d48585c9302 vpbroadcastd 0x8(%rbx,%r10,4),%zmm3
		62f17d4872d310 vpsrld $0x10,%zmm3,%zmm0
		62f17d4872f010 vpslld $0x10,%zmm0,%zmm0
		62f1754872d210 vpsrld $0x10,%zmm2,%zmm1
		62f1754872f110 vpslld $0x10,%zmm1,%zmm1
		62627548b8d8 vfmadd231ps %zmm0,%zmm1,%zmm27
		62f17d4872f310 vpslld $0x10,%zmm3,%zmm0
		62f1754872f210 vpslld $0x10,%zmm2,%zmm1
		62627548b8d8 vfmadd231ps %zmm0,%zmm1,%zmm27
		62f17c4810442400 vmovups 0x0(%rsp),%zmm0
		62f17c48104c2401 vmovups 0x40(%rsp),%zmm1
		62f17c48105c2402 vmovups 0x80(%rsp),%zmm3
		0fae9424c0000000 ldmxcsr 0xc0(%rsp)
		488da42400010000 lea 0x100(%rsp),%rsp
		c3 ret
`,
		// vdpbf16ps %zmm16,%zmm22,%zmm1
		"62b24e4052c8": `
		488da42400ffffff lea -0x100(%rsp),%rsp
		0fae9c24c0000000 stmxcsr 0xc0(%rsp)
		62f17c4811442400 vmovups %zmm0,0x0(%rsp)
		62f17c4811542401 vmovups %zmm2,0x40(%rsp)
		62f17c48115c2402 vmovups %zmm3,0x80(%rsp)
		0fae15d1f7ffff ldmxcsr -0x82f(%rip)
		62b17c4828d8 vmovaps %zmm16,%zmm3
		62f17d4872d310 vpsrld $0x10,%zmm3,%zmm0
		62f17d4872f010 vpslld $0x10,%zmm0,%zmm0
		62b16d4872d610 vpsrld $0x10,%zmm22,%zmm2
		62f16d4872f210 vpslld $0x10,%zmm2,%zmm2
		62f26d48b8c8 vfmadd231ps %zmm0,%zmm2,%zmm1
		62f17d4872f310 vpslld $0x10,%zmm3,%zmm0
		62b16d4872f610 vpslld $0x10,%zmm22,%zmm2
		62f26d48b8c8 vfmadd231ps %zmm0,%zmm2,%zmm1
		62f17c4810442400 vmovups 0x0(%rsp),%zmm0
		62f17c4810542401 vmovups 0x40(%rsp),%zmm2
		62f17c48105c2402 vmovups 0x80(%rsp),%zmm3
		0fae9424c0000000 ldmxcsr 0xc0(%rsp)
		488da42400010000 lea 0x100(%rsp),%rsp
		c3 ret
`,
	} {
		code, err := hex.DecodeString(of)
		require.NoError(t, err)
		s, found, err := decode(code)
		require.NoError(t, err)
		require.True(t, found)
		a := assembler{at: 0x1000}
		a.emulate(s, 0x800)
		wanted := ""
		for _, line := range strings.Split(strings.TrimSpace(want), "\n") {
			wanted += strings.Fields(line)[0]
		}
		require.Equal(t, wanted, hex.EncodeToString(a.code))
	}
}
