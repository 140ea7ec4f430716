//go:build cuda && cgo && linux

#include "load.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

/* The newest first. A library needs a driver of its own major version or a newer one. */
static const struct {
	const char *file;
	int driver;
} files[BITLANE_LT_FILES] = {{"libcublasLt.so.13", 13000}, {"libcublasLt.so.12", 12000}};

static const char *const symbols[] = {
#define BITLANE_LT(type, name, parameters) #name,
#include "bitlane_lt_functions.h"
};

enum { FUNCTIONS = sizeof symbols / sizeof *symbols };

_Static_assert(sizeof(bitlane_lt) == FUNCTIONS * sizeof(void *), "functions are pointers, in the table's order");

/* Written by load alone. */
static bitlane_lt_state state;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *open_one(void) {
	for (int i = 0; i < BITLANE_LT_FILES; i++) {
		if (state.driver < files[i].driver) {
			continue;
		}
		void *library = dlopen(files[i].file, RTLD_LAZY | RTLD_LOCAL);
		if (library != NULL) {
			state.file = files[i].file;
			return library;
		}
		const char *text = dlerror();
		state.tried[i].file = files[i].file;
		strncpy(state.tried[i].text, text != NULL ? text : "", sizeof state.tried[i].text - 1);
	}
	return NULL;
}

static void load(void) {
	if (cuDriverGetVersion(&state.driver) != CUDA_SUCCESS) {
		state.driver = 0;
	}
	void *library = open_one();
	if (library == NULL) {
		return;
	}
	/* An object pointer is not converted to a function's in ISO C. */
	void *entries[FUNCTIONS];
	for (int i = 0; i < FUNCTIONS; i++) {
		entries[i] = dlsym(library, symbols[i]);
		if (entries[i] == NULL && state.missing == NULL) {
			state.missing = symbols[i];
		}
	}
	memcpy(&state.call, entries, sizeof entries);
	static const libraryPropertyType parts[] = {MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL};
	for (int i = 0; i < 3 && state.call.cublasLtGetProperty != NULL; i++) {
		if (state.call.cublasLtGetProperty(parts[i], &state.version[i]) != CUBLAS_STATUS_SUCCESS) {
			state.version[i] = 0;
		}
	}
}

const bitlane_lt_state *bitlane_lt_load(void) {
	pthread_once(&once, load);
	return &state;
}
