/* Modules, functions and launches. */
#include "fake.h"

#include <stdio.h>
#include <string.h>

/* size is the bytes of a parameter that begins as ".param .u32 name". */
static size_t size(const char *parameter) {
	static const char *const eight[] = {".param .u64", ".param .b64", ".param .s64", ".param .f64"};
	for (size_t i = 0; i < sizeof eight / sizeof *eight; i++) {
		if (strncmp(parameter, eight[i], strlen(eight[i])) == 0) {
			return 8;
		}
	}
	return 4;
}

/* parse reads ".entry name(.param .u64 a, .param .u32 b)" and returns NULL for
 * what it is not. It is no PTX parser: enough for the text of tests. */
static struct CUfunc_st *parse(const char *entry) {
	struct CUfunc_st *f = calloc(1, sizeof *f);
	const char *end = strchr(entry, ')');
	if (f == NULL || end == NULL || sscanf(entry, ".entry %63[A-Za-z0-9_]", f->name) != 1) {
		free(f);
		return NULL;
	}
	const char *p = entry;
	while ((p = strstr(p, ".param ")) != NULL && p < end && f->parameters < FAKE_PARAMETERS) {
		f->sizes[f->parameters++] = size(p);
		p++;
	}
	f->shared = FAKE_SHARED;
	return f;
}

static void free_functions(struct CUfunc_st *f) {
	while (f != NULL) {
		struct CUfunc_st *next = f->next;
		free(f);
		f = next;
	}
}

/* say writes the compiler's message where the options have a place for it. */
static void say(const char *message, unsigned int count, const CUjit_option *options, void **values) {
	char *log = NULL;
	size_t bytes = 0;
	for (unsigned int i = 0; i < count; i++) {
		if (options[i] == CU_JIT_ERROR_LOG_BUFFER) {
			log = values[i];
		} else if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) {
			bytes = (size_t)(uintptr_t)values[i];
		}
	}
	if (log != NULL && bytes > 0) {
		snprintf(log, bytes, "%s", message);
	}
}

CUresult cuModuleLoadDataEx(CUmodule *out, const void *image, unsigned int count, CUjit_option *options, void **values) {
	ENTER;
	struct CUfunc_st *functions = NULL;
	const char *text = image;
	if (strstr(text, ".version") == NULL) {
		say("line 1; fatal : the stand-in wants a .version", count, options, values);
		RETURN(CUDA_ERROR_INVALID_PTX);
	}
	for (const char *p = text; (p = strstr(p, ".entry ")) != NULL; p++) {
		struct CUfunc_st *f = parse(p);
		if (f == NULL) {
			free_functions(functions);
			say("fatal : the stand-in does not know this .entry", count, options, values);
			RETURN(CUDA_ERROR_INVALID_PTX);
		}
		f->context = context;
		f->next = functions;
		functions = f;
	}
	*out = calloc(1, sizeof **out);
	if (*out == NULL) {
		free_functions(functions);
		RETURN(CUDA_ERROR_OUT_OF_MEMORY);
	}
	**out = (struct CUmod_st){context, functions};
	fake_live.modules++;
	RETURN(CUDA_SUCCESS);
}

CUresult cuModuleUnload(CUmodule module) {
	ENTER;
	if (module->context != context) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	fake_drain_all(context);
	free_functions(module->functions);
	free(module);
	fake_live.modules--;
	RETURN(CUDA_SUCCESS);
}

CUresult cuModuleGetFunction(CUfunction *out, CUmodule module, const char *name) {
	ENTER;
	(void)context;
	for (struct CUfunc_st *f = module->functions; f != NULL; f = f->next) {
		if (strcmp(f->name, name) == 0) {
			*out = f;
			RETURN(CUDA_SUCCESS);
		}
	}
	RETURN(CUDA_ERROR_NOT_FOUND);
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction f) {
	ENTER;
	if (f->context != context) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	switch (attribute) {
	case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = 16 + f->parameters; break;
	case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
	case CU_FUNC_ATTRIBUTE_PTX_VERSION: *value = 80; break;
	case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = 90; break;
	default: *value = 0;
	}
	RETURN(CUDA_SUCCESS);
}

CUresult cuFuncSetAttribute(CUfunction f, CUfunction_attribute attribute, int value) {
	ENTER;
	if (f->context != context) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 || value > FAKE_SHARED_OPTIN) {
		RETURN(CUDA_ERROR_INVALID_VALUE);
	}
	f->shared = value;
	RETURN(CUDA_SUCCESS);
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction f, int threads, size_t shared) {
	ENTER;
	if (f->context != context || threads < 1) {
		RETURN(CUDA_ERROR_INVALID_VALUE);
	}
	*blocks = shared > 0 ? (int)((228 << 10) / shared) : 2048 / threads;
	RETURN(CUDA_SUCCESS);
}

CUresult cuLaunchKernel(CUfunction f, unsigned int gridX, unsigned int gridY, unsigned int gridZ, unsigned int blockX,
	unsigned int blockY, unsigned int blockZ, unsigned int shared, CUstream handle, void **parameters, void **extra) {
	ENTER;
	CUstream stream = fake_stream(handle);
	if (f->context != context || stream == NULL) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	fake_work work = {.kind = FAKE_LAUNCH, .function = f, .grid = {gridX, gridY, gridZ},
		.block = {blockX, blockY, blockZ}, .shared = shared};
	unsigned long long threads = (unsigned long long)blockX * blockY * blockZ;
	if (extra != NULL || gridX == 0 || gridY == 0 || gridZ == 0 || gridY > 65535 || gridZ > 65535 || threads == 0 ||
		threads > 1024 || shared > (unsigned int)f->shared) {
		RETURN(CUDA_ERROR_INVALID_VALUE);
	}
	for (int i = 0; i < f->parameters; i++) {
		memcpy(&work.parameters[i], parameters[i], f->sizes[i]);
	}
	RETURN(fake_enqueue(stream, &work));
}

CUresult fake_call(CUstream handle, CUresult (*call)(const void *parameters), const void *parameters, size_t bytes) {
	ENTER;
	(void)context;
	CUstream stream = fake_stream(handle);
	fake_work work = {.kind = FAKE_CALL, .call = call};
	if (stream == NULL || bytes > sizeof work.parameters) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	memcpy(work.parameters, parameters, bytes);
	RETURN(fake_enqueue(stream, &work));
}

/* store puts a value of device memory, or loses the device. */
static void store(uint64_t address, const void *value, size_t bytes) {
	void *to = (void *)(uintptr_t)address;
	if (!fake_is_device(to, bytes)) {
		fake_sticky = CUDA_ERROR_ILLEGAL_ADDRESS;
		return;
	}
	memcpy(to, value, bytes);
}

/* The kernels, as their PTX in the tests has them: report(out, a, b, c, d)
 * writes its arguments and how it was launched as 32-bit words; add(p, v) adds
 * v to the word at p. Other ones do nothing. */
void fake_run(const fake_work *work) {
	const uint64_t *p = work->parameters;
	if (strcmp(work->function->name, "report") == 0) {
		uint32_t words[] = {(uint32_t)p[1], (uint32_t)(p[1] >> 32), (uint32_t)p[2], (uint32_t)p[3], (uint32_t)p[4],
			work->grid[0], work->grid[1], work->grid[2], work->block[0], work->block[1], work->block[2], work->shared};
		store(p[0], words, sizeof words);
	} else if (strcmp(work->function->name, "add") == 0) {
		uint32_t sum = (uint32_t)p[1];
		if (fake_is_device((const void *)(uintptr_t)p[0], sizeof sum)) {
			sum += *(const uint32_t *)(uintptr_t)p[0];
		}
		store(p[0], &sum, sizeof sum);
	}
}
