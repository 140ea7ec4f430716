/* What the stand-in is told, and the objects that describe work. */
#include "fake.h"

#include <stdlib.h>
#include <string.h>

_Atomic int64_t fake_live[FAKE_KINDS];
static _Atomic int64_t creations;

int64_t fake_told(const char *name, int64_t standard) {
	const char *at = getenv("BITLANE_FAKE_ONEDNN");
	size_t length = strlen(name);
	while (at != NULL && at[0] != 0) {
		if (strncmp(at, name, length) == 0 && at[length] == '=') {
			return strtoll(at + length + 1, NULL, 10);
		}
		at = strchr(at, ',');
		at = at != NULL ? at + 1 : NULL;
	}
	return standard;
}

/* For tests: how many objects of each kind are alive, and how many were made. */
int64_t fake_alive(int64_t counts[FAKE_KINDS]);
int64_t fake_alive(int64_t counts[FAKE_KINDS]) {
	for (int i = 0; i < FAKE_KINDS; i++) {
		counts[i] = fake_live[i];
	}
	return creations;
}

int fake_create(enum fake_kind kind, void *out, size_t bytes) {
	int64_t turn = ++creations;
	void *object = turn == fake_told("oom", 0) ? NULL : calloc(1, bytes);
	memcpy(out, &object, sizeof object);
	if (object == NULL) {
		return DN_OUT_OF_MEMORY;
	}
	fake_live[kind]++;
	return DN_SUCCESS;
}

void fake_destroy(enum fake_kind kind, void *object) {
	fake_live[kind]--;
	free(object); /* a second time is for the address sanitizer */
}

const dn_version *dnnl_version(void) {
	static dn_version version;
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int64_t told = fake_told("version", 3013002);
	pthread_mutex_lock(&lock);
	version = (dn_version){(int)(told / 1000000), (int)(told / 1000 % 1000), (int)(told % 1000), "stand-in",
		(unsigned)fake_told("cpu", 512), (unsigned)fake_told("gpu", 512)};
	pthread_mutex_unlock(&lock);
	return &version;
}

int dnnl_memory_desc_create_with_strides(dn_md *out, int ndims, const int64_t *dims, int type, const int64_t *strides) {
	*out = NULL;
	if (ndims < 1 || ndims > 2) {
		return DN_INVALID_ARGUMENTS;
	}
	for (int i = 0; i < ndims; i++) {
		if (dims[i] < 1 || strides[i] < 1) {
			return DN_INVALID_ARGUMENTS;
		}
	}
	int status = fake_create(DESCRIPTORS, out, sizeof **out);
	if (status != DN_SUCCESS) {
		return status;
	}
	/* One dimension is the second of two. */
	**out = (struct dn_md_){ndims, {1, dims[0]}, {dims[0] * strides[0], strides[0]}, type};
	if (ndims == 2) {
		**out = (struct dn_md_){ndims, {dims[0], dims[1]}, {strides[0], strides[1]}, type};
	}
	return DN_SUCCESS;
}

int64_t fake_bytes(const struct dn_md_ *md) {
	int64_t elements = (md->dims[0] - 1) * md->strides[0] + (md->dims[1] - 1) * md->strides[1] + 1;
	switch (md->type) {
	case F32:
	case S32: return 4 * elements;
	case F16:
	case BF16: return 2 * elements;
	case S4:
	case U4: return (elements + 1) / 2;
	}
	return elements;
}

size_t dnnl_memory_desc_get_size(dn_md md) { return md == NULL || md->ndims == 0 ? 0 : (size_t)fake_bytes(md); }

int dnnl_memory_desc_destroy(dn_md md) {
	fake_destroy(DESCRIPTORS, md);
	return DN_SUCCESS;
}

int dnnl_primitive_attr_create(dn_attr *out) { return fake_create(ATTRS, out, sizeof **out); }

int dnnl_primitive_attr_destroy(dn_attr attr) {
	fake_destroy(ATTRS, attr);
	return DN_SUCCESS;
}

int dnnl_primitive_attr_set_scratchpad_mode(dn_attr attr, int mode) {
	attr->scratchpad = mode;
	return DN_SUCCESS;
}

#ifndef FAKE_WITHOUT_DETERMINISTIC
int dnnl_primitive_attr_set_deterministic(dn_attr attr, int value) {
	(void)attr;
	return value == 0 || value == 1 ? DN_SUCCESS : DN_INVALID_ARGUMENTS;
}
#endif

int dnnl_primitive_attr_set_fpmath_mode_v2(dn_attr attr, int mode, int apply_to_int) {
	(void)attr;
	return mode == DN_FPMATH_STRICT && apply_to_int == 1 ? DN_SUCCESS : DN_INVALID_ARGUMENTS;
}

int dnnl_primitive_attr_set_scales(dn_attr attr, int arg, int mask, int ndims, const int64_t *group, int type) {
	if (mask != 3 || ndims != 2 || (type != F32 && type != F16 && type != BF16)) {
		return DN_INVALID_ARGUMENTS;
	}
	if (arg == DN_SRC) {
		attr->row_scales = group[0] == 1;
		return group[0] == 1 ? DN_SUCCESS : DN_INVALID_ARGUMENTS;
	}
	attr->scale_type = type;
	attr->scale_group = group[0];
	return arg == DN_WEIGHTS && group[1] == 1 ? DN_SUCCESS : DN_INVALID_ARGUMENTS;
}

int dnnl_primitive_attr_set_zero_points(dn_attr attr, int arg, int mask, int ndims, const int64_t *group, int type) {
	if (arg != DN_WEIGHTS || (mask == 0 && (ndims != 0 || type == U4)) || (mask != 0 && mask != 3)) {
		return DN_INVALID_ARGUMENTS;
	}
	attr->zero_group = mask == 0 ? -1 : group[0];
	return DN_SUCCESS;
}

int dnnl_primitive_attr_set_post_ops(dn_attr attr, dn_postops ops) {
	attr->ops = *ops;
	return DN_SUCCESS;
}

int dnnl_post_ops_create(dn_postops *out) { return fake_create(POST_OPS, out, sizeof **out); }

int dnnl_post_ops_destroy(dn_postops ops) {
	fake_destroy(POST_OPS, ops);
	return DN_SUCCESS;
}

static int append(dn_postops ops, fake_op op) {
	if (ops->count == MAX_OPS) {
		return DN_OUT_OF_MEMORY;
	}
	ops->ops[ops->count++] = op;
	return DN_SUCCESS;
}

int dnnl_post_ops_append_binary(dn_postops ops, int algorithm, dn_md md) { return append(ops, (fake_op){algorithm, *md}); }

int dnnl_post_ops_append_sum(dn_postops ops, float scale, int32_t zero_point, int type) {
	return scale == 1 && zero_point == 0 && type == 0 ? append(ops, (fake_op){0}) : DN_INVALID_ARGUMENTS;
}

static int describe(dn_pd *out, fake_work work, dn_attr attr) {
	int status = fake_create(PDS, out, sizeof **out);
	if (status != DN_SUCCESS) {
		return status;
	}
	if (attr != NULL) {
		work.attr = *attr;
	}
	/* Products and reductions want some bytes, so that scratchpads are tested. */
	if (work.attr.scratchpad == DN_SCRATCHPAD_USER && (work.kind == MATMUL || work.kind == REDUCTION)) {
		int64_t bytes = 64 + work.dst.dims[0];
		work.scratchpad = (struct dn_md_){1, {1, bytes}, {bytes, 1}, U8};
	}
	(*out)->work = work;
	return DN_SUCCESS;
}

int dnnl_matmul_primitive_desc_create(dn_pd *out, dn_engine engine, dn_md src, dn_md weights, dn_md bias, dn_md dst, dn_attr attr) {
	*out = NULL;
	if (src->dims[1] != weights->dims[0] || src->dims[0] != dst->dims[0] || weights->dims[1] != dst->dims[1]) {
		return DN_INVALID_ARGUMENTS;
	}
	if (fake_told("unimplemented", 0) || (attr->scale_group != 0 && weights->dims[0] % attr->scale_group != 0)) {
		return DN_UNIMPLEMENTED;
	}
	fake_work work = {.kind = MATMUL, .engine = engine, .src = *src, .other = *weights, .dst = *dst, .has_bias = bias != NULL};
	if (bias != NULL) {
		work.bias = *bias;
	}
	return describe(out, work, attr);
}

int dnnl_eltwise_forward_primitive_desc_create(dn_pd *out, dn_engine engine, int prop, int algorithm, dn_md src, dn_md dst, float alpha, float beta, dn_attr attr) {
	*out = NULL;
	if (prop != DN_FORWARD_INFERENCE || src->type != F32) {
		return DN_UNIMPLEMENTED;
	}
	return describe(out, (fake_work){.kind = ELTWISE, .engine = engine, .algorithm = algorithm, .alpha = alpha, .beta = beta, .src = *src, .dst = *dst}, attr);
}

int dnnl_reduction_primitive_desc_create(dn_pd *out, dn_engine engine, int algorithm, dn_md src, dn_md dst, float p, float eps, dn_attr attr) {
	*out = NULL;
	if (p != 0 || eps != 0 || dst->dims[1] != 1 || src->dims[0] != dst->dims[0]) {
		return DN_INVALID_ARGUMENTS;
	}
	return describe(out, (fake_work){.kind = REDUCTION, .engine = engine, .algorithm = algorithm, .src = *src, .dst = *dst}, attr);
}

int dnnl_binary_primitive_desc_create(dn_pd *out, dn_engine engine, int algorithm, dn_md src0, dn_md src1, dn_md dst, dn_attr attr) {
	*out = NULL;
	return describe(out, (fake_work){.kind = BINARY, .engine = engine, .algorithm = algorithm, .src = *src0, .other = *src1, .dst = *dst}, attr);
}

int dnnl_reorder_primitive_desc_create(dn_pd *out, dn_md src, dn_engine src_engine, dn_md dst, dn_engine dst_engine, dn_attr attr) {
	*out = NULL;
	if (src_engine != dst_engine || src->dims[0] != dst->dims[0] || src->dims[1] != dst->dims[1]) {
		return DN_INVALID_ARGUMENTS;
	}
	return describe(out, (fake_work){.kind = REORDER, .engine = src_engine, .src = *src, .dst = *dst}, attr);
}

int dnnl_primitive_desc_query(dn_pd pd, int what, int index, void *result) {
	const char *name = pd->work.kind == MATMUL && fake_told("ref", 0) ? "ocl:ref:any" : "jit:stand-in:any";
	if (what != DN_QUERY_IMPLEMENTATION || index != 0) {
		return DN_INVALID_ARGUMENTS;
	}
	memcpy(result, &name, sizeof name);
	return DN_SUCCESS;
}

dn_md dnnl_primitive_desc_query_md(dn_pd pd, int what, int index) { return what == DN_QUERY_SCRATCHPAD && index == 0 ? &pd->work.scratchpad : NULL; }

int dnnl_primitive_desc_destroy(dn_pd pd) {
	fake_destroy(PDS, pd);
	return DN_SUCCESS;
}

int dnnl_primitive_create(dn_primitive *out, dn_pd pd) {
	int status = fake_create(PRIMITIVES, out, sizeof **out);
	if (status == DN_SUCCESS) {
		(*out)->work = pd->work;
	}
	return status;
}

int dnnl_primitive_destroy(dn_primitive primitive) {
	fake_destroy(PRIMITIVES, primitive);
	return DN_SUCCESS;
}
