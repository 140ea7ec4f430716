//go:build xpu && cgo && linux

/*
 * Memory of an engine, and copies of parts of it. Where the host cannot read a
 * device pointer, a memory object over exactly the part is mapped: oneDNN then copies it out, and
 * back on unmapping, so that bytes beside the part are never written.
 */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 256 };

int32_t bx_matrix(const dn_functions *dn, int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride, int64_t type, dn_md *out, bx_err err) {
	int64_t dims[DN_MAX_DIMS] = {rows, cols}, strides[DN_MAX_DIMS] = {row_stride, col_stride};
	*out = NULL;
	return bx_status(err, dn->memory_desc_create_with_strides(out, 2, dims, (int)type, strides), "a descriptor of %lld x %lld %s",
		(long long)rows, (long long)cols, bx_type_name(type));
}

int32_t bx_bytes(const dn_functions *dn, int64_t bytes, dn_md *out, bx_err err) {
	int64_t dims[DN_MAX_DIMS] = {bytes}, strides[DN_MAX_DIMS] = {1};
	*out = NULL;
	return bx_status(err, dn->memory_desc_create_with_strides(out, 1, dims, BITLANE_XPU_U8, strides), "a descriptor of %lld bytes", (long long)bytes);
}

int32_t bx_memory(bitlane_xpu_engine *engine, dn_md md, void *handle, dn_memory *out, bx_err err) {
	const dn_functions *dn = &engine->library->dn;
	*out = NULL;
	int status = engine->opencl ? dn->ocl_interop_memory_create(out, md, engine->engine, DN_OCL_USM, handle)
				    : dn->memory_create(out, md, engine->engine, handle);
	if (status != DN_SUCCESS && handle == DN_MEMORY_ALLOCATE) {
		return bx_status(err, status, "allocating %zu bytes", dn->memory_desc_get_size(md));
	}
	return bx_status(err, status, "a memory object");
}

/* Copies between the host and what a memory object names, to it or from it. */
static int32_t through_map(const dn_functions *dn, dn_memory memory, void *to, const void *from, size_t bytes, bx_err err) {
	void *mapped = NULL;
	int32_t class_ = bx_status(err, dn->memory_map_data(memory, &mapped), "dnnl_memory_map_data");
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	if (mapped == NULL) {
		return bx_fail(err, BITLANE_XPU_FAILED, "dnnl_memory_map_data returned no pointer");
	}
	if (to != NULL) {
		memcpy(to, mapped, bytes);
	} else {
		memcpy(mapped, from, bytes);
	}
	return bx_status(err, dn->memory_unmap_data(memory, mapped), "dnnl_memory_unmap_data");
}

int32_t bx_constant(bitlane_xpu_engine *engine, dn_md md, const void *value, size_t bytes, dn_memory *out, bx_err err) {
	int32_t class_ = bx_memory(engine, md, DN_MEMORY_ALLOCATE, out, err);
	if (class_ == BITLANE_XPU_OK) {
		class_ = through_map(&engine->library->dn, *out, NULL, value, bytes, err);
		if (class_ != BITLANE_XPU_OK) {
			engine->library->dn.memory_destroy(*out);
			*out = NULL;
		}
	}
	return class_;
}

static int32_t allocate(bitlane_xpu_engine *engine, int64_t bytes, dn_memory *memory, void **pointer, bx_err err) {
	const dn_functions *dn = &engine->library->dn;
	dn_md md;
	int32_t class_ = bx_bytes(dn, bytes, &md, err);
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	class_ = bx_memory(engine, md, DN_MEMORY_ALLOCATE, memory, err);
	dn->memory_desc_destroy(md);
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	class_ = bx_status(err, dn->memory_get_data_handle(*memory, pointer), "dnnl_memory_get_data_handle");
	if (class_ == BITLANE_XPU_OK && *pointer == NULL) {
		class_ = bx_fail(err, BITLANE_XPU_OUT_OF_MEMORY, "no memory for %lld bytes", (long long)bytes);
	}
	if (class_ != BITLANE_XPU_OK) {
		dn->memory_destroy(*memory);
		*memory = NULL;
	}
	return class_;
}

int32_t bitlane_xpu_memory_alloc(bitlane_xpu_engine *engine, int64_t bytes, bitlane_xpu_memory **out, void **pointer, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	*out = NULL;
	*pointer = NULL;
	if (bytes < 1 || bytes > INT64_MAX - ALIGNMENT) {
		return bx_fail(err, BITLANE_XPU_INVALID, "%lld bytes to allocate", (long long)bytes);
	}
	bitlane_xpu_memory *memory = calloc(1, sizeof *memory);
	if (memory == NULL) {
		return bx_fail(err, BITLANE_XPU_OUT_OF_MEMORY, "out of memory");
	}
	void *at = NULL;
	int32_t class_ = allocate(engine, bytes, &memory->memory, &at, err);
	if (class_ == BITLANE_XPU_OK && (uintptr_t)at % ALIGNMENT != 0) { /* a driver that aligns to less */
		engine->library->dn.memory_destroy(memory->memory);
		class_ = allocate(engine, bytes + ALIGNMENT - 1, &memory->memory, &at, err);
	}
	if (class_ != BITLANE_XPU_OK) {
		free(memory);
		return class_;
	}
	memory->engine = engine;
	atomic_fetch_add(&engine->children, 1);
	bx_count(engine->library, BX_MEMORIES, 1);
	*out = memory;
	*pointer = (char *)at + (ALIGNMENT - (uintptr_t)at % ALIGNMENT) % ALIGNMENT;
	return BITLANE_XPU_OK;
}

void bitlane_xpu_memory_free(bitlane_xpu_memory *memory) {
	if (memory == NULL) {
		return;
	}
	bitlane_xpu_engine *engine = memory->engine;
	engine->library->dn.memory_destroy(memory->memory);
	atomic_fetch_sub(&engine->children, 1);
	bx_count(engine->library, BX_MEMORIES, -1);
	free(memory);
}

/* A memory object over bytes at a device pointer. */
static int32_t over(bitlane_xpu_engine *engine, void *pointer, int64_t bytes, dn_memory *out, bx_err err) {
	const dn_functions *dn = &engine->library->dn;
	dn_md md;
	*out = NULL;
	int32_t class_ = bx_bytes(dn, bytes, &md, err);
	if (class_ == BITLANE_XPU_OK) {
		class_ = bx_memory(engine, md, pointer, out, err);
		dn->memory_desc_destroy(md);
	}
	return class_;
}

static int32_t check_range(const void *device, const void *other, int64_t bytes, bx_err err) {
	if (bytes < 0 || device == NULL || other == NULL) {
		return bx_fail(err, BITLANE_XPU_INVALID, "%lld bytes between %p and %p", (long long)bytes, device, other);
	}
	return BITLANE_XPU_OK;
}

int32_t bitlane_xpu_pointer_check(bitlane_xpu_engine *engine, void *pointer, int64_t bytes, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	if (bytes < 1 || pointer == NULL || pointer == DN_MEMORY_ALLOCATE) {
		return bx_fail(err, BITLANE_XPU_INVALID, "%lld bytes at %p", (long long)bytes, pointer);
	}
	dn_memory memory;
	int32_t class_ = over(engine, pointer, bytes, &memory, err);
	if (class_ == BITLANE_XPU_OK) {
		engine->library->dn.memory_destroy(memory);
	}
	return class_;
}

/* One of to and from is the host's; the device's is device. */
static int32_t transfer(bitlane_xpu_stream *stream, void *device, void *to, const void *from, int64_t bytes, bx_err err) {
	int32_t class_ = check_range(device, to != NULL ? to : from, bytes, err);
	if (class_ != BITLANE_XPU_OK || bytes == 0) {
		return class_;
	}
	class_ = bx_wait(stream, err);
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	bitlane_xpu_engine *engine = stream->engine;
	if (engine->facts.host_memory) {
		memcpy(to != NULL ? to : device, to != NULL ? device : from, (size_t)bytes);
		return BITLANE_XPU_OK;
	}
	dn_memory memory;
	class_ = over(engine, device, bytes, &memory, err);
	if (class_ == BITLANE_XPU_OK) {
		class_ = through_map(&engine->library->dn, memory, to, from, (size_t)bytes, err);
		engine->library->dn.memory_destroy(memory);
	}
	return class_;
}

int32_t bitlane_xpu_upload(bitlane_xpu_stream *stream, void *dst, const void *src, int64_t bytes, char *text, size_t text_bytes) {
	return transfer(stream, dst, NULL, src, bytes, (bx_err){text, text_bytes});
}

int32_t bitlane_xpu_download(bitlane_xpu_stream *stream, void *dst, const void *src, int64_t bytes, char *text, size_t text_bytes) {
	if (dst == NULL) {
		return check_range(src, dst, bytes, (bx_err){text, text_bytes});
	}
	return transfer(stream, (void *)(uintptr_t)src, dst, NULL, bytes, (bx_err){text, text_bytes});
}

/* A reorder from src to dst, which are described by md. */
static int32_t enqueue_copy(bitlane_xpu_stream *stream, dn_md md, void *dst, void *src, bx_err err) {
	bitlane_xpu_engine *engine = stream->engine;
	const dn_functions *dn = &engine->library->dn;
	dn_memory from = NULL, to = NULL;
	dn_pd pd = NULL;
	dn_primitive primitive = NULL;
	int32_t class_ = bx_memory(engine, md, src, &from, err);
	if (class_ == BITLANE_XPU_OK) {
		class_ = bx_memory(engine, md, dst, &to, err);
	}
	if (class_ == BITLANE_XPU_OK) {
		class_ = bx_status(err, dn->reorder_primitive_desc_create(&pd, md, engine->engine, md, engine->engine, NULL), "a copy");
	}
	if (class_ == BITLANE_XPU_OK) {
		class_ = bx_status(err, dn->primitive_create(&primitive, pd), "a copy's primitive");
	}
	if (class_ == BITLANE_XPU_OK) {
		dn_exec_arg args[] = {{DN_SRC, from}, {DN_DST, to}};
		class_ = bx_status(err, dn->primitive_execute(primitive, stream->stream, 2, args), "running a copy");
		stream->enqueued++;
	}
	if (primitive != NULL) {
		dn->primitive_destroy(primitive);
	}
	if (pd != NULL) {
		dn->primitive_desc_destroy(pd);
	}
	if (to != NULL) {
		dn->memory_destroy(to);
	}
	if (from != NULL) {
		dn->memory_destroy(from);
	}
	return class_;
}

int32_t bitlane_xpu_copy(bitlane_xpu_stream *stream, void *dst, void *src, int64_t bytes, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	int32_t class_ = check_range(dst, src, bytes, err);
	if (class_ != BITLANE_XPU_OK || bytes == 0 || dst == src) {
		return class_;
	}
	if (stream->engine->facts.host_memory) {
		class_ = bx_wait(stream, err);
		if (class_ == BITLANE_XPU_OK) {
			memcpy(dst, src, (size_t)bytes);
		}
		return class_;
	}
	dn_md md;
	class_ = bx_bytes(&stream->engine->library->dn, bytes, &md, err);
	if (class_ == BITLANE_XPU_OK) {
		class_ = enqueue_copy(stream, md, dst, src, err);
		stream->engine->library->dn.memory_desc_destroy(md);
	}
	return class_;
}
