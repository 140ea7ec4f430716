/* Loads the library from several threads at once, the first calls of the process,
 * and prints what it says to the descriptors that product.c makes, for which no
 * GPU is needed. */
#define _POSIX_C_SOURCE 200809L /* barriers */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../load.h"

enum { THREADS = 8 };

static pthread_barrier_t start;

static void *ask(void *to) {
	pthread_barrier_wait(&start);
	*(const bitlane_lt_state **)to = bitlane_lt_load();
	return NULL;
}

static void layouts(const bitlane_lt *lt) {
	static union {
		uint64_t room[64];
		char bytes[512];
	} l;
	printf("layout");
	for (size_t bytes = 32; bytes <= sizeof l; bytes *= 4) {
		memset(&l, 0x5A, sizeof l);
		cublasStatus_t status =
			lt->cublasLtMatrixLayoutInit_internal((cublasLtMatrixLayout_t)&l, bytes, CUDA_R_16F, 64, 32, 64);
		printf(" %zu bytes: %d,", bytes, (int)status);
	}
	puts("");
}

static void operation(const bitlane_lt *lt) {
	cublasLtMatmulDesc_t d = NULL;
	const int32_t values[2] = {CUBLAS_OP_T, 0};
	printf("operation %d", (int)lt->cublasLtMatmulDescCreate(&d, CUBLAS_COMPUTE_32F, CUDA_R_32F));
	for (size_t bytes = 2; bytes <= 8; bytes *= 2) {
		printf(", %zu bytes: %d %d", bytes, (int)lt->cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_TRANSA, values, bytes),
			(int)lt->cublasLtMatmulDescSetAttribute(d, CUBLASLT_MATMUL_DESC_TRANSB, values, bytes));
	}
	printf(", %d\n", (int)lt->cublasLtMatmulDescDestroy(d));
}

static void preference(const bitlane_lt *lt) {
	static const cublasLtMatmulPreferenceAttributes_t all[] = {CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
		CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
		CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
		CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
	cublasLtMatmulPreference_t p = NULL;
	const uint64_t value = 0;
	printf("preference %d", (int)lt->cublasLtMatmulPreferenceCreate(&p));
	for (size_t bytes = 2; bytes <= 8; bytes *= 2) {
		printf(", %zu bytes:", bytes);
		for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
			printf(" %d", (int)lt->cublasLtMatmulPreferenceSetAttribute(p, all[i], &value, bytes));
		}
	}
	printf(", %d\n", (int)lt->cublasLtMatmulPreferenceDestroy(p));
}

static void algorithm(const bitlane_lt *lt) {
	const cublasLtMatmulAlgo_t a = {{0}};
	printf("algorithm");
	for (size_t bytes = 2; bytes <= 8; bytes *= 2) {
		printf(", %zu bytes:", bytes);
		for (int i = CUBLASLT_ALGO_CONFIG_ID; i <= CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID; i++) {
			uint64_t value;
			size_t written;
			printf(" %d", (int)lt->cublasLtMatmulAlgoConfigGetAttribute(&a, (cublasLtMatmulAlgoConfigAttributes_t)i, &value, bytes, &written));
		}
	}
	puts("");
}

int main(void) {
	pthread_t threads[THREADS];
	const bitlane_lt_state *states[THREADS];
	pthread_barrier_init(&start, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		pthread_create(&threads[i], NULL, ask, &states[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	const bitlane_lt_state *s = states[0];
	for (int i = 1; i < THREADS; i++) {
		if (states[i] != s) {
			return 1;
		}
	}
	if (s->file == NULL || s->missing != NULL) {
		printf("%s: %s\n", s->file != NULL ? s->file : "no file", s->missing != NULL ? s->missing : s->tried[1].text);
		return 1;
	}
	printf("%s %d.%d.%d\n", s->file, s->version[0], s->version[1], s->version[2]);
	for (int i = 0; i <= CUBLAS_STATUS_LICENSE_ERROR; i++) {
		const char *name = s->call.cublasLtGetStatusName((cublasStatus_t)i);
		if (strncmp(name, "CUBLAS_", 7) == 0) {
			printf("%d %s\n", i, name);
		}
	}
	layouts(&s->call);
	operation(&s->call);
	preference(&s->call);
	algorithm(&s->call);
	return 0;
}
