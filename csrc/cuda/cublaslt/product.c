//go:build cuda && cgo && linux

#include "product.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum {
	OFFERS = 32,          /* algorithms that are asked for */
	ALIGNMENT = 16,       /* of x, w and y, in bytes */
	WORKSPACE_UNIT = 256, /* its size is a multiple of that */
};

/* More than a layout has in any known version: 64 bytes in 12.9, 112 in 13.4. */
typedef struct {
	uint64_t data[64];
} layout;

/* Row-major matrices are column-major ones transposed, so what the library
 * computes is the transpose of y, n by rows: w, read as k by n, transposed, times
 * x, read as k by rows. */
typedef struct {
	layout w, x, y;
} layouts;

typedef struct {
	const bitlane_lt *lt;
	cublasLtHandle_t handle;
	cublasLtMatmulDesc_t operation;
	cublasLtMatmulAlgo_t algo;
	bitlane_product product;
	uint64_t workspace;
} plan;

static cublasLtMatrixLayout_t handle_of(layout *l) { return (cublasLtMatrixLayout_t)l; }

static CUresult enter(uintptr_t ctx) { return cuCtxPushCurrent((CUcontext)ctx); }

static int32_t leave(int32_t result) {
	CUcontext ctx;
	CUresult popped = cuCtxPopCurrent(&ctx);
	return result != 0 ? result : (int32_t)popped;
}

/* IN evaluates call with the context current, and returns from the function. */
#define IN(ctx, call)                     \
	do {                                  \
		CUresult entered = enter(ctx);    \
		if (entered != CUDA_SUCCESS) {    \
			return (int32_t)entered;      \
		}                                 \
		return leave(call);               \
	} while (0)

/* outcome asks the driver where the library failed. cuMemGetInfo waits for
 * nothing and does no harm to a capture. */
static int32_t outcome(cublasStatus_t status) {
	size_t available, total;
	if (status == CUBLAS_STATUS_SUCCESS) {
		return 0;
	}
	CUresult result = cuMemGetInfo(&available, &total);
	return result != CUDA_SUCCESS ? (int32_t)result : -(int32_t)status;
}

static const bitlane_lt *library(void) { return &bitlane_lt_load()->call; }

const char *bitlane_lt_status_name(int32_t status) { return library()->cublasLtGetStatusName((cublasStatus_t)status); }

static int32_t open_handle(uintptr_t *handle) {
	cublasLtHandle_t created = NULL;
	cublasStatus_t status = library()->cublasLtCreate(&created);
	*handle = (uintptr_t)created;
	return outcome(status);
}

int32_t bitlane_lt_open(uintptr_t ctx, uintptr_t *handle) { IN(ctx, open_handle(handle)); }

int32_t bitlane_lt_close(uintptr_t ctx, uintptr_t handle) {
	IN(ctx, outcome(library()->cublasLtDestroy((cublasLtHandle_t)handle)));
}

static cublasStatus_t lay(const bitlane_lt *lt, const bitlane_product *p, uint64_t rows, layouts *l) {
	memset(l, 0, sizeof *l);
	cublasStatus_t status = lt->cublasLtMatrixLayoutInit_internal(
		handle_of(&l->w), sizeof l->w, (cudaDataType)p->type, p->k, p->n, p->w_stride);
	if (status == CUBLAS_STATUS_SUCCESS) {
		status = lt->cublasLtMatrixLayoutInit_internal(
			handle_of(&l->x), sizeof l->x, (cudaDataType)p->type, p->k, rows, p->x_stride);
	}
	if (status == CUBLAS_STATUS_SUCCESS) {
		status = lt->cublasLtMatrixLayoutInit_internal(
			handle_of(&l->y), sizeof l->y, (cudaDataType)p->out, p->n, rows, p->y_stride);
	}
	return status;
}

/* DO makes a call of the library, and returns from the function where it fails. */
#define DO(function, ...)                                       \
	do {                                                        \
		cublasStatus_t status_ = lt->function(__VA_ARGS__);     \
		if (status_ != CUBLAS_STATUS_SUCCESS) {                 \
			snprintf(text, bytes, "%s", #function);             \
			return status_;                                     \
		}                                                       \
	} while (0)

static cublasStatus_t describe_operation(plan *p, char *text, size_t bytes) {
	const bitlane_lt *lt = p->lt;
	const int32_t w = CUBLAS_OP_T, x = CUBLAS_OP_N;
	DO(cublasLtMatmulDescCreate, &p->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
	DO(cublasLtMatmulDescSetAttribute, p->operation, CUBLASLT_MATMUL_DESC_TRANSA, &w, sizeof w);
	DO(cublasLtMatmulDescSetAttribute, p->operation, CUBLASLT_MATMUL_DESC_TRANSB, &x, sizeof x);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t prefer(const bitlane_lt *lt, cublasLtMatmulPreference_t preference, uint64_t workspace, char *text,
	size_t bytes) {
	const uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_NONE, alignment = ALIGNMENT;
	static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
		CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
		CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
	DO(cublasLtMatmulPreferenceSetAttribute, preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
	DO(cublasLtMatmulPreferenceSetAttribute, preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions);
	for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
		DO(cublasLtMatmulPreferenceSetAttribute, preference, alignments[i], &alignment, sizeof alignment);
	}
	return CUBLAS_STATUS_SUCCESS;
}

/* splits reports whether the algorithm adds partial sums of K. One that does not
 * tell is taken for one that does. */
static int splits(const bitlane_lt *lt, const cublasLtMatmulAlgo_t *algo) {
	int32_t parts = 0;
	uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_MASK;
	size_t written;
	return lt->cublasLtMatmulAlgoConfigGetAttribute(algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts, &written) !=
			CUBLAS_STATUS_SUCCESS ||
		lt->cublasLtMatmulAlgoConfigGetAttribute(algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme, sizeof scheme, &written) !=
			CUBLAS_STATUS_SUCCESS ||
		parts != 1 || scheme != CUBLASLT_REDUCTION_SCHEME_NONE;
}

/* takes reports whether the algorithm does the product for so many rows, and
 * raises p->workspace to what it needs for that. */
static int takes(plan *p, const cublasLtMatmulAlgo_t *algo, uint64_t rows) {
	layouts l;
	cublasLtMatmulHeuristicResult_t found = {.state = CUBLAS_STATUS_NOT_SUPPORTED};
	if (lay(p->lt, &p->product, rows, &l) != CUBLAS_STATUS_SUCCESS ||
		p->lt->cublasLtMatmulAlgoCheck(p->handle, p->operation, handle_of(&l.w), handle_of(&l.x), handle_of(&l.y),
			handle_of(&l.y), algo, &found) != CUBLAS_STATUS_SUCCESS ||
		found.workspaceSize > p->product.max_workspace) {
		return 0;
	}
	uint64_t needed = (found.workspaceSize + WORKSPACE_UNIT - 1) / WORKSPACE_UNIT * WORKSPACE_UNIT;
	if (needed > p->workspace) {
		p->workspace = needed;
	}
	return 1;
}

/* takes_all asks for the powers of two and the most rows. */
static int takes_all(plan *p, const cublasLtMatmulAlgo_t *algo) {
	p->workspace = 0;
	for (uint64_t rows = 1; rows < p->product.max_rows; rows *= 2) {
		if (!takes(p, algo, rows)) {
			return 0;
		}
	}
	return takes(p, algo, p->product.max_rows);
}

/* choose takes the first of the library's offers for the most rows that always
 * adds in one order and does for fewer rows as well. */
static cublasStatus_t choose(plan *p, cublasLtMatmulPreference_t preference, char *text, size_t bytes) {
	const bitlane_lt *lt = p->lt;
	cublasLtMatmulHeuristicResult_t offers[OFFERS];
	layouts l;
	int count = 0, split = 0;
	memset(offers, 0, sizeof offers);
	cublasStatus_t status = prefer(lt, preference, p->product.max_workspace, text, bytes);
	if (status != CUBLAS_STATUS_SUCCESS) {
		return status;
	}
	if ((status = lay(lt, &p->product, p->product.max_rows, &l)) != CUBLAS_STATUS_SUCCESS) {
		snprintf(text, bytes, "cublasLtMatrixLayoutInit");
		return status;
	}
	DO(cublasLtMatmulAlgoGetHeuristic, p->handle, p->operation, handle_of(&l.w), handle_of(&l.x), handle_of(&l.y),
		handle_of(&l.y), preference, OFFERS, offers, &count);
	for (int i = 0; i < count; i++) {
		if (offers[i].state != CUBLAS_STATUS_SUCCESS) {
			continue;
		}
		if (splits(lt, &offers[i].algo)) {
			split++;
		} else if (takes_all(p, &offers[i].algo)) {
			p->algo = offers[i].algo;
			return CUBLAS_STATUS_SUCCESS;
		}
	}
	snprintf(text, bytes, "none of %d algorithms will do: %d split K, the others do not take every number of rows", count, split);
	return CUBLAS_STATUS_NOT_SUPPORTED;
}

static cublasStatus_t make(plan *p, char *text, size_t bytes) {
	const bitlane_lt *lt = p->lt;
	cublasLtMatmulPreference_t preference = NULL;
	cublasStatus_t status = describe_operation(p, text, bytes);
	if (status != CUBLAS_STATUS_SUCCESS) {
		return status;
	}
	DO(cublasLtMatmulPreferenceCreate, &preference);
	status = choose(p, preference, text, bytes);
	cublasStatus_t destroyed = lt->cublasLtMatmulPreferenceDestroy(preference);
	if (status == CUBLAS_STATUS_SUCCESS && destroyed != CUBLAS_STATUS_SUCCESS) {
		snprintf(text, bytes, "cublasLtMatmulPreferenceDestroy");
		return destroyed;
	}
	return status;
}

static cublasStatus_t destroy(plan *p) {
	cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
	if (p->operation != NULL) {
		status = p->lt->cublasLtMatmulDescDestroy(p->operation);
	}
	free(p);
	return status;
}

static int32_t new_plan(uintptr_t handle, const bitlane_product *product, uintptr_t *out, char *text, size_t bytes) {
	text[0] = 0;
	plan *p = calloc(1, sizeof *p);
	if (p == NULL) {
		snprintf(text, bytes, "calloc");
		return -(int32_t)CUBLAS_STATUS_ALLOC_FAILED;
	}
	p->lt = library();
	p->handle = (cublasLtHandle_t)handle;
	p->product = *product;
	cublasStatus_t status = make(p, text, bytes);
	if (status != CUBLAS_STATUS_SUCCESS) {
		destroy(p); /* the first error says more */
		return outcome(status);
	}
	*out = (uintptr_t)p;
	return 0;
}

/* describe leaves 0 where an older library has no such attribute. */
static void describe(const plan *p, bitlane_algorithm *a) {
	size_t written;
	memset(a, 0, sizeof *a);
	a->workspace = p->workspace;
#define GET(attribute, to) \
	(void)p->lt->cublasLtMatmulAlgoConfigGetAttribute(&p->algo, CUBLASLT_ALGO_CONFIG_##attribute, &a->to, sizeof a->to, &written)
	GET(ID, id);
	GET(TILE_ID, tile);
	GET(STAGES_ID, stages);
	GET(CTA_SWIZZLING, swizzling);
	GET(CUSTOM_OPTION, option);
	GET(INNER_SHAPE_ID, inner);
	GET(CLUSTER_SHAPE_ID, cluster);
#undef GET
}

int32_t bitlane_lt_plan(uintptr_t ctx, uintptr_t handle, const bitlane_product *product, uintptr_t *out,
	bitlane_algorithm *algorithm, char *text, size_t bytes) {
	CUresult entered = enter(ctx);
	if (entered != CUDA_SUCCESS) {
		snprintf(text, bytes, "cuCtxPushCurrent");
		return (int32_t)entered;
	}
	int32_t result = new_plan(handle, product, out, text, bytes);
	if (result != 0) {
		return leave(result);
	}
	describe((const plan *)*out, algorithm);
	result = leave(0);
	if (result != 0) {
		snprintf(text, bytes, "cuCtxPopCurrent");
		destroy((plan *)*out);
	}
	return result;
}

int32_t bitlane_lt_free(uintptr_t ctx, uintptr_t p) { IN(ctx, outcome(destroy((plan *)p))); }

/* The algorithm was checked for some numbers of rows, at which the most workspace
 * was needed; where it does not do for another one, the library refuses the call. */
static cublasStatus_t multiply(const plan *p, cudaStream_t stream, uint64_t rows, const void *x, const void *w, void *y,
	void *workspace) {
	layouts l;
	const float alpha = p->product.alpha, beta = 0;
	cublasStatus_t status = lay(p->lt, &p->product, rows, &l);
	if (status != CUBLAS_STATUS_SUCCESS) {
		return status;
	}
	return p->lt->cublasLtMatmul(p->handle, p->operation, &alpha, w, handle_of(&l.w), x, handle_of(&l.x), &beta, y,
		handle_of(&l.y), y, handle_of(&l.y), &p->algo, workspace, p->workspace, stream);
}

int32_t bitlane_lt_multiply(uintptr_t ctx, uintptr_t stream, uintptr_t p, uint64_t rows, uint64_t x, uint64_t w,
	uint64_t y, uint64_t workspace) {
	IN(ctx, outcome(multiply((const plan *)p, (cudaStream_t)stream, rows, (const void *)(uintptr_t)x,
		(const void *)(uintptr_t)w, (void *)(uintptr_t)y, (void *)(uintptr_t)workspace)));
}
