//go:build cuda && cgo && linux

#include "shim.h"

static CUresult enter(uintptr_t ctx) { return cuCtxPushCurrent((CUcontext)ctx); }

static CUresult leave(CUresult result) {
	CUcontext ctx;
	CUresult popped = cuCtxPopCurrent(&ctx);
	return result != CUDA_SUCCESS ? result : popped;
}

/* IN evaluates call with the context current, and returns from the function. */
#define IN(ctx, call)                     \
	do {                                  \
		CUresult entered = enter(ctx);    \
		if (entered != CUDA_SUCCESS) {    \
			return entered;               \
		}                                 \
		return leave(call);               \
	} while (0)

const char *bitlane_error_name(int code) {
	const char *name = NULL;
	return cuGetErrorName((CUresult)code, &name) == CUDA_SUCCESS ? name : NULL;
}

const char *bitlane_error_text(int code) {
	const char *text = NULL;
	return cuGetErrorString((CUresult)code, &text) == CUDA_SUCCESS ? text : NULL;
}

CUresult bitlane_pci(CUdevice device, char *out, int bytes) { return cuDeviceGetPCIBusId(out, bytes, device); }

CUresult bitlane_host_alloc(uintptr_t ctx, size_t bytes, uintptr_t *out) {
	IN(ctx, cuMemHostAlloc((void **)out, bytes, CU_MEMHOSTALLOC_PORTABLE));
}

CUresult bitlane_host_free(uintptr_t ctx, uintptr_t memory) { IN(ctx, cuMemFreeHost((void *)memory)); }

CUresult bitlane_load(uintptr_t ctx, const uint8_t *image, char *log, unsigned int bytes, uintptr_t *module) {
	CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	void *values[] = {log, (void *)(uintptr_t)(bytes - 1)};
	log[0] = log[bytes - 1] = 0;
	IN(ctx, cuModuleLoadDataEx((CUmodule *)module, image, 2, options, values));
}

CUresult bitlane_unload(uintptr_t ctx, uintptr_t module) { IN(ctx, cuModuleUnload((CUmodule)module)); }

CUresult bitlane_allow_shared(uintptr_t ctx, uintptr_t function, int bytes) {
	IN(ctx, cuFuncSetAttribute((CUfunction)function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes));
}

CUresult bitlane_stream_create(uintptr_t ctx, uintptr_t *stream) {
	IN(ctx, cuStreamCreate((CUstream *)stream, CU_STREAM_NON_BLOCKING));
}

CUresult bitlane_stream_destroy(uintptr_t ctx, uintptr_t stream) { IN(ctx, cuStreamDestroy((CUstream)stream)); }

/* The driver would end the capture, and a copy would keep the address. */
static CUresult not_captured(uintptr_t stream) {
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
	CUresult result = cuStreamIsCapturing((CUstream)stream, &status);
	if (result == CUDA_SUCCESS && status != CU_STREAM_CAPTURE_STATUS_NONE) {
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	return result;
}

static CUresult upload(uintptr_t stream, uint64_t dst, const uint8_t *src, size_t bytes) {
	CUresult result = not_captured(stream);
	if (result == CUDA_SUCCESS) {
		result = cuMemcpyHtoDAsync(dst, src, bytes, (CUstream)stream);
	}
	if (result == CUDA_SUCCESS) {
		result = cuStreamSynchronize((CUstream)stream);
	}
	return result;
}

static CUresult download(uintptr_t stream, uint8_t *dst, uint64_t src, size_t bytes) {
	CUresult result = not_captured(stream);
	if (result == CUDA_SUCCESS) {
		result = cuMemcpyDtoHAsync(dst, src, bytes, (CUstream)stream);
	}
	if (result == CUDA_SUCCESS) {
		result = cuStreamSynchronize((CUstream)stream);
	}
	return result;
}

static CUresult stream_sync(uintptr_t stream) {
	CUresult result = not_captured(stream);
	return result != CUDA_SUCCESS ? result : cuStreamSynchronize((CUstream)stream);
}

static CUresult stream_query(uintptr_t stream) {
	CUresult result = not_captured(stream);
	return result != CUDA_SUCCESS ? result : cuStreamQuery((CUstream)stream);
}

CUresult bitlane_upload(uintptr_t ctx, uintptr_t stream, uint64_t dst, const uint8_t *src, size_t bytes) {
	IN(ctx, upload(stream, dst, src, bytes));
}

CUresult bitlane_download(uintptr_t ctx, uintptr_t stream, uint8_t *dst, uint64_t src, size_t bytes) {
	IN(ctx, download(stream, dst, src, bytes));
}

CUresult bitlane_stream_sync(uintptr_t ctx, uintptr_t stream) { IN(ctx, stream_sync(stream)); }

CUresult bitlane_stream_query(uintptr_t ctx, uintptr_t stream) { IN(ctx, stream_query(stream)); }

CUresult bitlane_upload_pinned(uintptr_t ctx, uintptr_t stream, uint64_t dst, uintptr_t host, size_t bytes) {
	IN(ctx, cuMemcpyHtoDAsync(dst, (const void *)host, bytes, (CUstream)stream));
}

CUresult bitlane_download_pinned(uintptr_t ctx, uintptr_t stream, uintptr_t host, uint64_t src, size_t bytes) {
	IN(ctx, cuMemcpyDtoHAsync((void *)host, src, bytes, (CUstream)stream));
}

CUresult bitlane_copy(uintptr_t ctx, uintptr_t stream, uint64_t dst, uint64_t src, size_t bytes) {
	IN(ctx, cuMemcpyDtoDAsync(dst, src, bytes, (CUstream)stream));
}

CUresult bitlane_fill(uintptr_t ctx, uintptr_t stream, uint64_t dst, uint8_t value, size_t bytes) {
	IN(ctx, cuMemsetD8Async(dst, value, bytes, (CUstream)stream));
}

CUresult bitlane_launch(uintptr_t ctx, uintptr_t stream, uintptr_t function, uint32_t gridX, uint32_t gridY,
	uint32_t gridZ, uint32_t blockX, uint32_t blockY, uint32_t blockZ, uint32_t shared, const uint64_t *args, int count) {
	void *parameters[BITLANE_MAX_ARGS];
	if (count < 0 || count > BITLANE_MAX_ARGS) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	for (int i = 0; i < count; i++) {
		parameters[i] = (void *)&args[i]; /* only read */
	}
	IN(ctx, cuLaunchKernel((CUfunction)function, gridX, gridY, gridZ, blockX, blockY, blockZ, shared, (CUstream)stream,
		parameters, NULL));
}

CUresult bitlane_event_create(uintptr_t ctx, int timed, uintptr_t *event) {
	IN(ctx, cuEventCreate((CUevent *)event, timed ? CU_EVENT_DEFAULT : CU_EVENT_DISABLE_TIMING));
}

CUresult bitlane_event_destroy(uintptr_t ctx, uintptr_t event) { IN(ctx, cuEventDestroy((CUevent)event)); }

CUresult bitlane_event_record(uintptr_t ctx, uintptr_t stream, uintptr_t event) {
	IN(ctx, cuEventRecord((CUevent)event, (CUstream)stream));
}

CUresult bitlane_event_wait(uintptr_t ctx, uintptr_t stream, uintptr_t event) {
	IN(ctx, cuStreamWaitEvent((CUstream)stream, (CUevent)event, 0));
}

CUresult bitlane_event_query(uintptr_t ctx, uintptr_t event) { IN(ctx, cuEventQuery((CUevent)event)); }

CUresult bitlane_event_sync(uintptr_t ctx, uintptr_t event) { IN(ctx, cuEventSynchronize((CUevent)event)); }

CUresult bitlane_event_elapsed(uintptr_t ctx, uintptr_t start, uintptr_t end, float *milliseconds) {
	IN(ctx, cuEventElapsedTime(milliseconds, (CUevent)start, (CUevent)end));
}

CUresult bitlane_capture_begin(uintptr_t ctx, uintptr_t stream) {
	/* Goroutines change threads; only this mode lets the captures of several go on at once. */
	IN(ctx, cuStreamBeginCapture((CUstream)stream, CU_STREAM_CAPTURE_MODE_RELAXED));
}

static CUresult capture_end(uintptr_t stream, uintptr_t *graph) {
	CUgraph captured = NULL;
	CUresult result = cuStreamEndCapture((CUstream)stream, &captured);
	if (result != CUDA_SUCCESS) {
		return result;
	}
	result = cuGraphInstantiateWithFlags((CUgraphExec *)graph, captured, 0);
	CUresult destroyed = cuGraphDestroy(captured);
	if (result == CUDA_SUCCESS && destroyed != CUDA_SUCCESS) {
		cuGraphExecDestroy(*(CUgraphExec *)graph);
		return destroyed;
	}
	return result;
}

CUresult bitlane_capture_end(uintptr_t ctx, uintptr_t stream, uintptr_t *graph) { IN(ctx, capture_end(stream, graph)); }

CUresult bitlane_graph_launch(uintptr_t ctx, uintptr_t stream, uintptr_t graph) {
	IN(ctx, cuGraphLaunch((CUgraphExec)graph, (CUstream)stream));
}

CUresult bitlane_graph_destroy(uintptr_t ctx, uintptr_t graph) { IN(ctx, cuGraphExecDestroy((CUgraphExec)graph)); }
