//go:build xpu && cgo && linux

/* Layers: the primitives of a plan for every bucket, and constants. */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>

/* Where the descriptor of a tensor of the layer is. */
static dn_md *own(bitlane_xpu_layer *layer, int slot) { return &layer->md[slot - BX_SLOTS]; }

static int32_t constant(bitlane_xpu_layer *layer, int slot, const void *value, size_t bytes, bx_err err) {
	return bx_constant(layer->engine, *own(layer, slot), value, bytes, &layer->constant[slot - BX_SLOTS], err);
}

/* Weights, scales and zeros of a slice of so many features, at slots from first on. */
static int32_t slice_tensors(bitlane_xpu_layer *layer, int64_t features, int first, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	const bitlane_xpu_plan *p = &layer->plan;
	int k_first = p->weight_order == BITLANE_XPU_K_CONTIGUOUS;
	int64_t groups = p->group < features ? features / p->group : 1;
	TRY(bx_matrix(dn, features, p->n, k_first ? 1 : p->weight_stride, k_first ? p->weight_stride : 1, p->weight_type, own(layer, first), err));
	if (p->scale_type != 0) {
		TRY(bx_matrix(dn, groups, p->n, p->n, 1, p->scale_type, own(layer, first + BX_SCALES - BX_WEIGHTS), err));
	}
	if (p->zero_kind == BITLANE_XPU_ZERO_GROUPED) {
		TRY(bx_matrix(dn, groups, p->n, p->n, 1, p->zero_type, own(layer, first + BX_ZEROS - BX_WEIGHTS), err));
	}
	return BITLANE_XPU_OK;
}

static int32_t own_tensors(bitlane_xpu_layer *layer, bx_err err) {
	const bitlane_xpu_plan *p = &layer->plan;
	layer->slice = p->slice != 0 ? p->slice : p->k;
	layer->slices = (p->k + layer->slice - 1) / layer->slice;
	layer->last = p->k - (layer->slices - 1) * layer->slice;
	TRY(slice_tensors(layer, layer->last, BX_WEIGHTS, err));
	if (layer->slices > 1) {
		TRY(slice_tensors(layer, layer->slice, BX_WEIGHTS_PART, err));
	}
	if (p->bias_type != 0) {
		TRY(bx_matrix(&layer->engine->library->dn, 1, p->n, p->n, 1, p->bias_type, own(layer, BX_BIAS), err));
	}
	return BITLANE_XPU_OK;
}

/* The zero in the bytes of its type. */
static size_t zero_bytes(const bitlane_xpu_plan *p, char bytes[4]) {
	union {
		int8_t s8;
		uint8_t u8;
		int32_t s32;
		char bytes[4];
	} zero = {.s32 = 0};
	switch (p->zero_type) {
	case BITLANE_XPU_S8: zero.s8 = (int8_t)p->zero_value; break;
	case BITLANE_XPU_U8: zero.u8 = (uint8_t)p->zero_value; break;
	default: zero.s32 = (int32_t)p->zero_value;
	}
	for (int i = 0; i < 4; i++) {
		bytes[i] = zero.bytes[i];
	}
	return (size_t)bx_size(p->zero_type);
}

/* One number for all of the layer, as the attribute's mask 0 wants it. */
static int32_t scalar_zero(bitlane_xpu_layer *layer, bx_err err) {
	const dn_functions *dn = &layer->engine->library->dn;
	int64_t one[DN_MAX_DIMS] = {1};
	char bytes[4];
	size_t size = zero_bytes(&layer->plan, bytes);
	TRY(bx_status(err, dn->memory_desc_create_with_strides(own(layer, BX_ZEROS), 1, one, (int)layer->plan.zero_type, one), "a descriptor of a zero point"));
	return constant(layer, BX_ZEROS, bytes, size, err);
}

static int32_t number(bitlane_xpu_layer *layer, int slot, float value, bx_err err) {
	TRY(bx_matrix(&layer->engine->library->dn, 1, 1, 1, 1, BITLANE_XPU_F32, own(layer, slot), err));
	return constant(layer, slot, &value, sizeof value, err);
}

/* The machine epsilon of a type: 1 and the next number are so far apart. */
static float epsilon(int64_t type) {
	switch (type) {
	case BITLANE_XPU_F16: return 0x1p-10F;
	case BITLANE_XPU_BF16: return 0x1p-7F;
	}
	return 0x1p-23F;
}

static int32_t quantizer_constants(bitlane_xpu_layer *layer, bx_err err) {
	if (layer->plan.activations == BITLANE_XPU_INT8_TOKEN) {
		TRY(number(layer, BX_LARGEST, 127, err));
		return number(layer, BX_LEAST, 1e-5F, err);
	}
	TRY(number(layer, BX_LARGEST, 127.5F, err));
	TRY(number(layer, BX_LEAST, epsilon(layer->plan.x_type), err));
	return number(layer, BX_NULL, 0, err);
}

static int32_t constants(bitlane_xpu_layer *layer, bx_err err) {
	const bitlane_xpu_plan *p = &layer->plan;
	if (p->zero_kind == BITLANE_XPU_ZERO_SCALAR) {
		TRY(scalar_zero(layer, err));
	}
	return p->activations != BITLANE_XPU_EXACT ? quantizer_constants(layer, err) : BITLANE_XPU_OK;
}

static int32_t bucket(bitlane_xpu_layer *layer, bx_bucket *bucket, int64_t scratchpad, bx_err err) {
	TRY(bx_bucket_tensors(layer, bucket, err));
	TRY(bx_bucket_matmul(layer, bucket, err));
	TRY(bx_bucket_copies(layer, bucket, err));
	if (layer->plan.activations != BITLANE_XPU_EXACT) {
		TRY(bx_bucket_quantizer(layer, bucket, err));
	}
	bx_bucket_workspace(layer, bucket, scratchpad);
	return BITLANE_XPU_OK;
}

static int32_t buckets(bitlane_xpu_layer *layer, bx_err err) {
	int64_t rows = 1, scratchpad = 0, most = layer->plan.max_rows;
	layer->buckets = calloc(BX_BUCKETS, sizeof *layer->buckets);
	if (layer->buckets == NULL) {
		return bx_fail(err, BITLANE_XPU_OUT_OF_MEMORY, "out of memory");
	}
	for (;;) {
		bx_bucket *b = &layer->buckets[layer->count++];
		b->facts.rows = rows;
		TRY(bucket(layer, b, scratchpad, err));
		scratchpad = b->facts.scratchpad;
		if (rows == most) {
			return BITLANE_XPU_OK;
		}
		rows = 2 * rows < most ? 2 * rows : most;
	}
}

static void destroy(bitlane_xpu_layer *layer) {
	const dn_functions *dn = &layer->engine->library->dn;
	for (int64_t i = 0; i < layer->count; i++) {
		bx_bucket_free(layer, &layer->buckets[i]);
	}
	for (int i = 0; i < BX_OWN; i++) {
		if (layer->constant[i] != NULL) {
			dn->memory_destroy(layer->constant[i]);
		}
		if (layer->md[i] != NULL) {
			dn->memory_desc_destroy(layer->md[i]);
		}
	}
	free(layer->buckets);
	free(layer);
}

int32_t bitlane_xpu_layer_prepare(bitlane_xpu_engine *engine, const bitlane_xpu_plan *plan, bitlane_xpu_layer **out, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	*out = NULL;
	TRY(bx_check_plan(plan, err));
	bitlane_xpu_layer *layer = calloc(1, sizeof *layer);
	if (layer == NULL) {
		return bx_fail(err, BITLANE_XPU_OUT_OF_MEMORY, "out of memory");
	}
	layer->engine = engine;
	layer->plan = *plan;
	int32_t class_ = own_tensors(layer, err);
	if (class_ == BITLANE_XPU_OK) {
		class_ = constants(layer, err);
	}
	if (class_ == BITLANE_XPU_OK) {
		class_ = buckets(layer, err);
	}
	if (class_ != BITLANE_XPU_OK) {
		destroy(layer);
		return class_;
	}
	atomic_fetch_add(&engine->children, 1);
	bx_count(engine->library, BX_LAYERS, 1);
	*out = layer;
	return BITLANE_XPU_OK;
}

int32_t bitlane_xpu_layer_destroy(bitlane_xpu_layer *layer, char *text, size_t text_bytes) {
	if (layer == NULL) {
		return BITLANE_XPU_OK;
	}
	long long children = atomic_load(&layer->children);
	if (children != 0) {
		return bx_fail((bx_err){text, text_bytes}, BITLANE_XPU_BUSY, "%lld bindings of the layer are alive", children);
	}
	atomic_fetch_sub(&layer->engine->children, 1);
	bx_count(layer->engine->library, BX_LAYERS, -1);
	destroy(layer);
	return BITLANE_XPU_OK;
}

int64_t bitlane_xpu_layer_workspace(const bitlane_xpu_layer *layer, int64_t rows) {
	if (rows < 1 || rows > layer->plan.max_rows) {
		return 0;
	}
	int64_t i = 0;
	while (layer->buckets[i].facts.rows < rows) {
		i++;
	}
	return layer->buckets[i].facts.workspace;
}

int32_t bitlane_xpu_layer_bucket(const bitlane_xpu_layer *layer, int64_t index, bitlane_xpu_bucket_facts *out, char *name, size_t name_bytes) {
	if (index < 0 || index >= layer->count) {
		return BITLANE_XPU_INVALID;
	}
	*out = layer->buckets[index].facts;
	if (name_bytes > 0) {
		snprintf(name, name_bytes, "%s", layer->buckets[index].name);
	}
	return BITLANE_XPU_OK;
}
