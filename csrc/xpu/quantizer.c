//go:build xpu && cgo && linux

/*
 * Two recipes with oneDNN's primitives, in float32. Of both:
 *
 *	finite = Σ 0·x                          0, or NaN for a row that is not finite
 *
 * int8-token-xpu:
 *
 *	scale  = max(max|x| / 127, 1e-5) + finite, rounded to x_type
 *	code   = x / scale, half to even, saturated to -128 … 127
 *
 * int8-token:
 *
 *	raw    = max|x| / 127.5 + finite, rounded to x_type
 *	scale  = raw, or x_type's epsilon where raw is 0: (raw == 0)·epsilon + raw
 *	code   = x / scale, rounded to x_type, saturated, half to even
 *
 * One thing is not the recipe's: oneDNN rounds what would be subnormal in bfloat16 to 0,
 * so that the scale of a row of bfloat16 whose largest |x| is below 2⁻¹¹⁹ is the epsilon.
 *
 * Divisions are divisions: a product with 1/127 rounds otherwise. A maximum may
 * lose a NaN, which is why there is a sum. The codes of a row that is not
 * finite are whatever the conversion gives, its scale makes y NaN; who wants to
 * see codes gets 0, by a product with 0 = (scale == scale).
 */
#include "shim.h"

static int32_t eltwise(bitlane_xpu_layer *layer, bx_bucket *bucket, enum bx_step step, int algorithm, dn_attr attr, const char *what, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	dn_pd pd = NULL;
	int status = dn->eltwise_forward_primitive_desc_create(&pd, layer->engine->engine, DN_FORWARD_INFERENCE, algorithm, bucket->md[BX_IN], bucket->md[BX_TEMP], 0, 0, attr);
	bx_arg(&bucket->run[step], DN_SRC, BX_IN);
	bx_arg(&bucket->run[step], DN_DST, BX_TEMP);
	return bx_primitive(layer, &bucket->run[step], status, pd, what, NULL, 0, err);
}

static int32_t reduction(bitlane_xpu_layer *layer, bx_bucket *bucket, enum bx_step step, int algorithm, int dst, dn_attr attr, const char *what, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	dn_pd pd = NULL;
	int status = dn->reduction_primitive_desc_create(&pd, layer->engine->engine, algorithm, bucket->md[BX_TEMP], bucket->md[dst], 0, 0, attr);
	bx_arg(&bucket->run[step], DN_SRC, BX_TEMP);
	bx_arg(&bucket->run[step], DN_DST, dst);
	return bx_primitive(layer, &bucket->run[step], status, pd, what, NULL, 0, err);
}

static int32_t binary(bitlane_xpu_layer *layer, bx_bucket *bucket, enum bx_step step, int algorithm, int src0, int src1, int dst, dn_attr attr, const char *what, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	dn_pd pd = NULL;
	int status = dn->binary_primitive_desc_create(&pd, layer->engine->engine, algorithm, bx_md(layer, bucket, src0), bx_md(layer, bucket, src1), bx_md(layer, bucket, dst), attr);
	bx_arg(&bucket->run[step], DN_SRC, src0);
	bx_arg(&bucket->run[step], DN_SRC_1, src1);
	bx_arg(&bucket->run[step], DN_DST, dst);
	return bx_primitive(layer, &bucket->run[step], status, pd, what, NULL, 0, err);
}

int bx_raw(const bitlane_xpu_plan *plan) { return plan->activations == BITLANE_XPU_INT8_TOKEN_CT ? BX_RAW : BX_SCALE; }

int bx_quotient(const bitlane_xpu_plan *plan) {
	return plan->activations == BITLANE_XPU_INT8_TOKEN_CT && plan->x_type != BITLANE_XPU_F32 ? BX_TEMP : BX_CODES;
}

/* An operation behind another in its primitive, with what slot holds. */
typedef struct {
	int algorithm;
	int slot;
} bx_after;

/* Puts operations into attr and their arguments into run. */
static int32_t behind(const bitlane_xpu_layer *layer, const bx_bucket *bucket, bx_run *run, dn_attr attr, const bx_after *after, int count, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	dn_postops ops = NULL;
	int32_t class_ = bx_status(err, dn->post_ops_create(&ops), "dnnl_post_ops_create");
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	for (int i = 0; i < count && class_ == BITLANE_XPU_OK; i++) {
		class_ = bx_status(err, dn->post_ops_append_binary(ops, after[i].algorithm, bx_md(layer, bucket, after[i].slot)), "an operation of a row's scale");
		bx_arg(run, DN_POST_OP * (i + 1) | DN_SRC_1, after[i].slot);
	}
	if (class_ == BITLANE_XPU_OK) {
		class_ = bx_status(err, dn->primitive_attr_set_post_ops(attr, ops), "operations of a row's scale");
	}
	dn->post_ops_destroy(ops);
	return class_;
}

static int32_t scale_of_row(bitlane_xpu_layer *layer, bx_bucket *bucket, dn_attr attr, bx_err err) {
	static const bx_after clamped[] = {{DN_BINARY_DIV, BX_LARGEST}, {DN_BINARY_MAX, BX_LEAST}, {DN_BINARY_ADD, BX_FINITE}};
	static const bx_after divided[] = {{DN_BINARY_DIV, BX_LARGEST}, {DN_BINARY_ADD, BX_FINITE}};
	int raw = bx_raw(&layer->plan);
	TRY(behind(layer, bucket, &bucket->run[BX_MAX], attr, raw == BX_RAW ? divided : clamped, raw == BX_RAW ? 2 : 3, err));
	return reduction(layer, bucket, BX_MAX, DN_REDUCTION_MAX, raw, attr, "the scale of a row", err);
}

/* One step with operations behind it. */
static int32_t with_operations(bitlane_xpu_layer *layer, bx_bucket *bucket, int32_t (*make)(bitlane_xpu_layer *, bx_bucket *, dn_attr, bx_err), bx_err err) {
	dn_attr attr;
	TRY(bx_attr(layer, &attr, err));
	int32_t class_ = make(layer, bucket, attr, err);
	layer->engine->library->dn.primitive_attr_destroy(attr);
	return class_;
}

static int32_t replaced_zero(bitlane_xpu_layer *layer, bx_bucket *bucket, dn_attr attr, bx_err err) {
	static const bx_after replaced[] = {{DN_BINARY_MUL, BX_LEAST}, {DN_BINARY_ADD, BX_RAW}};
	TRY(behind(layer, bucket, &bucket->run[BX_REPLACE], attr, replaced, 2, err));
	return binary(layer, bucket, BX_REPLACE, DN_BINARY_EQ, BX_RAW, BX_NULL, BX_SCALE, attr, "the scale of a row of zeros", err);
}

static int32_t steps(bitlane_xpu_layer *layer, bx_bucket *bucket, dn_attr plain, bx_err err) {
	TRY(eltwise(layer, bucket, BX_ZERO, DN_ELTWISE_LINEAR, plain, "zeros of finite x", err));
	TRY(reduction(layer, bucket, BX_SUM, DN_REDUCTION_SUM, BX_FINITE, plain, "the sum of a row", err));
	TRY(eltwise(layer, bucket, BX_ABS, DN_ELTWISE_ABS, plain, "absolute values", err));
	TRY(with_operations(layer, bucket, scale_of_row, err));
	if (bx_raw(&layer->plan) == BX_RAW) {
		TRY(with_operations(layer, bucket, replaced_zero, err));
	}
	TRY(binary(layer, bucket, BX_DIVIDE, DN_BINARY_DIV, BX_IN, BX_SCALE, bx_quotient(&layer->plan), plain, "codes", err));
	if (layer->plan.codes) {
		TRY(binary(layer, bucket, BX_TEST, DN_BINARY_EQ, BX_SCALE, BX_SCALE, BX_MASK, plain, "a test for finite rows", err));
		TRY(binary(layer, bucket, BX_CLEAR, DN_BINARY_MUL, BX_CODES, BX_MASK, BX_CODES, plain, "codes of rows that are not finite", err));
	}
	return BITLANE_XPU_OK;
}

int32_t bx_bucket_quantizer(bitlane_xpu_layer *layer, bx_bucket *bucket, bx_err err) {
	dn_attr plain;
	TRY(bx_attr(layer, &plain, err));
	int32_t class_ = steps(layer, bucket, plain, err);
	layer->engine->library->dn.primitive_attr_destroy(plain);
	return class_;
}
