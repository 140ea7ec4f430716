/*
 * A stand-in for libcublasLt, for tests of what calls it. It computes on the
 * memory and in the streams of the stand-in for libcuda.so.1. See doc.go for what
 * it can be told.
 */
#ifndef FAKELT_H
#define FAKELT_H

#define BITLANE_CU_DRIVER
#define BITLANE_LT_LIBRARY
#include <cublaslt.h>

#include <stdbool.h>
#include <stdlib.h>

/* What is alive, for the tests: exported as fakelt_alive. */
typedef struct {
	int64_t handles, operations, preferences;
} fakelt_counts;

/* Marks of what was initialized: what is behind a wrong pointer has none. */
enum { FAKELT_HANDLE = 0x48414e44, FAKELT_LAYOUT = 0x4c41594f, FAKELT_OPERATION = 0x4f504552, FAKELT_PREFERENCE = 0x50524546 };

struct cublasLtContext {
	uint32_t mark;
	CUdevice device;
};

struct bitlane_lt_layout {
	uint32_t mark;
	cudaDataType type;
	uint64_t rows, columns;
	int64_t ld;
};

struct bitlane_lt_matmul {
	uint32_t mark;
	int32_t transposed[2]; /* cublasOperation_t of A and B; -1: not said */
};

struct bitlane_lt_preference {
	uint32_t mark;
	uint64_t workspace;
	uint32_t reductions;
	uint32_t alignments[4];
};

/* The column-major product D = op(A) op(B), m by n over k. */
typedef struct {
	cudaDataType type, out;
	uint64_t m, n, k;
	uint64_t lda, ldb, ldd;
	bool transposed[2];
} fakelt_product;

/* What is in a cublasLtMatmulAlgo_t. */
typedef struct {
	int32_t id, parts;
	uint32_t reduction;
	int32_t least;         /* rows, the n of a product */
	uint64_t alignment[4]; /* in bytes */
	uint64_t limit;        /* bytes of workspace */
	uint64_t seal;         /* of all that and of the product, but for its rows */
} fakelt_algo;

/* The number behind name in BITLANE_FAKE_CUBLASLT="create=1,offers=2". */
long fakelt_told(const char *name, long otherwise);

void fakelt_count(int64_t *what, int by);
extern fakelt_counts fakelt_live;

/* The status of a call with this handle on this thread. */
cublasStatus_t fakelt_enter(cublasLtHandle_t handle);

/* A function of the stand-in for the driver, or the process ends. */
void *fakelt_driver(const char *symbol);

/* Reads what the descriptors say into *p. */
cublasStatus_t fakelt_read(fakelt_product *p, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
	cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d);

/* The algorithm with that number for a product, and whether it is one that was
 * handed out for it and takes it; *workspace gets what it needs, in bytes. */
void fakelt_make(cublasLtMatmulAlgo_t *algo, int id, const fakelt_product *p, const struct bitlane_lt_preference *preference);
cublasStatus_t fakelt_check(fakelt_algo *found, const cublasLtMatmulAlgo_t *algo, const fakelt_product *p, uint64_t *workspace);

#endif
