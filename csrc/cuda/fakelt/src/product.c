/* The product. */
#include "fakelt.h"

#include <math.h>
#include <string.h>

typedef struct {
	fakelt_product product;
	float alpha;
	uint64_t workspace_bytes;
	const unsigned char *a, *b;
	unsigned char *d, *workspace;
	bool (*is_device)(const void *, size_t);
} work;

static float from_bits(uint32_t bits) {
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

static float half_value(uint16_t h) {
	int exponent = h >> 10 & 31;
	float mantissa = (float)(h & 1023), sign = h & 0x8000 ? -1.0f : 1.0f;
	if (exponent == 31) {
		return sign * (mantissa != 0 ? NAN : INFINITY);
	}
	return sign * (exponent == 0 ? ldexpf(mantissa, -24) : ldexpf(mantissa + 1024, exponent - 25));
}

/* nearest rounds to the nearest half, ties to even, by looking for it. */
static uint16_t nearest_half(float f) {
	uint16_t sign = signbit(f) ? 0x8000 : 0, low = 0, high = 0x7c00;
	float magnitude = fabsf(f);
	if (isnan(f)) {
		return 0x7e00;
	}
	if (magnitude >= 65520.0f) {
		return sign | 0x7c00;
	}
	while (high - low > 1) {
		uint16_t middle = (uint16_t)((low + high) / 2);
		if (half_value(middle) <= magnitude) {
			low = middle;
		} else {
			high = middle;
		}
	}
	float above = high == 0x7c00 ? 65536.0f : half_value(high);
	float down = magnitude - half_value(low), up = above - magnitude;
	return sign | (down < up || (down == up && low % 2 == 0) ? low : high);
}

static uint16_t nearest_bfloat(float f) {
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	if (isnan(f)) {
		return 0x7fc0;
	}
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static size_t size_of(cudaDataType type) { return type == CUDA_R_32F ? 4 : 2; }

static float load(cudaDataType type, const unsigned char *from, uint64_t i) {
	uint16_t v;
	memcpy(&v, from + 2 * i, sizeof v);
	return type == CUDA_R_16F ? half_value(v) : from_bits((uint32_t)v << 16);
}

static void store(cudaDataType type, unsigned char *to, uint64_t i, float f) {
	if (type == CUDA_R_32F) {
		memcpy(to + 4 * i, &f, sizeof f);
		return;
	}
	uint16_t v = type == CUDA_R_16F ? nearest_half(f) : nearest_bfloat(f);
	memcpy(to + 2 * i, &v, sizeof v);
}

/* extent is the bytes from a column-major matrix's first element to its last. */
static size_t extent(cudaDataType type, uint64_t rows, uint64_t columns, uint64_t ld) {
	return ((columns - 1) * ld + rows) * size_of(type);
}

static CUresult run(const void *parameters) {
	work w;
	memcpy(&w, parameters, sizeof w);
	const fakelt_product *p = &w.product;
	bool ta = p->transposed[0], tb = p->transposed[1];
	if (!w.is_device(w.a, extent(p->type, ta ? p->k : p->m, ta ? p->m : p->k, p->lda)) ||
		!w.is_device(w.b, extent(p->type, tb ? p->n : p->k, tb ? p->k : p->n, p->ldb)) ||
		!w.is_device(w.d, extent(p->out, p->m, p->n, p->ldd)) || !w.is_device(w.workspace, w.workspace_bytes)) {
		return CUDA_ERROR_ILLEGAL_ADDRESS;
	}
	memset(w.workspace, 0xCD, w.workspace_bytes);
	for (uint64_t j = 0; j < p->n; j++) {
		for (uint64_t i = 0; i < p->m; i++) {
			float sum = 0;
			for (uint64_t l = 0; l < p->k; l++) {
				sum += load(p->type, w.a, ta ? l + i * p->lda : i + l * p->lda) * load(p->type, w.b, tb ? j + l * p->ldb : l + j * p->ldb);
			}
			store(p->out, w.d, i + j * p->ldd, w.alpha * sum);
		}
	}
	return CUDA_SUCCESS;
}

static bool aligned(const void *p, uint64_t bytes) { return p != NULL && (uintptr_t)p % bytes == 0; }

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void *alpha, const void *a,
	cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
	cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
	void *workspace, size_t bytes, cudaStream_t stream) {
	work w;
	fakelt_algo found;
	memset(&w, 0, sizeof w);
	cublasStatus_t status = fakelt_enter(handle);
	if (status == CUBLAS_STATUS_SUCCESS) {
		status = fakelt_read(&w.product, operation, a_layout, b_layout, c_layout, d_layout);
	}
	if (status == CUBLAS_STATUS_SUCCESS) {
		status = algo != NULL ? fakelt_check(&found, algo, &w.product, &w.workspace_bytes) : CUBLAS_STATUS_INVALID_VALUE;
	}
	if (status != CUBLAS_STATUS_SUCCESS) {
		return status;
	}
	float zero;
	memcpy(&w.alpha, alpha, sizeof w.alpha);
	memcpy(&zero, beta, sizeof zero);
	if (zero != 0 || c != d || bytes < w.workspace_bytes || !aligned(workspace, 256) || !aligned(a, found.alignment[0]) ||
		!aligned(b, found.alignment[1]) || !aligned(c, found.alignment[2]) || !aligned(d, found.alignment[3])) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	w.a = a;
	w.b = b;
	w.d = d;
	w.workspace = workspace;
	void *entry = fakelt_driver("fake_is_device");
	memcpy(&w.is_device, &entry, sizeof w.is_device);
	CUresult (*call)(CUstream, CUresult (*)(const void *), const void *, size_t);
	entry = fakelt_driver("fake_call");
	memcpy(&call, &entry, sizeof call);
	return call(stream, run, &w, sizeof w) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
