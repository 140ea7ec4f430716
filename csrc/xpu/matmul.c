//go:build xpu && cgo && linux

/*
 * The product of a bucket. k may be cut into slices, each a product of its own: the
 * first writes a sum in float32, those behind it add to it, the last one adds that sum to its
 * own, then the bias, and rounds to y's type. Scales of rows are multiplied
 * in behind the sum, or are oneDNN's scales of the source.
 */
#include "shim.h"

#include <stdio.h>
#include <string.h>

/* Varies along both dimensions. */
enum { BOTH = 3 };

/* One of the three products of a bucket. */
typedef struct {
	enum bx_step step;
	int src, weights, scales, zeros, dst;
	int64_t features;
} bx_product;

static int32_t scales_and_zeros(const bitlane_xpu_layer *layer, dn_attr attr, int64_t features, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	const bitlane_xpu_plan *p = &layer->plan;
	const int64_t group[] = {p->group < features ? p->group : features, 1};
	if (p->scale_type == 0) {
		return BITLANE_XPU_OK;
	}
	TRY(bx_status(err, dn->primitive_attr_set_scales(attr, DN_WEIGHTS, BOTH, 2, group, (int)p->scale_type), "scales of weights, %s for groups of %lld",
		bx_type_name(p->scale_type), (long long)group[0]));
	switch (p->zero_kind) {
	case BITLANE_XPU_ZERO_SCALAR:
		return bx_status(err, dn->primitive_attr_set_zero_points(attr, DN_WEIGHTS, 0, 0, NULL, (int)p->zero_type), "a zero point of weights, %s", bx_type_name(p->zero_type));
	case BITLANE_XPU_ZERO_GROUPED:
		return bx_status(err, dn->primitive_attr_set_zero_points(attr, DN_WEIGHTS, BOTH, 2, group, (int)p->zero_type), "zero points of weights, %s", bx_type_name(p->zero_type));
	}
	return BITLANE_XPU_OK;
}

/* Appends an operation on what slot holds, and its argument. */
static int32_t append(const bitlane_xpu_layer *layer, const bx_bucket *bucket, bx_run *run, dn_postops ops, int *count, int algorithm, int slot, bx_err err) {
	TRY(bx_status(err, layer->engine->library->dn.post_ops_append_binary(ops, algorithm, bx_md(layer, bucket, slot)), "an operation behind a product"));
	*count += 1;
	bx_arg(run, DN_POST_OP * *count | DN_SRC_1, slot);
	return BITLANE_XPU_OK;
}

/* What follows the sum over k, in its order. */
static int32_t operations(const bitlane_xpu_layer *layer, const bx_bucket *bucket, bx_run *run, const bx_product *product, dn_postops ops, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	const bitlane_xpu_plan *p = &layer->plan;
	int count = 0;
	if (product->step == BX_MIDDLE) {
		return bx_status(err, dn->post_ops_append_sum(ops, 1, 0, 0), "a sum behind a product");
	}
	if (product->step == BX_FIRST) {
		return BITLANE_XPU_OK;
	}
	if (layer->slices > 1) {
		TRY(append(layer, bucket, run, ops, &count, DN_BINARY_ADD, BX_SUM_PART, err));
	}
	if (p->activations != BITLANE_XPU_EXACT && p->row_scales == BITLANE_XPU_ROW_SCALES_AFTER) {
		TRY(append(layer, bucket, run, ops, &count, DN_BINARY_MUL, BX_SCALE, err));
	}
	if (p->bias_type != 0 && p->row_scales == BITLANE_XPU_ROW_SCALES_AFTER) {
		TRY(append(layer, bucket, run, ops, &count, DN_BINARY_ADD, BX_BIAS, err));
	}
	return BITLANE_XPU_OK;
}

static int32_t attributes(const bitlane_xpu_layer *layer, const bx_bucket *bucket, bx_run *run, const bx_product *product, dn_attr attr, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	const bitlane_xpu_plan *p = &layer->plan;
	TRY(scales_and_zeros(layer, attr, product->features, err));
	if (p->activations == BITLANE_XPU_EXACT && p->scale_type != 0) {
		TRY(bx_status(err, dn->primitive_attr_set_fpmath_mode_v2(attr, DN_FPMATH_STRICT, 1), "strict arithmetic on integer weights"));
	} else if (p->row_scales == BITLANE_XPU_ROW_SCALES_SOURCE) {
		const int64_t row[] = {1, p->k};
		TRY(bx_status(err, dn->primitive_attr_set_scales(attr, DN_SRC, BOTH, 2, row, BITLANE_XPU_F32), "scales of rows"));
		bx_arg(run, DN_SCALES | DN_SRC, BX_SCALE);
	}
	dn_postops ops = NULL;
	TRY(bx_status(err, dn->post_ops_create(&ops), "dnnl_post_ops_create"));
	int32_t class_ = operations(layer, bucket, run, product, ops, err);
	if (class_ == BITLANE_XPU_OK) {
		class_ = bx_status(err, dn->primitive_attr_set_post_ops(attr, ops), "operations behind a product");
	}
	dn->post_ops_destroy(ops);
	return class_;
}

static int32_t refuse(const bitlane_xpu_layer *layer, const bx_bucket *bucket, const char *name, bx_err err) {
	const bitlane_xpu_library_facts *v = &layer->engine->library->facts;
	return bx_fail(err, BITLANE_XPU_WRONG_IMPLEMENTATION, "oneDNN %lld.%lld.%lld has only \"%s\" for %lld x %lld by %lld: correct, but hundreds of times slower",
		(long long)v->major, (long long)v->minor, (long long)v->patch, name, (long long)bucket->facts.rows, (long long)layer->plan.k, (long long)layer->plan.n);
}

/* The primitive, without those of its arguments that attributes named. */
static int32_t primitive(bitlane_xpu_layer *layer, bx_bucket *bucket, const bx_product *product, dn_attr attr, bx_err err) {
	const bitlane_xpu_plan *p = &layer->plan;
	bx_run *run = &bucket->run[product->step];
	dn_md bias = p->bias_type != 0 && p->row_scales == BITLANE_XPU_ROW_SCALES_SOURCE ? bx_md(layer, bucket, BX_BIAS) : NULL;
	char what[160];
	snprintf(what, sizeof what, "a product of %lld x %lld %s by %lld x %lld %s in groups of %lld to %s", (long long)bucket->facts.rows, (long long)product->features,
		p->activations == BITLANE_XPU_EXACT ? bx_type_name(p->compute_type) : "s8", (long long)product->features, (long long)p->n, bx_type_name(p->weight_type),
		(long long)p->group, bx_type_name(p->y_type));
	dn_pd pd = NULL;
	int status = layer->engine->library->dn.matmul_primitive_desc_create(&pd, layer->engine->engine, bucket->md[product->src], bx_md(layer, bucket, product->weights),
		bias, bucket->md[product->dst], attr);
	TRY(bx_primitive(layer, run, status, pd, what, bucket->name, sizeof bucket->name, err));
	if (strstr(bucket->name, "ref") != NULL) {
		bucket->facts.reference = 1;
		if (p->refuse_reference) {
			return refuse(layer, bucket, bucket->name, err);
		}
	}
	bx_arg(run, DN_SRC, product->src);
	bx_arg(run, DN_WEIGHTS, product->weights);
	bx_arg(run, DN_DST, product->dst);
	if (p->scale_type != 0) {
		bx_arg(run, DN_SCALES | DN_WEIGHTS, product->scales);
	}
	if (p->zero_kind != BITLANE_XPU_ZERO_NONE) {
		bx_arg(run, DN_ZERO_POINTS | DN_WEIGHTS, product->zeros);
	}
	if (bias != NULL) {
		bx_arg(run, DN_BIAS, BX_BIAS);
	}
	return BITLANE_XPU_OK;
}

static int32_t make(bitlane_xpu_layer *layer, bx_bucket *bucket, const bx_product *product, bx_err err) {
	dn_attr attr;
	TRY(bx_attr(layer, &attr, err));
	int32_t class_ = attributes(layer, bucket, &bucket->run[product->step], product, attr, err);
	if (class_ == BITLANE_XPU_OK) {
		class_ = primitive(layer, bucket, product, attr, err);
	}
	layer->engine->library->dn.primitive_attr_destroy(attr);
	return class_;
}

int32_t bx_bucket_matmul(bitlane_xpu_layer *layer, bx_bucket *bucket, bx_err err) {
	/* The zero of all weights is one tensor for every slice. */
	int zeros = layer->plan.zero_kind == BITLANE_XPU_ZERO_SCALAR ? BX_ZEROS : BX_ZEROS_PART;
	const bx_product products[] = {
		{BX_FIRST, BX_SRC_PART, BX_WEIGHTS_PART, BX_SCALES_PART, zeros, BX_SUM_PART, layer->slice},
		{BX_MIDDLE, BX_SRC_PART, BX_WEIGHTS_PART, BX_SCALES_PART, zeros, BX_SUM_PART, layer->slice},
		{BX_MATMUL, BX_SRC, BX_WEIGHTS, BX_SCALES, BX_ZEROS, BX_DST, layer->last},
	};
	int64_t first = layer->slices > 1 ? 0 : 2;
	for (int64_t i = first; i < 3; i++) {
		if (products[i].step != BX_MIDDLE || layer->slices > 2) {
			TRY(make(layer, bucket, &products[i], err));
		}
	}
	return BITLANE_XPU_OK;
}
