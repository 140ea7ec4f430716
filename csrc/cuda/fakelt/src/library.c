/* The library, its handles and descriptors. */
#define _POSIX_C_SOURCE 200809L /* RTLD_LOCAL and what goes with it */
#include "fakelt.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

fakelt_counts fakelt_live;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

long fakelt_told(const char *name, long otherwise) {
	const char *all = getenv("BITLANE_FAKE_CUBLASLT");
	const char *found = all != NULL ? strstr(all, name) : NULL;
	return found != NULL ? atol(found + strlen(name)) : otherwise;
}

void fakelt_count(int64_t *what, int by) {
	pthread_mutex_lock(&lock);
	*what += by;
	pthread_mutex_unlock(&lock);
}

/* Tells the tests what is alive. */
void fakelt_alive(fakelt_counts *counts) {
	pthread_mutex_lock(&lock);
	*counts = fakelt_live;
	pthread_mutex_unlock(&lock);
}

void *fakelt_driver(const char *symbol) {
	void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	void *found = library != NULL ? dlsym(library, symbol) : NULL;
	if (found == NULL) {
		fprintf(stderr, "the stand-in for libcublasLt wants %s of the stand-in for libcuda.so.1\n", symbol);
		abort();
	}
	return found;
}

static CUresult current(CUdevice *device) {
	CUresult (*ask)(CUdevice *);
	void *found = fakelt_driver("cuCtxGetDevice");
	memcpy(&ask, &found, sizeof ask);
	return ask(device);
}

cublasStatus_t fakelt_enter(cublasLtHandle_t handle) {
	CUdevice device;
	if (handle == NULL || handle->mark != FAKELT_HANDLE) {
		return CUBLAS_STATUS_NOT_INITIALIZED;
	}
	return current(&device) == CUDA_SUCCESS && device == handle->device ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

cublasStatus_t cublasLtGetProperty(libraryPropertyType part, int *value) {
	long version = fakelt_told("version=", 120903);
	switch (part) {
	case MAJOR_VERSION: *value = (int)(version / 10000); break;
	case MINOR_VERSION: *value = (int)(version / 100 % 100); break;
	case PATCH_LEVEL: *value = (int)(version % 100); break;
	default: return CUBLAS_STATUS_INVALID_VALUE;
	}
	return CUBLAS_STATUS_SUCCESS;
}

const char *cublasLtGetStatusName(cublasStatus_t status) {
	switch (status) {
#define BITLANE_STATUS(name) \
	case name: return #name;
		BITLANE_STATUS(CUBLAS_STATUS_SUCCESS)
		BITLANE_STATUS(CUBLAS_STATUS_NOT_INITIALIZED)
		BITLANE_STATUS(CUBLAS_STATUS_ALLOC_FAILED)
		BITLANE_STATUS(CUBLAS_STATUS_INVALID_VALUE)
		BITLANE_STATUS(CUBLAS_STATUS_ARCH_MISMATCH)
		BITLANE_STATUS(CUBLAS_STATUS_MAPPING_ERROR)
		BITLANE_STATUS(CUBLAS_STATUS_EXECUTION_FAILED)
		BITLANE_STATUS(CUBLAS_STATUS_INTERNAL_ERROR)
		BITLANE_STATUS(CUBLAS_STATUS_NOT_SUPPORTED)
		BITLANE_STATUS(CUBLAS_STATUS_LICENSE_ERROR)
	default: return "unrecognized status";
	}
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
	cublasStatus_t status = (cublasStatus_t)fakelt_told("create=", CUBLAS_STATUS_SUCCESS);
	CUdevice device;
	if (status != CUBLAS_STATUS_SUCCESS) {
		return status;
	}
	if (current(&device) != CUDA_SUCCESS) {
		return CUBLAS_STATUS_NOT_INITIALIZED;
	}
	*handle = calloc(1, sizeof **handle);
	if (*handle == NULL) {
		return CUBLAS_STATUS_ALLOC_FAILED;
	}
	**handle = (struct cublasLtContext){FAKELT_HANDLE, device};
	fakelt_count(&fakelt_live.handles, 1);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
	cublasStatus_t status = fakelt_enter(handle);
	if (status == CUBLAS_STATUS_SUCCESS) {
		handle->mark = 0;
		free(handle);
		fakelt_count(&fakelt_live.handles, -1);
	}
	return status;
}

/* What version 13.4 needs; 12.9 needs 64. */
enum { LAYOUT_BYTES = 112 };
_Static_assert(sizeof(struct bitlane_lt_layout) <= LAYOUT_BYTES, "a layout fits");

cublasStatus_t cublasLtMatrixLayoutInit_internal(
	cublasLtMatrixLayout_t layout, size_t bytes, cudaDataType type, uint64_t rows, uint64_t columns, int64_t ld) {
	if (bytes < LAYOUT_BYTES) {
		return CUBLAS_STATUS_ALLOC_FAILED;
	}
	if (layout == NULL || (type != CUDA_R_16F && type != CUDA_R_16BF && type != CUDA_R_32F) || rows == 0 || columns == 0 ||
		ld < 0 || (uint64_t)ld < rows) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	memset(layout, 0xEE, bytes); /* all of it is the library's */
	*layout = (struct bitlane_lt_layout){FAKELT_LAYOUT, type, rows, columns, ld};
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *operation, cublasComputeType_t compute, cudaDataType scale) {
	if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	*operation = calloc(1, sizeof **operation);
	if (*operation == NULL) {
		return CUBLAS_STATUS_ALLOC_FAILED;
	}
	**operation = (struct bitlane_lt_matmul){FAKELT_OPERATION, {-1, -1}};
	fakelt_count(&fakelt_live.operations, 1);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
	if (operation == NULL || operation->mark != FAKELT_OPERATION) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	operation->mark = 0;
	free(operation);
	fakelt_count(&fakelt_live.operations, -1);
	return CUBLAS_STATUS_SUCCESS;
}

/* set copies an attribute of exactly that size. */
static cublasStatus_t set(void *to, size_t size, const void *from, size_t bytes) {
	if (from == NULL || bytes != size) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	memcpy(to, from, size);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(
	cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, const void *value, size_t bytes) {
	int32_t transposed;
	if (operation == NULL || operation->mark != FAKELT_OPERATION ||
		(attribute != CUBLASLT_MATMUL_DESC_TRANSA && attribute != CUBLASLT_MATMUL_DESC_TRANSB) ||
		set(&transposed, sizeof transposed, value, bytes) != CUBLAS_STATUS_SUCCESS ||
		(transposed != CUBLAS_OP_N && transposed != CUBLAS_OP_T)) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	operation->transposed[attribute - CUBLASLT_MATMUL_DESC_TRANSA] = transposed;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
	*preference = calloc(1, sizeof **preference);
	if (*preference == NULL) {
		return CUBLAS_STATUS_ALLOC_FAILED;
	}
	**preference = (struct bitlane_lt_preference){FAKELT_PREFERENCE, 0, CUBLASLT_REDUCTION_SCHEME_MASK, {256, 256, 256, 256}};
	fakelt_count(&fakelt_live.preferences, 1);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
	if (preference == NULL || preference->mark != FAKELT_PREFERENCE) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	preference->mark = 0;
	free(preference);
	fakelt_count(&fakelt_live.preferences, -1);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
	cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, const void *value, size_t bytes) {
	if (preference == NULL || preference->mark != FAKELT_PREFERENCE) {
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	switch (attribute) {
	case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return set(&preference->workspace, sizeof preference->workspace, value, bytes);
	case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
		return set(&preference->reductions, sizeof preference->reductions, value, bytes);
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: {
		uint32_t *to = &preference->alignments[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES];
		return set(to, sizeof *to, value, bytes);
	}
	default: return CUBLAS_STATUS_INVALID_VALUE;
	}
}
