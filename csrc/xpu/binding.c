//go:build xpu && cgo && linux

/* Bindings: the memory objects of one layer on one stream, made once, whose
 * handles the calls set. */
#include "shim.h"

#include <stdlib.h>

static int32_t object(bitlane_xpu_engine *engine, dn_md md, void *handle, bx_object *out, bx_err err) {
	if (md == NULL) {
		return BITLANE_XPU_OK;
	}
	out->handle = handle;
	return bx_memory(engine, md, handle, &out->memory, err);
}

/* Bytes of count elements, of half a byte each or of whole ones. */
static int64_t bytes_of(int64_t type, int64_t count) {
	int64_t size = bx_size(type);
	return size != 0 ? count * size : count / 2;
}

/* Where weights, scales and zeros of a slice are. */
static void *at_slice(const bitlane_xpu_layer *layer, int slot, void *base, int64_t slice) {
	const bitlane_xpu_plan *p = &layer->plan;
	int64_t feature = slice * layer->slice, row = feature / p->group;
	if (base == NULL) {
		return NULL;
	}
	switch (slot) {
	case BX_WEIGHTS: return (char *)base + bytes_of(p->weight_type, p->weight_order == BITLANE_XPU_K_CONTIGUOUS ? feature : feature * p->weight_stride);
	case BX_SCALES: return (char *)base + bytes_of(p->scale_type, row * p->n);
	}
	return (char *)base + bytes_of(p->zero_type, row * p->n);
}

/* A memory object for each of weights, scales and zeros of each slice; own are those of all of k. */
static int32_t slice_objects(bitlane_xpu_binding *binding, void **own, bx_err err) {
	const bitlane_xpu_layer *layer = binding->layer;
	for (int64_t slice = 0; slice < layer->slices - 1; slice++) {
		for (int part = 0; part < BX_PARTS; part++) {
			void *at = at_slice(layer, BX_WEIGHTS + part, own[part], slice);
			TRY(object(layer->engine, layer->md[BX_WEIGHTS_PART - BX_SLOTS + part], at, &binding->parts[slice * BX_PARTS + part], err));
		}
	}
	for (int part = 0; part < BX_PARTS; part++) {
		own[part] = at_slice(layer, BX_WEIGHTS + part, own[part], layer->slices - 1);
	}
	return BITLANE_XPU_OK;
}

static int is_part(int own) { return own >= BX_WEIGHTS_PART - BX_SLOTS && own <= BX_ZEROS_PART - BX_SLOTS; }

static int32_t objects(bitlane_xpu_binding *binding, void **own, bx_err err) {
	bitlane_xpu_layer *layer = binding->layer;
	bitlane_xpu_engine *engine = layer->engine;
	int32_t class_ = slice_objects(binding, own, err);
	for (int i = 0; i < BX_OWN && class_ == BITLANE_XPU_OK; i++) {
		if (layer->constant[i] == NULL && !is_part(i)) {
			class_ = object(engine, layer->md[i], own[i], &binding->own[i], err);
		}
	}
	for (int64_t b = 0; b < layer->count && class_ == BITLANE_XPU_OK; b++) {
		const bx_bucket *bucket = &layer->buckets[b];
		for (int i = 0; i < BX_SLOTS && class_ == BITLANE_XPU_OK; i++) {
			class_ = object(engine, bucket->md[i], DN_MEMORY_NONE, &binding->buckets[b].slots[i], err);
		}
		for (int i = 0; i < BX_STEPS && class_ == BITLANE_XPU_OK; i++) {
			class_ = object(engine, bucket->run[i].scratchpad, DN_MEMORY_NONE, &binding->buckets[b].scratchpad[i], err);
		}
	}
	return class_;
}

static void destroy_object(const dn_functions *dn, bx_object *object) {
	if (object->memory != NULL) {
		dn->memory_destroy(object->memory);
	}
}

static void destroy(bitlane_xpu_binding *binding) {
	const dn_functions *dn = &binding->layer->engine->library->dn;
	for (int i = 0; i < BX_OWN; i++) {
		if (!is_part(i)) {
			destroy_object(dn, &binding->own[i]);
		}
	}
	for (int64_t i = 0; i < (binding->layer->slices - 1) * BX_PARTS; i++) {
		destroy_object(dn, &binding->parts[i]);
	}
	free(binding->parts);
	for (int64_t b = 0; b < binding->layer->count; b++) {
		for (int i = 0; i < BX_SLOTS; i++) {
			destroy_object(dn, &binding->buckets[b].slots[i]);
		}
		for (int i = 0; i < BX_STEPS; i++) {
			destroy_object(dn, &binding->buckets[b].scratchpad[i]);
		}
	}
	free(binding->buckets);
	free(binding);
}

static int32_t check(const bitlane_xpu_layer *layer, const bitlane_xpu_stream *stream, void *weights, void *scales, void *zeros, void *bias, bx_err err) {
	if (stream->engine != layer->engine) {
		return bx_fail(err, BITLANE_XPU_INVALID, "the stream is another engine's");
	}
	if (weights == NULL) {
		return bx_fail(err, BITLANE_XPU_INVALID, "weights are NULL");
	}
	if ((scales != NULL) != (layer->plan.scale_type != 0)) {
		return bx_fail(err, BITLANE_XPU_INVALID, "scales are %s", scales != NULL ? "given, and the plan has none" : "NULL");
	}
	if ((zeros != NULL) != (layer->plan.zero_kind == BITLANE_XPU_ZERO_GROUPED)) {
		return bx_fail(err, BITLANE_XPU_INVALID, "zeros are %s", zeros != NULL ? "given, and the plan has none" : "NULL");
	}
	if ((bias != NULL) != (layer->plan.bias_type != 0)) {
		return bx_fail(err, BITLANE_XPU_INVALID, "bias is %s", bias != NULL ? "given, and the plan has none" : "NULL");
	}
	return BITLANE_XPU_OK;
}

int32_t bitlane_xpu_bind(bitlane_xpu_layer *layer, bitlane_xpu_stream *stream, void *weights, void *scales, void *zeros, void *bias, bitlane_xpu_binding **out, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	*out = NULL;
	int32_t class_ = check(layer, stream, weights, scales, zeros, bias, err);
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	bitlane_xpu_binding *binding = calloc(1, sizeof *binding);
	bx_bound *buckets = calloc((size_t)layer->count, sizeof *buckets);
	bx_object *parts = calloc((size_t)layer->slices, BX_PARTS * sizeof *parts);
	if (binding == NULL || buckets == NULL || parts == NULL) {
		free(binding);
		free(parts);
		free(buckets);
		return bx_fail(err, BITLANE_XPU_OUT_OF_MEMORY, "out of memory");
	}
	binding->layer = layer;
	binding->stream = stream;
	binding->buckets = buckets;
	binding->parts = parts;
	void *own[BX_OWN] = {NULL};
	own[BX_WEIGHTS - BX_SLOTS] = weights;
	own[BX_SCALES - BX_SLOTS] = scales;
	own[BX_ZEROS - BX_SLOTS] = zeros;
	own[BX_BIAS - BX_SLOTS] = bias;
	class_ = objects(binding, own, err);
	if (class_ != BITLANE_XPU_OK) {
		destroy(binding);
		return class_;
	}
	atomic_fetch_add(&layer->children, 1);
	atomic_fetch_add(&stream->children, 1);
	bx_count(layer->engine->library, BX_BINDINGS, 1);
	*out = binding;
	return BITLANE_XPU_OK;
}

void bitlane_xpu_unbind(bitlane_xpu_binding *binding) {
	if (binding == NULL) {
		return;
	}
	atomic_fetch_sub(&binding->layer->children, 1);
	atomic_fetch_sub(&binding->stream->children, 1);
	bx_count(binding->layer->engine->library, BX_BINDINGS, -1);
	destroy(binding);
}

/* A CPU engine of SYCL reads the handle when the work runs: it may change
 * only when work that was enqueued with the old one is done. */
static int32_t set_handle(bitlane_xpu_binding *binding, bx_object *object, void *handle, bx_err err) {
	if (object->handle == handle) {
		return BITLANE_XPU_OK;
	}
	bitlane_xpu_stream *stream = binding->stream;
	if (stream->engine->late && object->used > stream->waited) {
		int32_t class_ = bx_wait(stream, err);
		if (class_ != BITLANE_XPU_OK) {
			return class_;
		}
	}
	int status = stream->engine->library->dn.memory_set_data_handle(object->memory, handle);
	if (status == DN_SUCCESS) {
		object->handle = handle;
	}
	return bx_status(err, status, "dnnl_memory_set_data_handle");
}

int32_t bx_point(bitlane_xpu_binding *binding, int64_t bucket, int slot, void *handle, bx_err err) {
	return set_handle(binding, &binding->buckets[bucket].slots[slot], handle, err);
}

/* A queue of a CPU engine of SYCL is slower with everything that is in it: seconds for
 * each call behind thousands that nobody waits for. */
enum { QUEUED = 64 };

int32_t bx_execute(bitlane_xpu_binding *binding, int64_t bucket, enum bx_step step, void *scratchpad, bx_err err) {
	bitlane_xpu_layer *layer = binding->layer;
	bitlane_xpu_stream *stream = binding->stream;
	bx_bound *bound = &binding->buckets[bucket];
	const bx_run *run = &layer->buckets[bucket].run[step];
	dn_exec_arg args[BX_ARGS + 1];
	int count = run->count;
	if (stream->engine->late && stream->enqueued - stream->waited >= QUEUED) {
		TRY(bx_wait(stream, err));
	}
	uint64_t turn = stream->enqueued + 1;
	for (int i = 0; i < count; i++) {
		int slot = run->slots[i];
		bx_object *object = slot < BX_SLOTS ? &bound->slots[slot] : &binding->own[slot - BX_SLOTS];
		object->used = turn;
		dn_memory memory = object->memory;
		if (memory == NULL) {
			memory = layer->constant[slot - BX_SLOTS];
		}
		args[i] = (dn_exec_arg){run->args[i], memory};
	}
	if (run->scratchpad != NULL) {
		int32_t class_ = set_handle(binding, &bound->scratchpad[step], scratchpad, err);
		if (class_ != BITLANE_XPU_OK) {
			return class_;
		}
		bound->scratchpad[step].used = turn;
		args[count++] = (dn_exec_arg){DN_SCRATCHPAD, bound->scratchpad[step].memory};
	}
	stream->enqueued = turn;
	return bx_status(err, stream->engine->library->dn.primitive_execute(run->primitive, stream->stream, count, args), "dnnl_primitive_execute");
}
