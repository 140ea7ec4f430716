/* Device memory, page-locked memory, and work that moves bytes. */
#include "fake.h"

#include <string.h>

typedef struct piece {
	struct piece *next;
	unsigned char *at;
	size_t bytes;
} piece;

static piece *device_memory, *host_memory;
static size_t used;

static CUresult add(piece **list, size_t alignment, size_t bytes, unsigned char **at) {
	piece *p = malloc(sizeof *p);
	size_t rounded = (bytes + alignment - 1) / alignment * alignment;
	if (p == NULL || (*at = aligned_alloc(alignment, rounded)) == NULL) {
		free(p);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	memset(*at, 0xAB, bytes); /* what is there before anybody wrote */
	*p = (piece){*list, *at, bytes};
	*list = p;
	return CUDA_SUCCESS;
}

static size_t take(piece **list, const unsigned char *at) {
	for (piece **p = list; *p != NULL; p = &(*p)->next) {
		if ((*p)->at == at) {
			piece *found = *p;
			size_t bytes = found->bytes;
			*p = found->next;
			free(found->at);
			free(found);
			return bytes;
		}
	}
	return 0;
}

static bool in(const piece *list, const void *q, size_t bytes) {
	uintptr_t begin = (uintptr_t)q;
	for (const piece *p = list; p != NULL; p = p->next) {
		uintptr_t at = (uintptr_t)p->at;
		if (begin >= at && begin - at <= p->bytes && bytes <= p->bytes - (begin - at)) {
			return true;
		}
	}
	return false;
}

bool fake_is_device(const void *p, size_t bytes) { return in(device_memory, p, bytes); }

CUresult cuMemGetInfo(size_t *available, size_t *total) {
	ENTER;
	(void)context;
	*available = FAKE_MEMORY - used;
	*total = FAKE_MEMORY;
	RETURN(CUDA_SUCCESS);
}

CUresult cuMemAlloc(CUdeviceptr *out, size_t bytes) {
	ENTER;
	(void)context;
	unsigned char *at = NULL;
	if (bytes == 0) {
		RETURN(CUDA_ERROR_INVALID_VALUE);
	}
	if (bytes > FAKE_MEMORY - used) {
		RETURN(CUDA_ERROR_OUT_OF_MEMORY);
	}
	CUresult result = add(&device_memory, 256, bytes, &at);
	if (result == CUDA_SUCCESS) {
		used += bytes;
		fake_live.memories++;
		*out = (CUdeviceptr)(uintptr_t)at;
	}
	RETURN(result);
}

CUresult cuMemFree(CUdeviceptr p) {
	ENTER;
	fake_drain_all(context);
	size_t bytes = take(&device_memory, (const unsigned char *)(uintptr_t)p);
	if (bytes == 0) {
		RETURN(CUDA_ERROR_INVALID_VALUE);
	}
	used -= bytes;
	fake_live.memories--;
	RETURN(CUDA_SUCCESS);
}

CUresult cuMemHostAlloc(void **out, size_t bytes, unsigned int flags) {
	ENTER;
	(void)context;
	unsigned char *at = NULL;
	if (bytes == 0 || flags != CU_MEMHOSTALLOC_PORTABLE) {
		RETURN(CUDA_ERROR_INVALID_VALUE);
	}
	CUresult result = bytes > FAKE_MEMORY ? CUDA_ERROR_OUT_OF_MEMORY : add(&host_memory, 4096, bytes, &at);
	if (result == CUDA_SUCCESS) {
		fake_live.hosts++;
		*out = at;
	}
	RETURN(result);
}

CUresult cuMemFreeHost(void *p) {
	ENTER;
	fake_drain_all(context);
	if (take(&host_memory, p) == 0) {
		RETURN(CUDA_ERROR_INVALID_VALUE);
	}
	fake_live.hosts--;
	RETURN(CUDA_SUCCESS);
}

static CUresult enqueue_copy(CUstream handle, void *dst, const void *src, size_t bytes, bool inside) {
	CUstream stream = fake_stream(handle);
	if (stream == NULL) {
		return CUDA_ERROR_INVALID_HANDLE;
	}
	if (!inside) {
		return CUDA_ERROR_INVALID_VALUE;
	}
	fake_work work = {.kind = FAKE_COPY, .dst = dst, .src = src, .bytes = bytes};
	return fake_enqueue(stream, &work);
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr dst, const void *src, size_t bytes, CUstream handle) {
	ENTER;
	(void)context;
	void *to = (void *)(uintptr_t)dst;
	RETURN(enqueue_copy(handle, to, src, bytes, fake_is_device(to, bytes)));
}

CUresult cuMemcpyDtoHAsync(void *dst, CUdeviceptr src, size_t bytes, CUstream handle) {
	ENTER;
	(void)context;
	const void *from = (const void *)(uintptr_t)src;
	RETURN(enqueue_copy(handle, dst, from, bytes, fake_is_device(from, bytes)));
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream handle) {
	ENTER;
	(void)context;
	void *to = (void *)(uintptr_t)dst;
	const void *from = (const void *)(uintptr_t)src;
	RETURN(enqueue_copy(handle, to, from, bytes, fake_is_device(to, bytes) && fake_is_device(from, bytes)));
}

CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char value, size_t bytes, CUstream handle) {
	ENTER;
	(void)context;
	CUstream stream = fake_stream(handle);
	fake_work work = {.kind = FAKE_FILL, .dst = (unsigned char *)(uintptr_t)dst, .value = value, .bytes = bytes};
	if (stream == NULL) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	RETURN(fake_is_device(work.dst, bytes) ? fake_enqueue(stream, &work) : CUDA_ERROR_INVALID_VALUE);
}
