/* Engines, streams and memory of the stand-in. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Added to a pointer of a GPU engine: no address of the host's looks so. */
static const uintptr_t device_bits = (uintptr_t)0x5a << 48;

static _Atomic int64_t executions;

/* For tests: how many executions there were. */
int64_t fake_executed(int64_t *unused);
int64_t fake_executed(int64_t *unused) {
	(void)unused;
	return executions;
}

char *fake_host(dn_engine engine, char *handle) { return engine->kind == GPU ? (char *)((uintptr_t)handle ^ device_bits) : handle; }

bool fake_lost(void) {
	int64_t from = fake_told("lost", 0);
	return from != 0 && executions >= from;
}

/* A driver that fails makes the real one return the number of the failure. */
size_t dnnl_engine_get_count(int kind) {
	int64_t failure = fake_told("driver", 0);
	return (size_t)(failure != 0 ? failure : fake_told(kind == GPU ? "gpus" : "cpus", 1));
}

/* The real one, too, prints that it was asked for what is not there. */
int dnnl_engine_create(dn_engine *out, int kind, size_t index) {
	*out = NULL;
	if (fake_told("driver", 0) != 0) {
		return (int)fake_told("driver", 0);
	}
	if (index >= (size_t)fake_told(kind == GPU ? "gpus" : "cpus", 1)) {
		printf("onednn_verbose,v1,common,error,engine,%zu was queried\n", index);
		return DN_INVALID_ARGUMENTS;
	}
	int status = fake_create(ENGINES, out, sizeof **out);
	if (status == DN_SUCCESS) {
		(*out)->kind = kind;
	}
	return status;
}

/* Another library's device and context are anything here. */
int dnnl_sycl_interop_engine_create(dn_engine *out, const void *device, const void *context) {
	(void)device;
	(void)context;
	return dnnl_engine_create(out, GPU, 0);
}

int dnnl_ocl_interop_engine_create(dn_engine *out, void *device, void *context) { return dnnl_sycl_interop_engine_create(out, device, context); }

int dnnl_ze_interop_engine_create(dn_engine *out, void *driver, void *device, void *context) {
	(void)driver;
	return dnnl_sycl_interop_engine_create(out, device, context);
}

int dnnl_engine_destroy(dn_engine engine) {
	fake_destroy(ENGINES, engine);
	return DN_SUCCESS;
}

int dnnl_stream_create(dn_stream *out, dn_engine engine, unsigned flags) {
	*out = NULL;
	if (flags != DN_STREAM_IN_ORDER) {
		return DN_INVALID_ARGUMENTS;
	}
	int status = fake_create(STREAMS, out, sizeof **out);
	if (status == DN_SUCCESS) {
		(*out)->engine = engine;
	}
	return status;
}

int dnnl_sycl_interop_stream_create(dn_stream *out, dn_engine engine, void *queue) {
	(void)queue;
	return dnnl_stream_create(out, engine, DN_STREAM_IN_ORDER);
}

int dnnl_ocl_interop_stream_create(dn_stream *out, dn_engine engine, void *queue) { return dnnl_sycl_interop_stream_create(out, engine, queue); }

int dnnl_ze_interop_stream_create(dn_stream *out, dn_engine engine, void *list, int profiling) {
	return profiling == 0 ? dnnl_sycl_interop_stream_create(out, engine, list) : DN_INVALID_ARGUMENTS;
}

int dnnl_sycl_interop_stream_get_queue(dn_stream stream, void **queue) {
	*queue = stream;
	return DN_SUCCESS;
}

int dnnl_ocl_interop_stream_get_command_queue(dn_stream stream, void **queue) { return dnnl_sycl_interop_stream_get_queue(stream, queue); }
int dnnl_ze_interop_stream_get_list(dn_stream stream, void **list) { return dnnl_sycl_interop_stream_get_queue(stream, list); }

static void drain(dn_stream stream, bool run) {
	while (stream->first != NULL) {
		fake_item *item = stream->first;
		stream->first = item->next;
		char *at[MAX_ARGS];
		for (int i = 0; i < item->count; i++) {
			at[i] = fake_host(stream->engine, stream->engine->kind == GPU ? item->handles[i] : item->memories[i]->handle);
		}
		if (run) {
			fake_run(&item->work, item->count, item->args, at);
		}
		for (int i = 0; i < item->count; i++) {
			fake_release(item->memories[i]);
		}
		free(item);
	}
	stream->last = NULL;
}

int dnnl_stream_wait(dn_stream stream) {
	drain(stream, !fake_lost());
	return fake_lost() ? DN_RUNTIME_ERROR : DN_SUCCESS;
}

int dnnl_stream_destroy(dn_stream stream) {
	drain(stream, false);
	fake_destroy(STREAMS, stream);
	return DN_SUCCESS;
}

int dnnl_primitive_execute(dn_primitive primitive, dn_stream stream, int count, const dn_exec_arg *args) {
	int64_t turn = ++executions;
	if (fake_lost() || turn == fake_told("execute", 0)) {
		return DN_RUNTIME_ERROR;
	}
	if (count > MAX_ARGS || primitive->work.engine != stream->engine) {
		return DN_INVALID_ARGUMENTS;
	}
	fake_item *item = calloc(1, sizeof *item);
	if (item == NULL) {
		return DN_OUT_OF_MEMORY;
	}
	item->work = primitive->work;
	item->count = count;
	for (int i = 0; i < count; i++) {
		dn_memory memory = args[i].memory;
		item->args[i] = args[i].arg;
		item->memories[i] = memory;
		item->handles[i] = memory->handle;
		memory->references++;
	}
	if (stream->last != NULL) {
		stream->last->next = item;
	} else {
		stream->first = item;
	}
	stream->last = item;
	if (stream->engine->kind == CPU && fake_told("cpu", 512) != 512) {
		drain(stream, true);
	}
	return DN_SUCCESS;
}

int dnnl_memory_create(dn_memory *out, dn_md md, dn_engine engine, void *handle) {
	*out = NULL;
	if (fake_lost()) {
		return DN_RUNTIME_ERROR;
	}
	int status = fake_create(MEMORIES, out, sizeof **out);
	if (status != DN_SUCCESS) {
		return status;
	}
	dn_memory m = *out;
	*m = (struct dn_memory_){.md = *md, .engine = engine, .handle = handle};
	m->references = 1;
	if (handle == DN_MEMORY_ALLOCATE) {
		size_t bytes = (size_t)fake_bytes(md);
		m->owned = true;
		m->handle = malloc(bytes + 64);
		if (m->handle == NULL) {
			m->owned = false;
			fake_release(m);
			*out = NULL;
			return DN_OUT_OF_MEMORY;
		}
		memset(m->handle, 0xff, bytes);
		m->handle = fake_host(engine, m->handle);
	}
	return DN_SUCCESS;
}

int dnnl_ocl_interop_memory_create(dn_memory *out, dn_md md, dn_engine engine, int kind, void *handle) {
	*out = NULL;
	return kind == DN_OCL_USM ? dnnl_memory_create(out, md, engine, handle) : DN_INVALID_ARGUMENTS;
}

void fake_release(dn_memory memory) {
	if (--memory->references > 0) {
		return;
	}
	if (memory->owned) {
		free(fake_host(memory->engine, memory->handle));
	}
	fake_destroy(MEMORIES, memory);
}

int dnnl_memory_destroy(dn_memory memory) {
	fake_release(memory);
	return DN_SUCCESS;
}

int dnnl_memory_get_data_handle(dn_memory memory, void **handle) {
	*handle = memory->handle;
	return DN_SUCCESS;
}

int dnnl_memory_set_data_handle(dn_memory memory, void *handle) {
	memory->handle = handle;
	return DN_SUCCESS;
}

int dnnl_memory_map_data(dn_memory memory, void **pointer) {
	*pointer = NULL;
	if (fake_lost() || memory->mapped != NULL) {
		return DN_RUNTIME_ERROR;
	}
	if (memory->engine->kind == CPU) {
		*pointer = memory->handle;
		return DN_SUCCESS;
	}
	size_t bytes = (size_t)fake_bytes(&memory->md);
	memory->mapped = malloc(bytes);
	if (memory->mapped == NULL) {
		return DN_OUT_OF_MEMORY;
	}
	memcpy(memory->mapped, fake_host(memory->engine, memory->handle), bytes);
	*pointer = memory->mapped;
	return DN_SUCCESS;
}

int dnnl_memory_unmap_data(dn_memory memory, void *pointer) {
	if (memory->engine->kind == CPU) {
		return pointer == memory->handle ? DN_SUCCESS : DN_INVALID_ARGUMENTS;
	}
	if (pointer == NULL || pointer != memory->mapped) {
		return DN_INVALID_ARGUMENTS;
	}
	memcpy(fake_host(memory->engine, memory->handle), pointer, (size_t)fake_bytes(&memory->md));
	free(pointer);
	memory->mapped = NULL;
	return DN_SUCCESS;
}
