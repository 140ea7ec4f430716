//go:build xpu && cgo && linux

/* Engines and streams, made by oneDNN or around the caller's own. */
#include "shim.h"

#include <stdlib.h>

static const char *runtime_name(int64_t runtime) {
	switch (runtime) {
	case BITLANE_XPU_RUNTIME_NONE: return "no runtime";
	case BITLANE_XPU_RUNTIME_SEQ: return "sequential";
	case BITLANE_XPU_RUNTIME_OMP: return "OpenMP";
	case BITLANE_XPU_RUNTIME_TBB: return "TBB";
	case BITLANE_XPU_RUNTIME_THREADPOOL: return "threadpool";
	case BITLANE_XPU_RUNTIME_OPENCL: return "OpenCL";
	case BITLANE_XPU_RUNTIME_SYCL: return "SYCL";
	case BITLANE_XPU_RUNTIME_LEVEL_ZERO: return "Level Zero";
	}
	return "unknown";
}

static const char *environment(const char *name) {
	const char *value = getenv(name);
	return value != NULL && value[0] != 0 ? value : "not set";
}

/* What to do about a missing device; a selector that hides devices is named. */
static int32_t no_engine(bx_err err, int32_t class_, int64_t kind, int64_t index, int64_t runtime, int status) {
	const char *selector = getenv("ONEAPI_DEVICE_SELECTOR");
	const char *before = selector != NULL ? "; ONEAPI_DEVICE_SELECTOR is " : "";
	if (selector == NULL) {
		selector = "";
	}
	if (runtime == BITLANE_XPU_RUNTIME_NONE) {
		return bx_fail(err, BITLANE_XPU_NO_ENGINE, "this oneDNN was built without a runtime for %s", kind == BITLANE_XPU_GPU ? "GPUs" : "CPUs");
	}
	if (kind == BITLANE_XPU_CPU) {
		if (index > 0) {
			return bx_fail(err, class_, "no CPU engine %lld: there is one at most", (long long)index);
		}
		if (runtime != BITLANE_XPU_RUNTIME_SYCL) {
			return bx_fail(err, class_, "no CPU engine %lld (%s, status %d)", (long long)index, runtime_name(runtime), status);
		}
		return bx_fail(err, class_, "no CPU engine %lld: this oneDNN runs on CPUs through SYCL, which needs Intel's OpenCL driver for CPUs: "
			"set OCL_ICD_FILENAMES to its libintelocl.so (it is %s), part of the PyPI package intel-opencl-rt (status %d)%s%s",
			(long long)index, environment("OCL_ICD_FILENAMES"), status, before, selector);
	}
	if (class_ == BITLANE_XPU_NO_ENGINE && index > 0) {
		return bx_fail(err, class_, "no Intel GPU %lld (%s, status %d)%s%s", (long long)index, runtime_name(runtime), status, before, selector);
	}
	return bx_fail(err, class_, "no usable Intel GPU %lld through %s (status %d): wants Intel's compute runtime (libze_intel_gpu.so.1 for Level Zero, "
		"libigdrcl.so for OpenCL, and the loader of either) and access to /dev/dri/renderD*%s%s",
		(long long)index, runtime_name(runtime), status, before, selector);
}

static int32_t keep(bitlane_xpu_library *library, dn_engine engine, int32_t kind, int64_t index, bitlane_xpu_engine **out, bx_err err) {
	bitlane_xpu_engine *e = calloc(1, sizeof *e);
	if (e == NULL) {
		library->dn.engine_destroy(engine);
		return bx_fail(err, BITLANE_XPU_OUT_OF_MEMORY, "out of memory");
	}
	int64_t runtime = kind == BITLANE_XPU_CPU ? library->facts.cpu_runtime : library->facts.gpu_runtime;
	e->library = library;
	e->engine = engine;
	e->facts = (bitlane_xpu_engine_facts){.kind = kind, .index = index, .runtime = runtime, .host_memory = kind == BITLANE_XPU_CPU};
	e->late = kind == BITLANE_XPU_CPU && (runtime == BITLANE_XPU_RUNTIME_SYCL || runtime == BITLANE_XPU_RUNTIME_THREADPOOL);
	e->opencl = kind == BITLANE_XPU_GPU && runtime == BITLANE_XPU_RUNTIME_OPENCL;
	bx_count(library, BX_ENGINES, 1);
	*out = e;
	return BITLANE_XPU_OK;
}

static int32_t check_kind(const bitlane_xpu_library *library, int32_t kind, int64_t *runtime, bx_err err) {
	if (kind != BITLANE_XPU_CPU && kind != BITLANE_XPU_GPU) {
		return bx_fail(err, BITLANE_XPU_INVALID, "kind of engine %d is neither CPU (1) nor GPU (2)", (int)kind);
	}
	*runtime = kind == BITLANE_XPU_CPU ? library->facts.cpu_runtime : library->facts.gpu_runtime;
	if (kind == BITLANE_XPU_GPU && *runtime == BITLANE_XPU_RUNTIME_OPENCL && library->dn.ocl_interop_memory_create == NULL) {
		return bx_fail(err, BITLANE_XPU_UNIMPLEMENTED, "this oneDNN has OpenCL, but no dnnl_ocl_interop_memory_create");
	}
	return BITLANE_XPU_OK;
}

int32_t bitlane_xpu_engine_create(bitlane_xpu_library *library, int32_t kind, int64_t index, bitlane_xpu_engine **out, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	*out = NULL;
	int64_t runtime;
	int32_t class_ = check_kind(library, kind, &runtime, err);
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	if (index < 0) {
		return bx_fail(err, BITLANE_XPU_INVALID, "index of engine %lld", (long long)index);
	}
	if (runtime == BITLANE_XPU_RUNTIME_NONE) {
		return no_engine(err, BITLANE_XPU_NO_ENGINE, kind, index, runtime, 0);
	}
	/* oneDNN prints to stdout that it was asked in vain, so it is not, where the count says that
	 * there is none. The count may be the number of an error: only making an engine shows that there is one. */
	if ((uint64_t)index >= library->dn.engine_get_count(kind)) {
		return no_engine(err, BITLANE_XPU_NO_ENGINE, kind, index, runtime, DN_INVALID_ARGUMENTS);
	}
	dn_engine engine = NULL;
	int status = library->dn.engine_create(&engine, kind, (size_t)index);
	switch (status) {
	case DN_SUCCESS:
		return keep(library, engine, kind, index, out, err);
	case DN_INVALID_ARGUMENTS:
	case DN_UNIMPLEMENTED:
		return no_engine(err, BITLANE_XPU_NO_ENGINE, kind, index, runtime, status);
	case DN_OUT_OF_MEMORY:
		return bx_status(err, status, "dnnl_engine_create");
	}
	return no_engine(err, BITLANE_XPU_FAILED, kind, index, runtime, status);
}

int32_t bitlane_xpu_engine_wrap(bitlane_xpu_library *library, int32_t kind, void *driver, void *device, void *context, bitlane_xpu_engine **out, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	*out = NULL;
	int64_t runtime;
	int32_t class_ = check_kind(library, kind, &runtime, err);
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	const dn_functions *dn = &library->dn;
	dn_engine engine = NULL;
	int status;
	if (device == NULL || context == NULL) {
		return bx_fail(err, BITLANE_XPU_INVALID, "device or context is NULL");
	}
	if (runtime == BITLANE_XPU_RUNTIME_SYCL && dn->sycl_interop_engine_create != NULL) {
		status = dn->sycl_interop_engine_create(&engine, device, context);
	} else if (runtime == BITLANE_XPU_RUNTIME_OPENCL && kind == BITLANE_XPU_GPU && dn->ocl_interop_engine_create != NULL) {
		status = dn->ocl_interop_engine_create(&engine, device, context);
	} else if (runtime == BITLANE_XPU_RUNTIME_LEVEL_ZERO && dn->ze_interop_engine_create != NULL) {
		status = dn->ze_interop_engine_create(&engine, driver, device, context);
	} else {
		return bx_fail(err, BITLANE_XPU_UNIMPLEMENTED, "this oneDNN (%s) takes no device of the caller's", runtime_name(runtime));
	}
	if (status != DN_SUCCESS) {
		return bx_status(err, status, "an engine on the caller's device (%s)", runtime_name(runtime));
	}
	return keep(library, engine, kind, -1, out, err);
}

int32_t bitlane_xpu_engine_destroy(bitlane_xpu_engine *engine, char *text, size_t text_bytes) {
	if (engine == NULL) {
		return BITLANE_XPU_OK;
	}
	long long children = atomic_load(&engine->children);
	if (children != 0) {
		return bx_fail((bx_err){text, text_bytes}, BITLANE_XPU_BUSY, "%lld streams, memories and layers of the engine are alive", children);
	}
	engine->library->dn.engine_destroy(engine->engine);
	bx_count(engine->library, BX_ENGINES, -1);
	free(engine);
	return BITLANE_XPU_OK;
}

void bitlane_xpu_engine_info(const bitlane_xpu_engine *engine, bitlane_xpu_engine_facts *out) { *out = engine->facts; }

/* ---- streams ---- */

static int32_t keep_stream(bitlane_xpu_engine *engine, dn_stream stream, bitlane_xpu_stream **out, bx_err err) {
	bitlane_xpu_stream *s = calloc(1, sizeof *s);
	if (s == NULL) {
		engine->library->dn.stream_destroy(stream);
		return bx_fail(err, BITLANE_XPU_OUT_OF_MEMORY, "out of memory");
	}
	s->engine = engine;
	s->stream = stream;
	atomic_fetch_add(&engine->children, 1);
	bx_count(engine->library, BX_STREAMS, 1);
	*out = s;
	return BITLANE_XPU_OK;
}

int32_t bitlane_xpu_stream_create(bitlane_xpu_engine *engine, bitlane_xpu_stream **out, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	*out = NULL;
	dn_stream stream = NULL;
	int status = engine->library->dn.stream_create(&stream, engine->engine, DN_STREAM_IN_ORDER);
	if (status != DN_SUCCESS) {
		return bx_status(err, status, "dnnl_stream_create");
	}
	return keep_stream(engine, stream, out, err);
}

int32_t bitlane_xpu_stream_wrap(bitlane_xpu_engine *engine, void *queue, bitlane_xpu_stream **out, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	*out = NULL;
	const dn_functions *dn = &engine->library->dn;
	dn_stream stream = NULL;
	int status;
	if (queue == NULL) {
		return bx_fail(err, BITLANE_XPU_INVALID, "the queue is NULL");
	}
	if (engine->facts.runtime == BITLANE_XPU_RUNTIME_SYCL && dn->sycl_interop_stream_create != NULL) {
		status = dn->sycl_interop_stream_create(&stream, engine->engine, queue);
	} else if (engine->opencl && dn->ocl_interop_stream_create != NULL) {
		status = dn->ocl_interop_stream_create(&stream, engine->engine, queue);
	} else if (engine->facts.runtime == BITLANE_XPU_RUNTIME_LEVEL_ZERO && dn->ze_interop_stream_create != NULL) {
		status = dn->ze_interop_stream_create(&stream, engine->engine, queue, 0);
	} else {
		return bx_fail(err, BITLANE_XPU_UNIMPLEMENTED, "this oneDNN (%s) takes no queue of the caller's", runtime_name(engine->facts.runtime));
	}
	if (status != DN_SUCCESS) {
		return bx_status(err, status, "a stream on the caller's queue (%s)", runtime_name(engine->facts.runtime));
	}
	return keep_stream(engine, stream, out, err);
}

int32_t bitlane_xpu_stream_queue(bitlane_xpu_stream *stream, void **out, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	*out = NULL;
	const bitlane_xpu_engine *engine = stream->engine;
	const dn_functions *dn = &engine->library->dn;
	int status;
	if (engine->facts.runtime == BITLANE_XPU_RUNTIME_SYCL && dn->sycl_interop_stream_get_queue != NULL) {
		status = dn->sycl_interop_stream_get_queue(stream->stream, out);
	} else if (engine->opencl && dn->ocl_interop_stream_get_command_queue != NULL) {
		status = dn->ocl_interop_stream_get_command_queue(stream->stream, out);
	} else if (engine->facts.runtime == BITLANE_XPU_RUNTIME_LEVEL_ZERO && dn->ze_interop_stream_get_list != NULL) {
		status = dn->ze_interop_stream_get_list(stream->stream, out);
	} else {
		return bx_fail(err, BITLANE_XPU_UNIMPLEMENTED, "streams of this oneDNN (%s) have no queue to show", runtime_name(engine->facts.runtime));
	}
	if (status != DN_SUCCESS) {
		*out = NULL;
	}
	return bx_status(err, status, "the queue of a stream");
}

int32_t bx_wait(bitlane_xpu_stream *stream, bx_err err) {
	int32_t class_ = bx_status(err, stream->engine->library->dn.stream_wait(stream->stream), "dnnl_stream_wait");
	if (class_ == BITLANE_XPU_OK) {
		stream->waited = stream->enqueued;
	}
	return class_;
}

int32_t bitlane_xpu_stream_wait(bitlane_xpu_stream *stream, char *text, size_t text_bytes) { return bx_wait(stream, (bx_err){text, text_bytes}); }

int32_t bitlane_xpu_stream_destroy(bitlane_xpu_stream *stream, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	if (stream == NULL) {
		return BITLANE_XPU_OK;
	}
	long long children = atomic_load(&stream->children);
	if (children != 0) {
		return bx_fail(err, BITLANE_XPU_BUSY, "%lld bindings to the stream are alive", children);
	}
	int32_t class_ = bx_wait(stream, err);
	bitlane_xpu_engine *engine = stream->engine;
	engine->library->dn.stream_destroy(stream->stream);
	atomic_fetch_sub(&engine->children, 1);
	bx_count(engine->library, BX_STREAMS, -1);
	free(stream);
	return class_;
}
