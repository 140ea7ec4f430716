/*
 * A library to open in oneDNN's place: it is linked with the real one, whose symbols dlsym
 * finds behind its own, and has three of them itself, which call the real ones and add up
 * the time. What a call of the shim takes beyond that is the shim's and its caller's.
 *
 * The sums belong to no thread: only one may call at a time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))

enum { EXECUTE, HANDLE, WAIT, KINDS };

/* Nanoseconds, and calls, of execute, set_data_handle and wait. */
EXPORT int64_t bitlane_meter_spent[KINDS], bitlane_meter_calls[KINDS];

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void add(int kind, int64_t since) {
	bitlane_meter_spent[kind] += now() - since;
	bitlane_meter_calls[kind]++;
}

/* The real function of a name. */
static void *next(void **known, const char *name) {
	if (*known == NULL) {
		*known = dlsym(RTLD_NEXT, name);
	}
	return *known;
}

typedef int (*execute_function)(const void *, void *, int, const void *);
typedef int (*handle_function)(void *, void *);
typedef int (*wait_function)(void *);

EXPORT int dnnl_primitive_execute(const void *primitive, void *stream, int count, const void *args) {
	static void *known;
	void *function = next(&known, "dnnl_primitive_execute");
	int64_t since = now();
	execute_function real;
	__builtin_memcpy(&real, &function, sizeof real);
	int status = real(primitive, stream, count, args);
	add(EXECUTE, since);
	return status;
}

EXPORT int dnnl_memory_set_data_handle(void *memory, void *handle) {
	static void *known;
	void *function = next(&known, "dnnl_memory_set_data_handle");
	int64_t since = now();
	handle_function real;
	__builtin_memcpy(&real, &function, sizeof real);
	int status = real(memory, handle);
	add(HANDLE, since);
	return status;
}

EXPORT int dnnl_stream_wait(void *stream) {
	static void *known;
	void *function = next(&known, "dnnl_stream_wait");
	int64_t since = now();
	wait_function real;
	__builtin_memcpy(&real, &function, sizeof real);
	int status = real(stream);
	add(WAIT, since);
	return status;
}

/* Picoseconds that the clock adds beside each sum. */
EXPORT int64_t bitlane_meter_cost(void) {
	enum { TIMES = 1000000 };
	int64_t before = bitlane_meter_spent[WAIT], begin = now();
	for (int i = 0; i < TIMES; i++) {
		add(WAIT, now());
	}
	int64_t took = now() - begin, inside = bitlane_meter_spent[WAIT] - before;
	bitlane_meter_spent[WAIT] = before;
	bitlane_meter_calls[WAIT] -= TIMES;
	return (took - inside) * 1000 / TIMES;
}
