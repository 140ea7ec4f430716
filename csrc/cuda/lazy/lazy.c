//go:build cuda && cgo && linux

/*
 * Trampolines for the CUDA driver API; see doc.go. Which header is found under
 * the name cuda.h, ours or the toolkit's, decides what their symbols are called,
 * and gorgonia.org/cu finds the same one: the flags are the same.
 */
#if !__has_include(<cuda.h>)
#error "cuda.h is not found. Set CGO_CPPFLAGS=-I$(go list -tags cuda -f '{{.Dir}}' github.com/bitlane/bitlane/csrc/cuda)"
#else
#include <cuda.h>

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "lazy.h"

/* Go compiles this file anew when it changes, and not when a header outside
 * of its folder does: a test of package cuda keeps this number equal to theirs. */
#define TABLES 0x99d688bc
#if defined(BITLANE_CUDA_H) && BITLANE_CUDA_H != TABLES
#error "cuda.h belongs to another version of bitlane: set CGO_CPPFLAGS again"
#endif

#define HIDDEN __attribute__((visibility("hidden")))

static const char library[] = "libcuda.so.1";

/* A number for each function. */
enum {
#define BITLANE_NEEDED(name, version, parameters, arguments) NUMBER_##name,
#define BITLANE_OTHER(name, version, parameters, arguments) NUMBER_##name,
#include "../bitlane_cu_functions.h"
	FUNCTIONS
};

static const struct {
	const char *symbol;
	int needed;
} functions[FUNCTIONS] = {
#define BITLANE_NEEDED(name, version, parameters, arguments) {#name #version, 1},
#define BITLANE_OTHER(name, version, parameters, arguments) {#name #version, 0},
#include "../bitlane_cu_functions.h"
};

/* Written by load alone, which every trampoline calls through pthread_once. */
static void *entries[FUNCTIONS];
static bitlane_cuda_state state;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void keep_text(const char *text) {
	if (text != NULL) {
		strncpy(state.text, text, sizeof state.text - 1);
	}
}

static void load(void) {
	void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) {
		keep_text(dlerror());
		return;
	}
	state.loaded = 1;
	for (int i = 0; i < FUNCTIONS; i++) {
		entries[i] = dlsym(handle, functions[i].symbol);
		if (entries[i] == NULL && functions[i].needed && state.missing == NULL) {
			state.missing = functions[i].symbol;
		}
	}
	CUresult (*version)(int *);
	memcpy(&version, &entries[NUMBER_cuDriverGetVersion], sizeof version);
	if (version != NULL && version(&state.version) != CUDA_SUCCESS) {
		state.version = 0;
	}
	/* An object pointer is not converted to a function's in ISO C. */
	CUresult (*init)(unsigned int);
	void *entry = dlsym(handle, "cuInit");
	memcpy(&init, &entry, sizeof init);
	if (init == NULL) {
		state.missing = "cuInit";
		state.code = CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND;
		return;
	}
	state.code = (int)init(0);
}

const bitlane_cuda_state *bitlane_cuda_load(void) {
	pthread_once(&once, load);
	return &state;
}

/* Some functions tell about the driver, and work where cuInit fails. */
static int works_always(int number) {
	return number == NUMBER_cuDriverGetVersion || number == NUMBER_cuGetErrorName || number == NUMBER_cuGetErrorString;
}

/* enter writes the function of that number to *call, or says why there is none. */
static CUresult enter(int number, void *call) {
	pthread_once(&once, load);
	if (!state.loaded) {
		return CUDA_ERROR_SHARED_OBJECT_INIT_FAILED;
	}
	if (state.code != CUDA_SUCCESS && !works_always(number)) {
		return (CUresult)state.code;
	}
	if (entries[number] == NULL) {
		return CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND;
	}
	memcpy(call, &entries[number], sizeof entries[number]);
	return CUDA_SUCCESS;
}

HIDDEN CUresult cuInit(unsigned int flags) {
	(void)flags;
	return CUDA_SUCCESS;
}

#define TRAMPOLINE(name, number, parameters, arguments) \
	HIDDEN CUresult name parameters {                   \
		CUresult(*call) parameters;                     \
		CUresult refused = enter(number, &call);        \
		return refused != CUDA_SUCCESS ? refused : call arguments; \
	}
#define BITLANE_NEEDED(name, version, parameters, arguments) TRAMPOLINE(name, NUMBER_##name, parameters, arguments)
#define BITLANE_OTHER(name, version, parameters, arguments) TRAMPOLINE(name, NUMBER_##name, parameters, arguments)
#include "../bitlane_cu_functions.h"

#endif
