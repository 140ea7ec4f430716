/* Algorithms: which there are, and what they take. */
#include "fakelt.h"

#include <string.h>

cublasStatus_t fakelt_read(fakelt_product *p, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
	cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d) {
	const struct bitlane_lt_layout *all[] = {a, b, c, d};
	for (int i = 0; i < 4; i++) {
		if (all[i] == NULL || all[i]->mark != FAKELT_LAYOUT) {
			return CUBLAS_STATUS_INVALID_VALUE;
		}
	}
	if (operation == NULL || operation->mark != FAKELT_OPERATION || operation->transposed[0] < 0 || operation->transposed[1] < 0) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	if (a->type != b->type || a->type == CUDA_R_32F || c->type != d->type || (d->type != a->type && d->type != CUDA_R_32F)) {
		return CUBLAS_STATUS_NOT_SUPPORTED;
	}
	memset(p, 0, sizeof *p); /* it is hashed */
	p->transposed[0] = operation->transposed[0] == CUBLAS_OP_T;
	p->transposed[1] = operation->transposed[1] == CUBLAS_OP_T;
	p->type = a->type;
	p->out = d->type;
	p->m = p->transposed[0] ? a->columns : a->rows;
	p->k = p->transposed[0] ? a->rows : a->columns;
	p->n = p->transposed[1] ? b->rows : b->columns;
	p->lda = (uint64_t)a->ld;
	p->ldb = (uint64_t)b->ld;
	p->ldd = (uint64_t)d->ld;
	if ((p->transposed[1] ? b->columns : b->rows) != p->k || d->rows != p->m || d->columns != p->n || c->rows != d->rows ||
		c->columns != d->columns || c->ld != d->ld) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	/* As tensor cores want it. */
	return p->k % 8 == 0 && p->lda % 8 == 0 && p->ldb % 8 == 0 && p->ldd % 8 == 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

static uint64_t hash(uint64_t h, const void *data, size_t bytes) {
	const unsigned char *p = data;
	for (size_t i = 0; i < bytes; i++) {
		h = (h ^ p[i]) * 0x100000001b3;
	}
	return h;
}

static uint64_t seal(const fakelt_algo *a, const fakelt_product *p) {
	fakelt_algo algo;
	fakelt_product product;
	memcpy(&algo, a, sizeof algo);
	memcpy(&product, p, sizeof product);
	algo.seal = product.n = 0;
	return hash(hash(0xcbf29ce484222325, &algo, sizeof algo), &product, sizeof product);
}

_Static_assert(sizeof(fakelt_algo) == sizeof(cublasLtMatmulAlgo_t), "an algorithm fits, and is not longer");

void fakelt_make(
	cublasLtMatmulAlgo_t *algo, int id, const fakelt_product *p, const struct bitlane_lt_preference *preference) {
	fakelt_algo a;
	memset(&a, 0, sizeof a);
	a.id = id;
	a.parts = id == 0 ? 2 : 1;
	a.reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
	a.least = id == 1 ? 8 : 1;
	for (int i = 0; i < 4; i++) {
		a.alignment[i] = preference->alignments[i];
	}
	a.limit = preference->workspace;
	a.seal = seal(&a, p);
	memset(algo, 0, sizeof *algo);
	memcpy(algo, &a, sizeof a);
}

cublasStatus_t fakelt_check(fakelt_algo *found, const cublasLtMatmulAlgo_t *algo, const fakelt_product *p, uint64_t *workspace) {
	memcpy(found, algo, sizeof *found);
	if (found->seal != seal(found, p)) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	*workspace = 1000 + 16 * p->n;
	if (p->n < (uint64_t)found->least || *workspace > found->limit || (long)p->n == fakelt_told("refuse=", 0)) {
		return CUBLAS_STATUS_NOT_SUPPORTED;
	}
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
	cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference,
	int wanted, cublasLtMatmulHeuristicResult_t *results, int *returned) {
	cublasStatus_t status = fakelt_enter(handle);
	fakelt_product p;
	*returned = 0;
	if (status == CUBLAS_STATUS_SUCCESS) {
		status = fakelt_read(&p, operation, a, b, c, d);
	}
	if (status == CUBLAS_STATUS_SUCCESS) {
		status = (cublasStatus_t)fakelt_told("heuristic=", CUBLAS_STATUS_SUCCESS);
	}
	if (status != CUBLAS_STATUS_SUCCESS) {
		return status;
	}
	if (preference == NULL || preference->mark != FAKELT_PREFERENCE || preference->reductions != CUBLASLT_REDUCTION_SCHEME_NONE ||
		wanted < 1 || results == NULL) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	for (int id = 0; id < wanted && id < fakelt_told("offers=", 4); id++) {
		cublasLtMatmulHeuristicResult_t *r = &results[(*returned)++];
		fakelt_algo made;
		memset(r, 0, sizeof *r);
		fakelt_make(&r->algo, id, &p, preference);
		r->state = fakelt_check(&made, &r->algo, &p, &r->workspaceSize);
		r->wavesCount = 1;
	}
	return *returned > 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
	cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t *algo,
	cublasLtMatmulHeuristicResult_t *result) {
	cublasStatus_t status = fakelt_enter(handle);
	fakelt_product p;
	fakelt_algo found;
	if (status == CUBLAS_STATUS_SUCCESS) {
		status = fakelt_read(&p, operation, a, b, c, d);
	}
	if (status == CUBLAS_STATUS_SUCCESS) {
		status = fakelt_check(&found, algo, &p, &result->workspaceSize);
	}
	result->state = status;
	return status;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
	cublasLtMatmulAlgoConfigAttributes_t attribute, void *value, size_t bytes, size_t *written) {
	fakelt_algo a;
	memcpy(&a, algo, sizeof a);
	uint32_t word = 0;
	size_t size = sizeof word;
	switch (attribute) {
	case CUBLASLT_ALGO_CONFIG_ID: word = (uint32_t)a.id; break;
	case CUBLASLT_ALGO_CONFIG_TILE_ID: word = 20; break;
	case CUBLASLT_ALGO_CONFIG_SPLITK_NUM: word = (uint32_t)a.parts; break;
	case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME: word = a.reduction; break;
	case CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING: word = 1; break;
	case CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION: word = 3; break;
	case CUBLASLT_ALGO_CONFIG_STAGES_ID: word = 15; break;
	case CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID:
	case CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID: {
		uint16_t half = attribute == CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID ? 5 : 4;
		if (bytes != sizeof half) {
			return CUBLAS_STATUS_INVALID_VALUE;
		}
		memcpy(value, &half, sizeof half);
		*written = sizeof half;
		return CUBLAS_STATUS_SUCCESS;
	}
	default: return CUBLAS_STATUS_INVALID_VALUE;
	}
	if (bytes != size) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	memcpy(value, &word, size);
	*written = size;
	return CUBLAS_STATUS_SUCCESS;
}
