/*
 * Dense products with one algorithm each. Every function makes ctx the current
 * context of the calling thread, and takes it away again.
 *
 * They return 0, or what failed: the driver's CUresult, or a cublasStatus_t as
 * its negative. A library that fails because the device is lost does not say so,
 * and the driver is asked. The library was loaded, and lacks no function.
 */
#ifndef BITLANE_LT_PRODUCT_H
#define BITLANE_LT_PRODUCT_H

#include <stddef.h>
#include <stdint.h>

/* y[row][n] = alpha * sum over k of x[row][k] * w[n][k]; strides are in elements. */
typedef struct {
	int32_t type, out; /* cudaDataType: of x and w, of y */
	uint64_t n, k;
	int64_t x_stride, w_stride, y_stride;
	float alpha;
	uint64_t max_rows;
	uint64_t max_workspace; /* bytes, a multiple of 256 */
} bitlane_product;

/* What the algorithm is, by the library's own numbers. */
typedef struct {
	int32_t id;
	uint32_t tile, stages, swizzling, option;
	uint16_t inner, cluster;
	uint64_t workspace; /* bytes, a multiple of 256 */
} bitlane_algorithm;

const char *bitlane_lt_status_name(int32_t status);

/* A handle belongs to the context; any number of threads may use it. */
int32_t bitlane_lt_open(uintptr_t ctx, uintptr_t *handle);
int32_t bitlane_lt_close(uintptr_t ctx, uintptr_t handle);

/* Chooses the algorithm. text gets the call that failed, or why no algorithm
 * will do, ended by a zero byte; bytes is its size, at least 1. */
int32_t bitlane_lt_plan(uintptr_t ctx, uintptr_t handle, const bitlane_product *product, uintptr_t *plan,
	bitlane_algorithm *algorithm, char *text, size_t bytes);
int32_t bitlane_lt_free(uintptr_t ctx, uintptr_t plan);

/* Enqueues the product. The plan is only read. */
int32_t bitlane_lt_multiply(uintptr_t ctx, uintptr_t stream, uintptr_t plan, uint64_t rows, uint64_t x, uint64_t w,
	uint64_t y, uint64_t workspace);

#endif
