//go:build xpu && cgo && linux

/* The product of a bucket. Scales of rows are in the form "mask 3, groups {1, k}",
 * which all of oneDNN's implementations know. */
#include "shim.h"

#include <stdio.h>
#include <string.h>

/* Varies along both dimensions. */
enum { BOTH = 3 };

static int32_t attributes(const bitlane_xpu_layer *layer, dn_attr attr, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	const bitlane_xpu_plan *p = &layer->plan;
	const int64_t group[] = {p->group, 1}, row[] = {1, p->k};
	int status = dn->primitive_attr_set_scales(attr, DN_WEIGHTS, BOTH, 2, group, (int)p->scale_type);
	if (status != DN_SUCCESS) {
		return bx_status(err, status, "scales of weights, %s for groups of %lld", bx_type_name(p->scale_type), (long long)p->group);
	}
	switch (p->zero_kind) {
	case BITLANE_XPU_ZERO_SCALAR:
		status = dn->primitive_attr_set_zero_points(attr, DN_WEIGHTS, 0, 0, NULL, (int)p->zero_type);
		break;
	case BITLANE_XPU_ZERO_GROUPED:
		status = dn->primitive_attr_set_zero_points(attr, DN_WEIGHTS, BOTH, 2, group, (int)p->zero_type);
		break;
	}
	if (status != DN_SUCCESS) {
		return bx_status(err, status, "zero points of weights, %s", bx_type_name(p->zero_type));
	}
	if (p->activations == BITLANE_XPU_INT8_TOKEN) {
		return bx_status(err, dn->primitive_attr_set_scales(attr, DN_SRC, BOTH, 2, row, BITLANE_XPU_F32), "scales of rows");
	}
	return bx_status(err, dn->primitive_attr_set_fpmath_mode_v2(attr, DN_FPMATH_STRICT, 1), "strict arithmetic on integer weights");
}

int32_t bx_bucket_matmul(bitlane_xpu_layer *layer, bx_bucket *bucket, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	const bitlane_xpu_plan *p = &layer->plan;
	bx_run *run = &bucket->run[BX_MATMUL];
	dn_attr attr;
	int32_t class_ = bx_attr(layer, &attr, err);
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	class_ = attributes(layer, attr, err);
	if (class_ == BITLANE_XPU_OK) {
		char what[160];
		snprintf(what, sizeof what, "a product of %lld x %lld %s by %lld x %lld %s in groups of %lld to %s", (long long)bucket->facts.rows, (long long)p->k,
			p->activations == BITLANE_XPU_EXACT ? bx_type_name(p->compute_type) : "s8", (long long)p->k, (long long)p->n, bx_type_name(p->weight_type),
			(long long)p->group, bx_type_name(p->y_type));
		dn_pd pd = NULL;
		int status = dn->matmul_primitive_desc_create(&pd, layer->engine->engine, bucket->md[BX_SRC], bx_md(layer, bucket, BX_WEIGHTS),
			bx_md(layer, bucket, BX_BIAS), bucket->md[BX_DST], attr);
		class_ = bx_primitive(layer, run, status, pd, what, bucket->name, sizeof bucket->name, err);
	}
	dn->primitive_attr_destroy(attr);
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	bucket->facts.reference = strstr(bucket->name, "ref") != NULL;
	if (bucket->facts.reference && p->refuse_reference) {
		return bx_fail(err, BITLANE_XPU_WRONG_IMPLEMENTATION, "oneDNN %lld.%lld.%lld has only \"%s\" for %lld x %lld by %lld: correct, but hundreds of times slower",
			(long long)layer->engine->library->facts.major, (long long)layer->engine->library->facts.minor, (long long)layer->engine->library->facts.patch,
			bucket->name, (long long)bucket->facts.rows, (long long)p->k, (long long)p->n);
	}
	bx_arg(run, DN_SRC, BX_SRC);
	bx_arg(run, DN_WEIGHTS, BX_WEIGHTS);
	bx_arg(run, DN_DST, BX_DST);
	bx_arg(run, DN_SCALES | DN_WEIGHTS, BX_SCALES);
	if (p->zero_kind != BITLANE_XPU_ZERO_NONE) {
		bx_arg(run, DN_ZERO_POINTS | DN_WEIGHTS, BX_ZEROS);
	}
	if (p->bias_type != 0) {
		bx_arg(run, DN_BIAS, BX_BIAS);
	}
	if (p->activations == BITLANE_XPU_INT8_TOKEN) {
		bx_arg(run, DN_SCALES | DN_SRC, BX_SCALE);
	}
	return BITLANE_XPU_OK;
}
