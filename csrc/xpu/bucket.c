//go:build xpu && cgo && linux

/* A bucket: its tensors, the copies between them, and its workspace. */
#include "shim.h"

#include <string.h>

enum { ALIGNMENT = 256 };

/* What a staged x is turned into, and the distance of its rows. */
static int64_t staged_type(const bitlane_xpu_plan *p) { return p->activations == BITLANE_XPU_EXACT ? p->compute_type : BITLANE_XPU_F32; }
static int64_t staged_stride(const bitlane_xpu_plan *p) { return p->activations == BITLANE_XPU_EXACT ? p->k : p->x_cols; }

int32_t bx_bucket_tensors(bitlane_xpu_layer *layer, bx_bucket *bucket, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	const bitlane_xpu_plan *p = &layer->plan;
	int64_t rows = bucket->facts.rows, pad = p->k - p->x_cols;
	dn_md *md = bucket->md;
	TRY(bx_matrix(dn, rows, p->x_cols, p->x_cols, 1, p->x_type, &md[BX_X], err));
	TRY(bx_matrix(dn, rows, p->x_cols, staged_stride(p), 1, staged_type(p), &md[BX_IN], err));
	TRY(bx_matrix(dn, rows, p->n, p->n, 1, p->y_type, &md[BX_DST], err));
	TRY(bx_matrix(dn, rows, p->y_cols, p->n, 1, p->y_type, &md[BX_PART], err));
	TRY(bx_matrix(dn, rows, p->y_cols, p->y_cols, 1, p->y_type, &md[BX_Y], err));
	if (p->activations == BITLANE_XPU_EXACT) {
		TRY(bx_matrix(dn, rows, layer->last, p->k, 1, p->compute_type, &md[BX_SRC], err));
		if (layer->slices > 1) {
			TRY(bx_matrix(dn, rows, layer->slice, p->k, 1, p->compute_type, &md[BX_SRC_PART], err));
			TRY(bx_matrix(dn, rows, p->n, p->n, 1, BITLANE_XPU_F32, &md[BX_SUM_PART], err));
		}
		if (pad > 0) {
			TRY(bx_matrix(dn, rows, pad, p->k, 1, p->compute_type, &md[BX_PAD], err));
		}
		return BITLANE_XPU_OK;
	}
	TRY(bx_matrix(dn, rows, p->k, p->k, 1, BITLANE_XPU_S8, &md[BX_SRC], err));
	TRY(bx_matrix(dn, rows, p->x_cols, p->k, 1, BITLANE_XPU_S8, &md[BX_CODES], err));
	TRY(bx_matrix(dn, rows, p->x_cols, p->x_cols, 1, BITLANE_XPU_F32, &md[BX_TEMP], err));
	TRY(bx_matrix(dn, rows, 1, 1, 1, BITLANE_XPU_F32, &md[BX_FINITE], err));
	TRY(bx_matrix(dn, rows, 1, 1, 1, BITLANE_XPU_F32, &md[BX_SCALE], err));
	if (bx_raw(p) == BX_RAW) {
		TRY(bx_matrix(dn, rows, 1, 1, 1, BITLANE_XPU_F32, &md[BX_RAW], err));
	}
	if (bx_quotient(p) != BX_CODES) {
		TRY(bx_matrix(dn, rows, p->x_cols, p->x_cols, 1, p->x_type, &md[BX_QUOTIENT], err));
	}
	if (p->x_type != BITLANE_XPU_F32) {
		TRY(bx_matrix(dn, rows, 1, 1, 1, p->x_type, &md[BX_NARROW], err));
	}
	if (p->codes) {
		TRY(bx_matrix(dn, rows, 1, 1, 1, BITLANE_XPU_F32, &md[BX_MASK], err));
		TRY(bx_matrix(dn, rows, p->x_cols, p->x_cols, 1, BITLANE_XPU_S8, &md[BX_USER], err));
		TRY(bx_matrix(dn, rows, 1, 1, 1, BITLANE_XPU_F32, &md[BX_USER_SCALE], err));
	}
	return BITLANE_XPU_OK;
}

/* Every copy is a reorder: from a tensor to one of the same dimensions. */
static int32_t copy(bitlane_xpu_layer *layer, bx_bucket *bucket, enum bx_step step, int src, int dst, dn_attr attr, const char *what, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	dn_engine engine = layer->engine->engine;
	dn_pd pd = NULL;
	int status = dn->reorder_primitive_desc_create(&pd, bucket->md[src], engine, bucket->md[dst], engine, attr);
	bx_arg(&bucket->run[step], DN_SRC, src);
	bx_arg(&bucket->run[step], DN_DST, dst);
	return bx_primitive(layer, &bucket->run[step], status, pd, what, NULL, 0, err);
}

/* Zeros behind x, of no memory but their own: nothing is less than itself, a NaN neither. */
static int32_t fill(bitlane_xpu_layer *layer, bx_bucket *bucket, dn_attr attr, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	dn_md pad = bucket->md[BX_PAD];
	dn_pd pd = NULL;
	int status = dn->binary_primitive_desc_create(&pd, layer->engine->engine, DN_BINARY_LT, pad, pad, pad, attr);
	bx_arg(&bucket->run[BX_FILL], DN_SRC, BX_PAD);
	bx_arg(&bucket->run[BX_FILL], DN_SRC_1, BX_PAD);
	bx_arg(&bucket->run[BX_FILL], DN_DST, BX_PAD);
	return bx_primitive(layer, &bucket->run[BX_FILL], status, pd, "zeros behind x", NULL, 0, err);
}

static int32_t copies(bitlane_xpu_layer *layer, bx_bucket *bucket, dn_attr attr, bx_err err) {
	const bitlane_xpu_plan *p = &layer->plan;
	dn_md *md = bucket->md;
	TRY(copy(layer, bucket, BX_COPY_IN, BX_X, BX_IN, attr, "a copy of x", err));
	TRY(copy(layer, bucket, BX_COPY_OUT, BX_PART, BX_Y, attr, "a copy of y", err));
	if (md[BX_PAD] != NULL) {
		TRY(fill(layer, bucket, attr, err));
	}
	if (md[BX_NARROW] != NULL) {
		TRY(copy(layer, bucket, BX_ROUND, bx_raw(p), BX_NARROW, attr, "rounding of scales", err));
		TRY(copy(layer, bucket, BX_WIDEN, BX_NARROW, bx_raw(p), attr, "widening of scales", err));
	}
	if (md[BX_QUOTIENT] != NULL) {
		TRY(copy(layer, bucket, BX_NARROWED, BX_TEMP, BX_QUOTIENT, attr, "rounding of quotients", err));
		TRY(copy(layer, bucket, BX_CONVERT, BX_QUOTIENT, BX_CODES, attr, "codes", err));
	}
	if (p->codes) {
		TRY(copy(layer, bucket, BX_CODES_OUT, BX_CODES, BX_USER, attr, "a copy of codes", err));
		TRY(copy(layer, bucket, BX_CODES_IN, BX_USER, BX_CODES, attr, "a copy of codes", err));
		TRY(copy(layer, bucket, BX_SCALES_OUT, BX_SCALE, BX_USER_SCALE, attr, "a copy of scales", err));
		TRY(copy(layer, bucket, BX_SCALES_IN, BX_USER_SCALE, BX_SCALE, attr, "a copy of scales", err));
	}
	return BITLANE_XPU_OK;
}

int32_t bx_bucket_copies(bitlane_xpu_layer *layer, bx_bucket *bucket, bx_err err) {
	dn_attr attr;
	TRY(bx_attr(layer, &attr, err));
	int32_t class_ = copies(layer, bucket, attr, err);
	layer->engine->library->dn.primitive_attr_destroy(attr);
	return class_;
}

/* Puts bytes for slot behind what is in the workspace. */
static void place(bx_bucket *bucket, int slot, int64_t bytes) {
	bucket->offset[slot] = bucket->facts.workspace;
	bucket->facts.workspace += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void bx_bucket_workspace(bitlane_xpu_layer *layer, bx_bucket *bucket, int64_t scratchpad) {
	const dn_functions *dn = &layer->engine->library->dn;
	const bitlane_xpu_plan *p = &layer->plan;
	int64_t rows = bucket->facts.rows;
	bucket->facts.scratchpad = scratchpad;
	for (int i = 0; i < BX_STEPS; i++) {
		if (bucket->run[i].scratchpad != NULL) {
			int64_t bytes = (int64_t)dn->memory_desc_get_size(bucket->run[i].scratchpad);
			bucket->facts.scratchpad = bytes > bucket->facts.scratchpad ? bytes : bucket->facts.scratchpad;
		}
	}
	place(bucket, BX_IN, rows * staged_stride(p) * bx_size(staged_type(p)));
	place(bucket, BX_DST, rows * p->n * bx_size(p->y_type));
	if (layer->slices > 1) {
		place(bucket, BX_SUM_PART, rows * p->n * bx_size(BITLANE_XPU_F32));
	}
	if (p->activations != BITLANE_XPU_EXACT) {
		place(bucket, BX_TEMP, rows * p->x_cols * bx_size(BITLANE_XPU_F32));
		place(bucket, BX_CODES, rows * p->k);
		place(bucket, BX_FINITE, rows * bx_size(BITLANE_XPU_F32));
		place(bucket, BX_RAW, rows * bx_size(BITLANE_XPU_F32));
		place(bucket, BX_SCALE, rows * bx_size(BITLANE_XPU_F32));
		if (bx_quotient(p) != BX_CODES) {
			place(bucket, BX_QUOTIENT, rows * p->x_cols * bx_size(p->x_type));
		}
		place(bucket, BX_NARROW, rows * bx_size(p->x_type));
		place(bucket, BX_MASK, rows * bx_size(BITLANE_XPU_F32));
	}
	bucket->scratch = bucket->facts.workspace;
	bucket->facts.workspace += (bucket->facts.scratchpad + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void bx_bucket_free(bitlane_xpu_layer *layer, bx_bucket *bucket) {
	const dn_functions *dn = &layer->engine->library->dn;
	for (int i = 0; i < BX_STEPS; i++) {
		if (bucket->run[i].primitive != NULL) {
			dn->primitive_destroy(bucket->run[i].primitive);
		}
		if (bucket->run[i].scratchpad != NULL) {
			dn->memory_desc_destroy(bucket->run[i].scratchpad);
		}
	}
	for (int i = 0; i < BX_SLOTS; i++) {
		if (bucket->md[i] != NULL) {
			dn->memory_desc_destroy(bucket->md[i]);
		}
	}
	memset(bucket, 0, sizeof *bucket);
}
