//go:build xpu && cgo && linux

/*
 * Calls of a layer. A call with fewer rows than its bucket has them copied to the
 * workspace, where rows behind them are whatever it held: they are computed and
 * dropped. Copies go in pieces of whole buckets, so that no primitive is made
 * for a number of rows; rows with gaps between them go one by one.
 */
#include "shim.h"

/* One call: its binding, its bucket, its rows, its workspace. */
typedef struct {
	bitlane_xpu_binding *binding;
	const bitlane_xpu_plan *plan;
	const bx_bucket *bucket;
	int64_t number; /* of the bucket */
	int64_t rows;
	char *workspace;
	void *scratchpad;
	bx_err err;
} bx_call;

/* Rows somewhere: what of the bucket they are, and bytes from one to the next. */
typedef struct {
	int slot;
	char *at;
	int64_t stride;  /* of these rows, */
	int64_t natural; /* and of the tensor's descriptor */
} bx_rows;

static int32_t begin(bx_call *call, bitlane_xpu_binding *binding, int64_t rows, void *workspace, int64_t workspace_bytes, bx_err err) {
	const bitlane_xpu_layer *layer = binding->layer;
	if (rows < 1 || rows > layer->plan.max_rows) {
		return bx_fail(err, BITLANE_XPU_INVALID, "%lld rows of at most %lld", (long long)rows, (long long)layer->plan.max_rows);
	}
	int64_t number = 0;
	while (layer->buckets[number].facts.rows < rows) {
		number++;
	}
	const bx_bucket *bucket = &layer->buckets[number];
	if (workspace_bytes < bucket->facts.workspace || workspace == NULL) {
		return bx_fail(err, BITLANE_XPU_INVALID, "a workspace of %lld bytes, %lld are wanted for %lld rows", (long long)workspace_bytes,
			(long long)bucket->facts.workspace, (long long)rows);
	}
	*call = (bx_call){binding, &layer->plan, bucket, number, rows, workspace, (char *)workspace + bucket->scratch, err};
	return BITLANE_XPU_OK;
}

static char *staged(const bx_call *call, int slot) { return call->workspace + call->bucket->offset[slot]; }

static int32_t point(const bx_call *call, int slot, void *at) { return bx_point(call->binding, call->number, slot, at, call->err); }

static int32_t run(const bx_call *call, enum bx_step step) { return bx_execute(call->binding, call->number, step, call->scratchpad, call->err); }

/* Whether rows of stride can be used where they are. */
static int in_place(const bx_call *call, int64_t stride, int64_t natural) {
	return call->rows == call->bucket->facts.rows && (stride == natural || call->rows == 1);
}

static int32_t copy_rows(const bx_call *call, enum bx_step step, bx_rows src, bx_rows dst) {
	const bx_bucket *buckets = call->binding->layer->buckets;
	int whole = src.stride == src.natural && dst.stride == dst.natural;
	int64_t number = whole ? call->number : 0;
	for (int64_t done = 0; done < call->rows;) {
		while (buckets[number].facts.rows > call->rows - done) {
			number--;
		}
		TRY(bx_point(call->binding, number, src.slot, src.at + done * src.stride, call->err));
		TRY(bx_point(call->binding, number, dst.slot, dst.at + done * dst.stride, call->err));
		TRY(bx_execute(call->binding, number, step, call->scratchpad, call->err));
		done += buckets[number].facts.rows;
	}
	return BITLANE_XPU_OK;
}

/* Copies x to the workspace, turned into type, rows stride elements apart. */
static int32_t copy_in(const bx_call *call, void *x, int64_t x_stride, int64_t type, int64_t stride) {
	const bitlane_xpu_plan *p = call->plan;
	int64_t size = bx_size(p->x_type), staged_row = stride * bx_size(type);
	return copy_rows(call, BX_COPY_IN, (bx_rows){BX_X, x, x_stride * size, p->x_cols * size}, (bx_rows){BX_IN, staged(call, BX_IN), staged_row, staged_row});
}

/* Points BX_IN to x in float32. */
static int32_t widened(const bx_call *call, void *x, int64_t x_stride) {
	const bitlane_xpu_plan *p = call->plan;
	if (p->x_type == BITLANE_XPU_F32 && in_place(call, x_stride, p->x_cols)) {
		return point(call, BX_IN, x);
	}
	TRY(copy_in(call, x, x_stride, BITLANE_XPU_F32, p->x_cols));
	return point(call, BX_IN, staged(call, BX_IN));
}

/* Codes and scales of x into the workspace. */
static int32_t quantized(const bx_call *call, void *x, int64_t x_stride) {
	static const int places[] = {BX_TEMP, BX_FINITE, BX_RAW, BX_SCALE, BX_NARROW, BX_QUOTIENT, BX_CODES};
	static const enum bx_step steps[] = {BX_ZERO, BX_SUM, BX_ABS, BX_MAX, BX_ROUND, BX_WIDEN, BX_REPLACE, BX_DIVIDE, BX_NARROWED, BX_CONVERT};
	TRY(widened(call, x, x_stride));
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		if (call->bucket->md[places[i]] != NULL) {
			TRY(point(call, places[i], staged(call, places[i])));
		}
	}
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		if (call->bucket->run[steps[i]].primitive != NULL) {
			TRY(run(call, steps[i]));
		}
	}
	return BITLANE_XPU_OK;
}

/* Where x is in compute_type, rows k apart. */
static int32_t turned(const bx_call *call, void *x, int64_t x_stride, char **out) {
	const bitlane_xpu_plan *p = call->plan;
	*out = x;
	if (p->x_type == p->compute_type && p->x_cols == p->k && in_place(call, x_stride, p->k)) {
		return BITLANE_XPU_OK;
	}
	*out = staged(call, BX_IN);
	TRY(copy_in(call, x, x_stride, p->compute_type, p->k));
	if (p->x_cols == p->k) {
		return BITLANE_XPU_OK;
	}
	TRY(point(call, BX_PAD, *out + p->x_cols * bx_size(p->compute_type)));
	return run(call, BX_FILL);
}

/* The sum of all slices but the last; src is where the first begins. */
static int32_t slices(const bx_call *call, char *src) {
	bitlane_xpu_binding *binding = call->binding;
	const bitlane_xpu_layer *layer = binding->layer;
	TRY(point(call, BX_SUM_PART, staged(call, BX_SUM_PART)));
	for (int64_t i = 0; i < layer->slices - 1; i++) {
		for (int part = 0; part < BX_PARTS; part++) {
			binding->own[BX_WEIGHTS_PART - BX_SLOTS + part].memory = binding->parts[i * BX_PARTS + part].memory;
		}
		TRY(point(call, BX_SRC_PART, src + i * layer->slice * bx_size(call->plan->compute_type)));
		TRY(run(call, i == 0 ? BX_FIRST : BX_MIDDLE));
	}
	return BITLANE_XPU_OK;
}

/* The product of what is at src; BX_SCALE points to the scales of rows. */
static int32_t product(const bx_call *call, char *src, void *y, int64_t y_stride) {
	const bitlane_xpu_plan *p = call->plan;
	const bitlane_xpu_layer *layer = call->binding->layer;
	int64_t size = bx_size(p->y_type);
	int direct = p->y_cols == p->n && in_place(call, y_stride, p->n);
	if (layer->slices > 1) {
		TRY(slices(call, src));
		src += (layer->slices - 1) * layer->slice * bx_size(p->compute_type);
	}
	TRY(point(call, BX_SRC, src));
	TRY(point(call, BX_DST, direct ? y : staged(call, BX_DST)));
	TRY(run(call, BX_MATMUL));
	if (direct) {
		return BITLANE_XPU_OK;
	}
	return copy_rows(call, BX_COPY_OUT, (bx_rows){BX_PART, staged(call, BX_DST), p->n * size, p->n * size}, (bx_rows){BX_Y, y, y_stride * size, p->y_cols * size});
}

static int32_t check_stride(const char *what, const void *at, int64_t stride, int64_t cols, bx_err err) {
	if (at == NULL || stride < cols || stride > INT64_MAX >> 34) {
		return bx_fail(err, BITLANE_XPU_INVALID, "%s at %p with rows %lld elements apart, of %lld", what, at, (long long)stride, (long long)cols);
	}
	return BITLANE_XPU_OK;
}

int32_t bitlane_xpu_apply(bitlane_xpu_binding *binding, void *x, int64_t x_stride, void *y, int64_t y_stride, int64_t rows, void *workspace, int64_t workspace_bytes, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	bx_call call;
	if (rows == 0) {
		return BITLANE_XPU_OK;
	}
	TRY(begin(&call, binding, rows, workspace, workspace_bytes, err));
	TRY(check_stride("x", x, x_stride, call.plan->x_cols, err));
	TRY(check_stride("y", y, y_stride, call.plan->y_cols, err));
	if (call.plan->activations == BITLANE_XPU_EXACT) {
		char *src;
		TRY(turned(&call, x, x_stride, &src));
		return product(&call, src, y, y_stride);
	}
	TRY(quantized(&call, x, x_stride));
	return product(&call, staged(&call, BX_CODES), y, y_stride);
}

static int32_t check_codes(const bx_call *call, const void *codes, const void *scales) {
	if (!call->plan->codes) {
		return bx_fail(call->err, BITLANE_XPU_INVALID, "the plan has no codes");
	}
	if (codes == NULL || scales == NULL) {
		return bx_fail(call->err, BITLANE_XPU_INVALID, "codes or scales are NULL");
	}
	return BITLANE_XPU_OK;
}

/* Scales and codes in the workspace, and the caller's. */
static bx_rows scales_of(const bx_call *call) { return (bx_rows){BX_SCALE, staged(call, BX_SCALE), 4, 4}; }
static bx_rows user_scales(void *at) { return (bx_rows){BX_USER_SCALE, at, 4, 4}; }
static bx_rows codes_of(const bx_call *call) { return (bx_rows){BX_CODES, staged(call, BX_CODES), call->plan->k, call->plan->k}; }
static bx_rows user_codes(const bx_call *call, void *at) { return (bx_rows){BX_USER, at, call->plan->x_cols, call->plan->x_cols}; }

int32_t bitlane_xpu_quantize(bitlane_xpu_binding *binding, void *x, int64_t x_stride, void *codes, void *scales, int64_t rows, void *workspace, int64_t workspace_bytes, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	bx_call call;
	if (rows == 0) {
		return BITLANE_XPU_OK;
	}
	TRY(begin(&call, binding, rows, workspace, workspace_bytes, err));
	TRY(check_codes(&call, codes, scales));
	TRY(check_stride("x", x, x_stride, call.plan->x_cols, err));
	TRY(quantized(&call, x, x_stride));
	TRY(point(&call, BX_MASK, staged(&call, BX_MASK)));
	TRY(run(&call, BX_TEST));
	TRY(run(&call, BX_CLEAR));
	TRY(copy_rows(&call, BX_SCALES_OUT, scales_of(&call), user_scales(scales)));
	return copy_rows(&call, BX_CODES_OUT, codes_of(&call), user_codes(&call, codes));
}

int32_t bitlane_xpu_apply_codes(bitlane_xpu_binding *binding, void *codes, void *scales, void *y, int64_t y_stride, int64_t rows, void *workspace, int64_t workspace_bytes, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	bx_call call;
	if (rows == 0) {
		return BITLANE_XPU_OK;
	}
	TRY(begin(&call, binding, rows, workspace, workspace_bytes, err));
	TRY(check_codes(&call, codes, scales));
	TRY(check_stride("y", y, y_stride, call.plan->y_cols, err));
	int whole = rows == call.bucket->facts.rows;
	if (whole) {
		TRY(point(&call, BX_SCALE, scales));
	} else {
		TRY(copy_rows(&call, BX_SCALES_IN, user_scales(scales), scales_of(&call)));
		TRY(point(&call, BX_SCALE, staged(&call, BX_SCALE)));
	}
	if (whole && call.plan->x_cols == call.plan->k) {
		return product(&call, codes, y, y_stride);
	}
	TRY(copy_rows(&call, BX_CODES_IN, user_codes(&call, codes), codes_of(&call)));
	return product(&call, staged(&call, BX_CODES), y, y_stride);
}
