// Package asmcheck proves properties of the module's assembly from its source:
// on any machine, without running or building it. go test ./internal/asmcheck
// checks the whole module; no other package imports this one.
//
// The rules, by the name that a Problem carries:
//
//	package     a .s file lies in a package listed in Packages
//	layout      the file says "Code generated" and holds one family of functions;
//	            its head, or the comment before each TEXT, has a line that begins
//	            with "Maths" and one that begins with "Registers"; every TEXT has
//	            a comment right before it
//	syntax      no macros, no block comments, no jumps to other functions, nothing
//	            else that these checks cannot follow
//	encoding    bytes written by hand decode to the instruction in their comment
//	tier        no instruction needs more than the tier in the function's name allows;
//	            an instruction that the tables do not know is a problem
//	form        no AVX-512 register, mask, broadcast or form below an AVX-512 tier;
//	            no legacy SSE instruction in a function that uses AVX
//	vzeroupper  VZEROUPPER stands right before every RET of a function that
//	            touches a Y or Z register
//	twin        a kernel of tier AVXVNNI equals its twin of tier VNNI256 but for encodings
//	guard       Go code reaches an assembly function only behind a test of the
//	            features that its instructions need
//
// Frames and argument offsets are the business of go vet.
//
// # Names
//
// A function is named Family + Tier + rows: DotW4AVX2x4 is the family DotW4 for
// the tier AVX2 with four rows. A family in one file may differ in a type of
// elements at its end (FinishF16, FinishBF16). The tiers are in tiers.go. A name without a tier
// promises to run on every processor of its architecture: SSE2 or NEON.
//
// # Bytes written by hand
//
// What the assembler cannot spell is written as data, in one of two ways. The
// comment is the whole instruction and nothing else:
//
//	// VPDPBUSD Y2, Y1, Y0
//	BYTE $0xc4
//	BYTE $0xe2
//	...
//	WORD $0x4f9fe3c0 // sdot v0.4s, v30.16b, v31.4b[0]
//
// On amd64 it is in Go syntax, as the neighbours are; a VEX encoding has the
// name that the assembler gives to the EVEX one. On arm64 it is in the syntax of
// Arm's manual, as objdump prints it.
//
// # Guards
//
// Functions that need more than every processor has are mentioned in three
// places only. The usual one is a table, a package-level variable whose elements
// have a field Needs (or needs) beside the functions:
//
//	var tiers = []Tier{
//		{Name: "avx2", Needs: []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C}, DotW4: asm.DotW4AVX2x4},
//	}
//
// Needs is a literal, or a package-level variable that is one, and must cover
// what the instructions of each function in the element need. One of two rules
// holds for the whole table. Either elements go where they like, and a field with
// functions is only mentioned where the Needs of the same element were tested,
// best in one method:
//
//	func (t *Tier) kernels() Kernels {
//		if !cpuid.CPU.Supports(t.Needs...) {
//			return Kernels{}
//		}
//		return t.functions
//	}
//
// Or the table is only ranged over (or indexed into a new variable), and an
// element, or a field with functions, only leaves the loop after such a test.
// Tested is what lies inside
//
//	if cpuid.CPU.Supports(t.Needs...) && ... { }
//
// or after
//
//	if !cpuid.CPU.Supports(t.Needs...) || ... { continue, return, break, panic or t.Skip }
//
// Other fields, Name for one, may be read everywhere. A function or method that
// returns such a conjunction is as good as its expression, and so is one that
// skips the test or panics where a feature is missing:
//
//	func (t *Tier) usable() bool { return cpuid.CPU.Supports(t.Needs...) && !masked(t.Name) }
//
// The second place is code inside the same kind of test with the features
// written out, cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3), which suits tests and
// single functions. The third is a Go function or method that says what its
// callers must have tested; it is then itself guarded like assembly:
//
//	//asmcheck:needs AVX2,FMA3
//	func dotRows(c *asm.Call) { asm.DotW4AVX2x4(c) }
//
// In a file for several architectures a feature counts on the one whose tiers name it.
//
// Test files obey the same rules.
package asmcheck
