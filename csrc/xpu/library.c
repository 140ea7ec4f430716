//go:build xpu && cgo && linux

/* Loading oneDNN, and what a loaded one says about itself. */
#define _GNU_SOURCE /* RTLD_NODELETE */
#include "shim.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char standard_name[] = "libdnnl.so.3";

enum { LEAST_MAJOR = 3, LEAST_MINOR = 7 };

static const char *const needed[] = {
#define NAME(result, name, parameters) "dnnl_" #name,
	DN_NEEDED(NAME)
#undef NAME
};

const char *bitlane_xpu_needed_symbol(int64_t index) {
	if (index < 0 || index >= (int64_t)(sizeof needed / sizeof needed[0])) {
		return NULL;
	}
	return needed[index];
}

int32_t bitlane_xpu_abi(void) { return BITLANE_XPU_ABI; }

/* An object pointer is not converted to a function's in ISO C: its bytes are copied. */
static int find(void *handle, const char *symbol, void *function, size_t bytes) {
	void *address = dlsym(handle, symbol);
	memcpy(function, &address, bytes);
	return address != NULL;
}

/* Adds a name to a list in text, with commas. */
static void append(char *text, size_t bytes, const char *name) {
	size_t used = strlen(text);
	snprintf(text + used, bytes - used, "%s%s", used > 0 ? ", " : "", name);
}

/* A symbol that is missing is an error only after the version is known to be
 * new enough: an old library lacks some, and its version says more. */
static int32_t resolve(bitlane_xpu_library *library, const char *name, bx_err err) {
	dn_functions *dn = &library->dn;
	char missing[1024] = "";
#define FIND(result, function, parameters) \
	if (!find(library->handle, "dnnl_" #function, &dn->function, sizeof dn->function)) { \
		append(missing, sizeof missing, "dnnl_" #function); \
	}
	DN_NEEDED(FIND)
#undef FIND
#define FIND(result, function, parameters) find(library->handle, "dnnl_" #function, &dn->function, sizeof dn->function);
	DN_OPTIONAL(FIND)
#undef FIND
	if (dn->version == NULL) {
		return bx_fail(err, BITLANE_XPU_MISSING_SYMBOL, "%s has no symbol dnnl_version: is it oneDNN?", name);
	}
	const dn_version *v = dn->version();
	if (v == NULL) {
		return bx_fail(err, BITLANE_XPU_FAILED, "%s: dnnl_version returned nothing", name);
	}
	library->facts = (bitlane_xpu_library_facts){
		.major = v->major, .minor = v->minor, .patch = v->patch,
		.cpu_runtime = v->cpu_runtime, .gpu_runtime = v->gpu_runtime,
	};
	if (v->hash != NULL) {
		snprintf(library->hash, sizeof library->hash, "%s", v->hash);
	}
	if (v->major != LEAST_MAJOR || v->minor < LEAST_MINOR) {
		return bx_fail(err, BITLANE_XPU_TOO_OLD, "%s is oneDNN %d.%d.%d; bitlane needs %d.%d or later of %d.x, and recommends 3.10 or later",
			name, v->major, v->minor, v->patch, LEAST_MAJOR, LEAST_MINOR, LEAST_MAJOR);
	}
	if (missing[0] != 0) {
		return bx_fail(err, BITLANE_XPU_MISSING_SYMBOL, "%s (oneDNN %d.%d.%d) lacks %s", name, v->major, v->minor, v->patch, missing);
	}
	switch (v->gpu_runtime) {
	case BITLANE_XPU_RUNTIME_SYCL:
		library->facts.wraps_native = dn->sycl_interop_engine_create != NULL && dn->sycl_interop_stream_create != NULL;
		break;
	case BITLANE_XPU_RUNTIME_OPENCL:
		library->facts.wraps_native = dn->ocl_interop_engine_create != NULL && dn->ocl_interop_stream_create != NULL;
		break;
	case BITLANE_XPU_RUNTIME_LEVEL_ZERO:
		library->facts.wraps_native = dn->ze_interop_engine_create != NULL && dn->ze_interop_stream_create != NULL;
		break;
	}
	return BITLANE_XPU_OK;
}

int32_t bitlane_xpu_library_open(const char *path, bitlane_xpu_library **out, char *text, size_t text_bytes) {
	bx_err err = {text, text_bytes};
	*out = NULL;
	bitlane_xpu_library *library = calloc(1, sizeof *library);
	if (library == NULL) {
		return bx_fail(err, BITLANE_XPU_OUT_OF_MEMORY, "out of memory");
	}
	const char *name = path != NULL ? path : standard_name;
	library->handle = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (library->handle == NULL) {
		const char *why = dlerror();
		int32_t class_;
		if (why == NULL) {
			class_ = bx_fail(err, BITLANE_XPU_NO_LIBRARY, "%s cannot be loaded", name);
		} else if (strstr(why, name) != NULL) {
			class_ = bx_fail(err, BITLANE_XPU_NO_LIBRARY, "%s", why);
		} else {
			class_ = bx_fail(err, BITLANE_XPU_NO_LIBRARY, "%s: %s", name, why);
		}
		free(library);
		return class_;
	}
	int32_t class_ = resolve(library, name, err);
	if (class_ != BITLANE_XPU_OK) {
		dlclose(library->handle);
		free(library);
		return class_;
	}
	*out = library;
	return BITLANE_XPU_OK;
}

int32_t bitlane_xpu_library_close(bitlane_xpu_library *library, char *text, size_t text_bytes) {
	if (library == NULL) {
		return BITLANE_XPU_OK;
	}
	long long engines = atomic_load(&library->alive[BX_ENGINES]);
	if (engines != 0) {
		return bx_fail((bx_err){text, text_bytes}, BITLANE_XPU_BUSY, "%lld engines of the library are alive", engines);
	}
	dlclose(library->handle); /* counts only: RTLD_NODELETE */
	free(library);
	return BITLANE_XPU_OK;
}

void bitlane_xpu_library_info(const bitlane_xpu_library *library, bitlane_xpu_library_facts *out, char *hash, size_t hash_bytes) {
	*out = library->facts;
	if (hash_bytes > 0) {
		snprintf(hash, hash_bytes, "%s", library->hash);
	}
}

void bitlane_xpu_library_alive(const bitlane_xpu_library *library, bitlane_xpu_counts *out) {
	*out = (bitlane_xpu_counts){
		.engines = atomic_load(&library->alive[BX_ENGINES]),
		.streams = atomic_load(&library->alive[BX_STREAMS]),
		.memories = atomic_load(&library->alive[BX_MEMORIES]),
		.layers = atomic_load(&library->alive[BX_LAYERS]),
		.bindings = atomic_load(&library->alive[BX_BINDINGS]),
	};
}

void bx_count(bitlane_xpu_library *library, enum bx_kind kind, int change) {
	atomic_fetch_add(&library->alive[kind], change);
}
