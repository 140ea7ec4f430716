package asmcheck

import (
	"fmt"
	"strings"
)

// armGo has the mnemonics of the Go assembler that every arm64 has.
var armGo = names(`
	ADD ADDS ADDW ADDSW SUB SUBS SUBW SUBSW AND ANDS ANDW ANDSW ORR ORRW EOR EORW BIC BICW MVN MVNW NEG NEGW
	MUL MULW MADD MSUB MNEG SMULL UMULL SMULH UMULH SDIV UDIV SDIVW UDIVW
	LSL LSLW LSR LSRW ASR ASRW ROR RORW UBFX UBFXW SBFX SBFXW UBFIZ SBFIZ BFI BFXIL CLZ CLZW RBIT REV REVW EXTR
	CMP CMPW CMN CMNW TST TSTW CCMP CSEL CSELW CSET CSETW CSETM CSINC CINC CNEG
	MOVD MOVW MOVWU MOVH MOVHU MOVB MOVBU MOVK MOVZ MOVN LDP LDPW STP STPW SXTB SXTH SXTW UXTB UXTH UXTW ADR
	B BEQ BNE BCC BCS BHS BLO BHI BLS BGE BGT BLE BLT BMI BPL BVC BVS CBZ CBZW CBNZ CBNZW TBZ TBNZ RET
	YIELD NOOP PRFM PCALIGN DMB
	FMOVS FMOVD FMOVQ FLDPS FLDPD FLDPQ FSTPS FSTPD FSTPQ FADDS FADDD FSUBS FSUBD FMULS FMULD FDIVS FDIVD
	FMADDS FMADDD FMSUBS FMSUBD FNMADDS FNMADDD FNMSUBS FNMSUBD FNEGS FNEGD FABSS FABSD FSQRTS FSQRTD
	FMAXS FMAXD FMINS FMIND FMAXNMS FMINNMS FCMPS FCMPD FCSELS FCSELD FRINTNS FRINTND FCVTSD FCVTDS FCVTHS FCVTSH
	SCVTFS SCVTFD SCVTFWS SCVTFWD UCVTFS UCVTFD UCVTFWS UCVTFWD FCVTZSS FCVTZSSW FCVTZSD FCVTZSDW FCVTZUS FCVTZUSW
	VADD VADDP VADDV VAND VBIF VBIT VBSL VCMEQ VCMTST VCNT VDUP VEOR VEXT VFMLA VFMLS
	VLD1 VLD1R VLD2 VLD2R VLD3 VLD3R VLD4 VLD4R VST1 VST2 VST3 VST4 VMOV VMOVD VMOVI VMOVQ VMOVS VORR
	VRBIT VREV16 VREV32 VREV64 VSHL VSLI VSRI VSUB VTBL VTBX VTRN1 VTRN2 VUADDLV VUADDW VUADDW2 VUMAX VUMIN
	VUSHLL VUSHLL2 VUSHR VUSRA VUXTL VUXTL2 VUZP1 VUZP2 VZIP1 VZIP2
`)

// armManual has the vector mnemonics of Arm's manual that every arm64 has.
var armManual = names(`
	add addp addv sub mul mla mls neg abs smull smull2 umull umull2 smlal smlal2 umlal umlal2 smlsl smlsl2 umlsl umlsl2
	saddl saddl2 uaddl uaddl2 ssubl ssubl2 usubl usubl2 saddw saddw2 uaddw uaddw2 ssubw ssubw2
	saddlp uaddlp sadalp uadalp saddlv uaddlv sabd uabd saba uaba sabal uabal sqadd uqadd sqsub uqsub shadd uhadd
	sshl ushl sshr ushr srshr urshr ssra usra srsra ursra shl sli sri sshll sshll2 ushll ushll2 shll shll2
	sxtl sxtl2 uxtl uxtl2 xtn xtn2 sqxtn sqxtn2 uqxtn uqxtn2 sqxtun sqxtun2 shrn shrn2 rshrn rshrn2 sqshrn sqshrn2 sqrshrn sqrshrn2
	sqrshrun sqrshrun2 uqshrn uqshrn2 uqrshrn uqrshrn2
	smax smin umax umin smaxp sminp umaxp uminp smaxv sminv umaxv uminv cmeq cmge cmgt cmle cmlt cmhi cmhs cmtst
	sqdmulh sqrdmulh sqdmull sqdmull2
	scvtf ucvtf fcvtzs fcvtzu fcvtns fcvtnu fcvtas fcvtl fcvtl2 fcvtn fcvtn2
	fadd fsub fmul fdiv fsqrt fmla fmls fmulx fmax fmin fmaxnm fminnm fmaxp fminp fmaxnmp faddp fmaxv fminv fmaxnmv fminnmv
	fneg fabs fabd frinta frintn frintm frintp frintz frintx frinti fcmeq fcmge fcmgt fcmle fcmlt facge facgt
	and orr eor bic orn mvn not bsl bit bif cls clz cnt rev64 rev32 rev16 rbit
	dup ins mov movi mvni fmov tbl tbx zip1 zip2 uzp1 uzp2 trn1 trn2 ext smov umov
	ld1 ld1r ld2 ld2r ld3 ld4 st1 st2 st3 st4
`)

func names(list string) map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields(list) {
		if m[n] {
			panic(fmt.Sprintf("asmcheck: %s is in the table twice", n))
		}
		m[n] = true
	}
	return m
}

// armUse returns what an instruction of the Go assembler for arm64 needs.
func armUse(op string) (use, error) {
	base, _, _ := strings.Cut(op, ".") // .P and .W are addressing modes
	if !armGo[base] {
		return use{}, fmt.Errorf("%w %s", errUnknown, base)
	}
	return use{ret: base == "RET"}, nil
}

// armManualUse returns what a decoded instruction needs. The decoder of x/arch
// knows no arithmetic on float16, so that the arrangement never matters.
func armManualUse(in instr) (use, error) {
	if !armManual[in.op] {
		return use{}, fmt.Errorf("%w %s", errUnknown, in.op)
	}
	return use{}, nil
}
