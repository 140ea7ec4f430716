//go:build xpu && cgo && linux

/*
 * The recipe int8-token-xpu with oneDNN's primitives, in float32:
 *
 *	finite = Σ 0·x                          0, or NaN for a row that is not finite
 *	scale  = max(max|x| / 127, 1e-5) + finite, rounded to x_type
 *	code   = x / scale, half to even, saturated to -128 … 127
 *
 * The maximum is a true division: a product with 1/127 rounds otherwise. A
 * maximum may lose a NaN, which is why there is a sum. The codes of a row that is
 * not finite are whatever the conversion gives, its scale makes y NaN; who
 * wants to see codes gets 0, by a product with 0 = (scale == scale).
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
	int status = dn->binary_primitive_desc_create(&pd, layer->engine->engine, algorithm, bucket->md[src0], bucket->md[src1], bucket->md[dst], attr);
	bx_arg(&bucket->run[step], DN_SRC, src0);
	bx_arg(&bucket->run[step], DN_SRC_1, src1);
	bx_arg(&bucket->run[step], DN_DST, dst);
	return bx_primitive(layer, &bucket->run[step], status, pd, what, NULL, 0, err);
}

/* What follows the maximum of a row in its primitive. */
static const struct {
	int algorithm;
	int slot;
} after_max[] = {
	{DN_BINARY_DIV, BX_C127},
	{DN_BINARY_MAX, BX_LEAST},
	{DN_BINARY_ADD, BX_FINITE},
};

enum { AFTER_MAX = sizeof after_max / sizeof after_max[0] };

static int32_t scale_of_row(bitlane_xpu_layer *layer, bx_bucket *bucket, dn_attr attr, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	dn_postops ops = NULL;
	int32_t class_ = bx_status(err, dn->post_ops_create(&ops), "dnnl_post_ops_create");
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	for (int i = 0; i < AFTER_MAX && class_ == BITLANE_XPU_OK; i++) {
		class_ = bx_status(err, dn->post_ops_append_binary(ops, after_max[i].algorithm, bx_md(layer, bucket, after_max[i].slot)), "an operation behind the maximum of a row");
	}
	if (class_ == BITLANE_XPU_OK) {
		class_ = bx_status(err, dn->primitive_attr_set_post_ops(attr, ops), "operations behind the maximum of a row");
	}
	dn->post_ops_destroy(ops);
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	class_ = reduction(layer, bucket, BX_MAX, DN_REDUCTION_MAX, BX_SCALE, attr, "the scale of a row", err);
	for (int i = 0; i < AFTER_MAX; i++) {
		bx_arg(&bucket->run[BX_MAX], DN_POST_OP * (i + 1) | DN_SRC_1, after_max[i].slot);
	}
	return class_;
}

static int32_t steps(bitlane_xpu_layer *layer, bx_bucket *bucket, dn_attr plain, dn_attr with_ops, bx_err err) {
	TRY(eltwise(layer, bucket, BX_ZERO, DN_ELTWISE_LINEAR, plain, "zeros of finite x", err));
	TRY(reduction(layer, bucket, BX_SUM, DN_REDUCTION_SUM, BX_FINITE, plain, "the sum of a row", err));
	TRY(eltwise(layer, bucket, BX_ABS, DN_ELTWISE_ABS, plain, "absolute values", err));
	TRY(scale_of_row(layer, bucket, with_ops, err));
	TRY(binary(layer, bucket, BX_DIVIDE, DN_BINARY_DIV, BX_IN, BX_SCALE, BX_CODES, plain, "codes", err));
	if (layer->plan.codes) {
		TRY(binary(layer, bucket, BX_TEST, DN_BINARY_EQ, BX_SCALE, BX_SCALE, BX_MASK, plain, "a test for finite rows", err));
		TRY(binary(layer, bucket, BX_CLEAR, DN_BINARY_MUL, BX_CODES, BX_MASK, BX_CODES, plain, "codes of rows that are not finite", err));
	}
	return BITLANE_XPU_OK;
}

int32_t bx_bucket_quantizer(bitlane_xpu_layer *layer, bx_bucket *bucket, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	dn_attr plain = NULL, with_ops = NULL;
	int32_t class_ = bx_attr(layer, &plain, err);
	if (class_ == BITLANE_XPU_OK) {
		class_ = bx_attr(layer, &with_ops, err);
	}
	if (class_ == BITLANE_XPU_OK) {
		class_ = steps(layer, bucket, plain, with_ops, err);
	}
	if (with_ops != NULL) {
		dn->primitive_attr_destroy(with_ops);
	}
	if (plain != NULL) {
		dn->primitive_attr_destroy(plain);
	}
	return class_;
}
