package asm

import "github.com/klauspost/cpuid/v2"

var (
	needsDotProd = []cpuid.FeatureID{cpuid.ASIMDDP}
	needsI8MM    = []cpuid.FeatureID{cpuid.ASIMDDP, cpuid.I8MM}
)

func init() {
	integerKernels = append(integerKernels,
		kernel{name: "DotW4NEONx1", bits: 4, rows: 1, columns: 16, run: DotW4NEONx1},
		kernel{name: "DotW4NEONx2", bits: 4, rows: 2, columns: 16, run: DotW4NEONx2},
		kernel{name: "DotW4NEONx3", bits: 4, rows: 3, columns: 16, run: DotW4NEONx3},
		kernel{name: "DotW4NEONx4", bits: 4, rows: 4, columns: 16, run: DotW4NEONx4},
		kernel{name: "DotW8NEONx1", bits: 8, rows: 1, columns: 16, run: DotW8NEONx1},
		kernel{name: "DotW8NEONx2", bits: 8, rows: 2, columns: 16, run: DotW8NEONx2},
		kernel{name: "DotW8NEONx3", bits: 8, rows: 3, columns: 16, run: DotW8NEONx3},
		kernel{name: "DotW8NEONx4", bits: 8, rows: 4, columns: 16, run: DotW8NEONx4},
		kernel{name: "DotW4DotProdx1", bits: 4, rows: 1, columns: 16, needs: needsDotProd, run: DotW4DotProdx1},
		kernel{name: "DotW4DotProdx2", bits: 4, rows: 2, columns: 16, needs: needsDotProd, run: DotW4DotProdx2},
		kernel{name: "DotW4DotProdx3", bits: 4, rows: 3, columns: 16, needs: needsDotProd, run: DotW4DotProdx3},
		kernel{name: "DotW4DotProdx4", bits: 4, rows: 4, columns: 16, needs: needsDotProd, run: DotW4DotProdx4},
		kernel{name: "DotW8DotProdx1", bits: 8, rows: 1, columns: 16, needs: needsDotProd, run: DotW8DotProdx1},
		kernel{name: "DotW8DotProdx2", bits: 8, rows: 2, columns: 16, needs: needsDotProd, run: DotW8DotProdx2},
		kernel{name: "DotW8DotProdx3", bits: 8, rows: 3, columns: 16, needs: needsDotProd, run: DotW8DotProdx3},
		kernel{name: "DotW8DotProdx4", bits: 8, rows: 4, columns: 16, needs: needsDotProd, run: DotW8DotProdx4},
		kernel{name: "DotW4I8MMx8", bits: 4, rows: 8, columns: 16, needs: needsI8MM, run: DotW4I8MMx8},
		kernel{name: "DotW8I8MMx1", bits: 8, rows: 1, columns: 16, needs: needsI8MM, run: DotW8I8MMx1},
		kernel{name: "DotW8I8MMx2", bits: 8, rows: 2, columns: 16, needs: needsI8MM, run: DotW8I8MMx2},
		kernel{name: "DotW8I8MMx3", bits: 8, rows: 3, columns: 16, needs: needsI8MM, run: DotW8I8MMx3},
		kernel{name: "DotW8I8MMx4", bits: 8, rows: 4, columns: 16, needs: needsI8MM, run: DotW8I8MMx4},
		kernel{name: "DotW8I8MMx8", bits: 8, rows: 8, columns: 16, needs: needsI8MM, run: DotW8I8MMx8},
	)
}
