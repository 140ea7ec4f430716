/*
 * A program around the shim, for tests with the stand-in and under sanitizers:
 *
 *	harness LIBRARY open              what opening it says
 *	harness LIBRARY engines KIND      what making engines 0, 1, … says
 *	harness LIBRARY life KIND         every function, results checked; what is alive behind it
 *	harness LIBRARY faults KIND WHAT  life with the first creation of an object failing (oom), or the first
 *	                                  execution (execute), or the device lost from there on (lost), then with the second, …
 *
 * It prints the class and text of errors and ends with status 0.
 */
#define _POSIX_C_SOURCE 200809L
#include "bitlane_xpu.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { K = 64, X = 60, N = 6, Y = 5, GROUP = 32, ROWS = 6 };

static char text[300];

/* The first error since it was cleared, and whether to print them. */
static int32_t first;
static int quiet;

/* Prints an error and passes it on. */
static int32_t say(const char *call, int32_t class_) {
	if (class_ == BITLANE_XPU_OK) {
		return class_;
	}
	if (first == BITLANE_XPU_OK) {
		first = class_;
	}
	if (!quiet) {
		printf("%.*s: class %d, %s\n", (int)strcspn(call, "("), call, (int)class_, text);
	}
	return class_;
}

#define SAY(call) say(#call, bitlane_xpu_##call)
#define ERR text, sizeof text

typedef struct {
	bitlane_xpu_engine *engine;
	bitlane_xpu_stream *stream;
	bitlane_xpu_layer *layer;
	bitlane_xpu_binding *binding;
	bitlane_xpu_memory *memories[16];
	int count;
	int rounded; /* the recipe does not give whole numbers: y is not checked */
	float x[ROWS][X];
	signed char weights[N][K];
	signed char zeros[K / GROUP][N];
	float scales[K / GROUP][N], bias[N];
} test;

/* Device memory with a copy of what is at from; NULL for a failure. */
static void *device(test *t, const void *from, int64_t bytes) {
	void *p = NULL;
	if (SAY(memory_alloc(t->engine, bytes, &t->memories[t->count], &p, ERR)) != BITLANE_XPU_OK) {
		return NULL;
	}
	t->count++;
	if (SAY(upload(t->stream, p, from, bytes, ERR)) != BITLANE_XPU_OK) {
		return NULL;
	}
	return p;
}

static void fill(test *t) {
	for (int m = 0; m < ROWS; m++) {
		for (int k = 0; k < X; k++) {
			t->x[m][k] = k == 0 ? 127 : (float)((m * 7 + k * 5) % 33 - 16);
		}
	}
	for (int n = 0; n < N; n++) {
		t->bias[n] = (float)n;
		for (int g = 0; g < K / GROUP; g++) {
			t->zeros[g][n] = (signed char)(n + g);
			t->scales[g][n] = 0.25F * (float)(1 + (n & 1));
		}
		for (int k = 0; k < K; k++) {
			t->weights[n][k] = k < X ? (signed char)((n * 3 + k) % 17 - 8) : t->zeros[k / GROUP][n];
		}
	}
}

/* Exact: whole numbers, scales that are powers of two. */
static float expected(const test *t, int m, int n) {
	float y = t->bias[n];
	for (int k = 0; k < X; k++) {
		y += t->x[m][k] * (float)(t->weights[n][k] - t->zeros[k / GROUP][n]) * t->scales[k / GROUP][n];
	}
	return y;
}

static int32_t prepare(test *t, const bitlane_xpu_plan *plan) {
	int32_t class_ = SAY(layer_prepare(t->engine, plan, &t->layer, ERR));
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	void *weights = device(t, t->weights, sizeof t->weights), *scales = device(t, t->scales, sizeof t->scales);
	void *zeros = device(t, t->zeros, sizeof t->zeros), *bias = device(t, t->bias, sizeof t->bias);
	if (weights == NULL || scales == NULL || zeros == NULL || bias == NULL) {
		return -1;
	}
	return SAY(bind(t->layer, t->stream, weights, scales, zeros, bias, &t->binding, ERR));
}

/* y of rows rows, all with gaps or none, checked. */
static int32_t apply(test *t, int rows, int gap, void *workspace, int64_t bytes) {
	float wide[ROWS][X + 3], y[ROWS][Y + 2];
	memset(wide, 0xff, sizeof wide);
	memset(y, 0xff, sizeof y);
	float *x = &wide[0][0], *out = &y[0][0];
	int xs = gap ? X + 3 : X, ys = gap ? Y + 2 : Y;
	for (int m = 0; m < rows; m++) {
		memcpy(x + m * xs, t->x[m], sizeof t->x[m]);
	}
	int count = t->count;
	void *dx = device(t, wide, sizeof wide), *dy = device(t, y, sizeof y);
	if (dx == NULL || dy == NULL) {
		return -1;
	}
	int32_t class_ = SAY(apply(t->binding, dx, xs, dy, ys, rows, workspace, bytes, ERR));
	if (class_ == BITLANE_XPU_OK) {
		class_ = SAY(download(t->stream, y, dy, sizeof y, ERR));
	}
	if (class_ != BITLANE_XPU_OK) {
		SAY(stream_wait(t->stream, ERR));
	}
	for (int i = 0; i < ROWS * (Y + 2) && class_ == BITLANE_XPU_OK; i++) {
		int m = i / ys, n = i % ys;
		if (m < rows && n < Y ? !t->rounded && out[i] != expected(t, m, n) : out[i] == out[i]) {
			printf("y[%d, %d] of %d rows is %g\n", m, n, rows, (double)out[i]);
			class_ = -1;
		}
	}
	while (t->count > count) {
		bitlane_xpu_memory_free(t->memories[--t->count]);
	}
	return class_;
}

static int32_t codes(test *t, void *workspace, int64_t bytes) {
	float bad[ROWS][X], scales[ROWS], y[ROWS][Y];
	signed char c[ROWS][X];
	memcpy(bad, t->x, sizeof bad);
	bad[2][X - 1] = NAN;
	bad[3][0] = -INFINITY;
	memset(c, 1, sizeof c);
	memset(scales, 0, sizeof scales);
	memset(y, 0, sizeof y);
	void *dx = device(t, bad, sizeof bad), *dc = device(t, c, sizeof c), *ds = device(t, scales, sizeof scales), *dy = device(t, y, sizeof y);
	if (dx == NULL || dc == NULL || ds == NULL || dy == NULL) {
		return -1;
	}
	int32_t class_ = SAY(quantize(t->binding, dx, X, dc, ds, ROWS - 1, workspace, bytes, ERR));
	if (class_ == BITLANE_XPU_OK) {
		class_ = SAY(apply_codes(t->binding, dc, ds, dy, Y, ROWS - 1, workspace, bytes, ERR));
	}
	if (class_ == BITLANE_XPU_OK) {
		class_ = SAY(download(t->stream, c, dc, sizeof c, ERR));
	}
	if (class_ == BITLANE_XPU_OK) {
		class_ = SAY(download(t->stream, y, dy, sizeof y, ERR));
	}
	for (int m = 0; m < ROWS && class_ == BITLANE_XPU_OK; m++) {
		for (int k = 0; k < X; k++) {
			float want = m == ROWS - 1 ? 1 : m == 2 || m == 3 ? 0 : t->x[m][k];
			if ((float)c[m][k] != want) {
				printf("code[%d, %d] is %d\n", m, k, c[m][k]);
				return -1;
			}
		}
		for (int n = 0; n < Y; n++) {
			if (m == 2 || m == 3 ? y[m][n] == y[m][n] : y[m][n] != (m == ROWS - 1 ? 0 : expected(t, m, n))) {
				printf("y[%d, %d] of codes is %g\n", m, n, (double)y[m][n]);
				return -1;
			}
		}
	}
	return class_;
}

static int32_t run(test *t, const bitlane_xpu_plan *plan) {
	int32_t class_ = prepare(t, plan);
	if (class_ != BITLANE_XPU_OK) {
		return class_;
	}
	int64_t bytes = bitlane_xpu_layer_workspace(t->layer, ROWS);
	char *noise = malloc((size_t)bytes);
	memset(noise, 0xff, (size_t)bytes);
	void *workspace = device(t, noise, bytes);
	free(noise);
	if (workspace == NULL) {
		return -1;
	}
	for (int rows = 1; rows <= ROWS; rows++) {
		for (int gap = 0; gap < 2; gap++) {
			class_ = apply(t, rows, gap, workspace, bitlane_xpu_layer_workspace(t->layer, rows));
			if (class_ != BITLANE_XPU_OK) {
				return class_;
			}
		}
	}
	return plan->codes ? codes(t, workspace, bytes) : class_;
}

/* A failed call may leave work behind that uses the memory. */
static void end_layer(test *t) {
	if (t->stream != NULL) {
		SAY(stream_wait(t->stream, ERR));
	}
	bitlane_xpu_unbind(t->binding);
	t->binding = NULL;
	SAY(layer_destroy(t->layer, ERR));
	t->layer = NULL;
	while (t->count > 0) {
		bitlane_xpu_memory_free(t->memories[--t->count]);
	}
}

static int32_t copies(test *t) {
	char a[100], b[100];
	for (int i = 0; i < 100; i++) {
		a[i] = (char)i;
	}
	memset(b, 1, sizeof b);
	char *p = device(t, a, sizeof a), *q = device(t, b, sizeof b);
	if (p == NULL || q == NULL) {
		return -1;
	}
	int32_t class_ = SAY(copy(t->stream, q + 3, p + 7, 50, ERR));
	if (class_ == BITLANE_XPU_OK) {
		class_ = SAY(download(t->stream, b, q, sizeof b, ERR));
	}
	for (int i = 0; i < 100 && class_ == BITLANE_XPU_OK; i++) {
		if (b[i] != (i >= 3 && i < 53 ? a[i + 4] : 1)) {
			printf("byte %d of a copy is %d\n", i, b[i]);
			return -1;
		}
	}
	return class_;
}

static int32_t life(bitlane_xpu_library *library, int32_t kind) {
	static const bitlane_xpu_plan plans[] = {
		{.activations = BITLANE_XPU_INT8_TOKEN, .codes = 1},
		{.activations = BITLANE_XPU_INT8_TOKEN, .row_scales = BITLANE_XPU_ROW_SCALES_SOURCE, .deterministic = 1},
		{.activations = BITLANE_XPU_INT8_TOKEN_CT},
		{.activations = BITLANE_XPU_EXACT, .compute_type = BITLANE_XPU_F32},
		{.activations = BITLANE_XPU_EXACT, .compute_type = BITLANE_XPU_F32, .slice = 16},
		{.activations = BITLANE_XPU_EXACT, .compute_type = BITLANE_XPU_F32, .slice = GROUP},
	};
	test t;
	memset(&t, 0, sizeof t);
	fill(&t);
	int32_t class_ = SAY(engine_create(library, kind, 0, &t.engine, ERR));
	if (class_ == BITLANE_XPU_OK) {
		class_ = SAY(stream_create(t.engine, &t.stream, ERR));
	}
	for (size_t i = 0; i < sizeof plans / sizeof plans[0] && class_ == BITLANE_XPU_OK; i++) {
		bitlane_xpu_plan p = plans[i];
		p.bytes = sizeof p;
		p.x_type = p.y_type = p.scale_type = p.bias_type = BITLANE_XPU_F32;
		p.weight_type = p.zero_type = BITLANE_XPU_S8;
		p.zero_kind = BITLANE_XPU_ZERO_GROUPED;
		p.k = p.weight_stride = K;
		p.x_cols = X;
		p.n = N;
		p.y_cols = Y;
		p.group = GROUP;
		p.max_rows = ROWS;
		p.refuse_reference = 1;
		t.rounded = p.activations == BITLANE_XPU_INT8_TOKEN_CT;
		class_ = run(&t, &p);
		end_layer(&t);
	}
	if (class_ == BITLANE_XPU_OK) {
		class_ = copies(&t);
	}
	end_layer(&t);
	if (t.stream != NULL) {
		SAY(stream_destroy(t.stream, ERR));
	}
	SAY(engine_destroy(t.engine, ERR));
	return class_;
}

/* A function that counts, of the stand-in. */
static int64_t ask(const char *path, const char *name, int64_t counts[8]) {
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	void *symbol = handle != NULL ? dlsym(handle, name) : NULL;
	int64_t (*count)(int64_t *);
	int64_t result = -1;
	if (symbol != NULL) {
		memcpy(&count, &symbol, sizeof count);
		result = count(counts);
	}
	if (handle != NULL) {
		dlclose(handle);
	}
	return result;
}

static int64_t alive(const bitlane_xpu_library *library, const char *path) {
	bitlane_xpu_counts c;
	int64_t counts[8] = {0};
	bitlane_xpu_library_alive(library, &c);
	ask(path, "fake_alive", counts);
	int64_t all = c.engines + c.streams + c.memories + c.layers + c.bindings;
	for (int i = 0; i < 8; i++) {
		all += counts[i];
	}
	return all;
}

static int faults(bitlane_xpu_library *library, const char *path, int32_t kind, const char *what) {
	int32_t want = strcmp(what, "oom") == 0 ? BITLANE_XPU_OUT_OF_MEMORY : BITLANE_XPU_FAILED;
	quiet = 1;
	for (int n = 1;; n++) {
		int64_t counts[8];
		int64_t before = ask(path, strcmp(what, "oom") == 0 ? "fake_alive" : "fake_executed", counts);
		char told[64];
		snprintf(told, sizeof told, "%s=%lld", what, (long long)before + n);
		setenv("BITLANE_FAKE_ONEDNN", told, 1);
		first = BITLANE_XPU_OK;
		text[0] = 0;
		int32_t class_ = life(library, kind);
		if (alive(library, path) != 0) {
			printf("%s: %lld objects are alive after %s\n", told, (long long)alive(library, path), text);
			return 1;
		}
		if (class_ == BITLANE_XPU_OK) {
			printf("%s: %s faults\n", what, n > 20 ? "many" : "few");
			return 0;
		}
		if (first != want || text[0] == 0) {
			printf("%s: class %d, %s\n", told, (int)first, text);
			return 1;
		}
		unsetenv("BITLANE_FAKE_ONEDNN"); /* a lost device is found again */
	}
}

int main(int argc, char **argv) {
	bitlane_xpu_library *library;
	if (argc < 3 || SAY(library_open(argv[1], &library, ERR)) != BITLANE_XPU_OK) {
		return argc < 3;
	}
	if (strcmp(argv[2], "open") == 0) {
		bitlane_xpu_library_facts f;
		char hash[64];
		bitlane_xpu_library_info(library, &f, hash, sizeof hash);
		printf("oneDNN %d.%d.%d (%s), runtimes %d and %d, wraps %d\n", (int)f.major, (int)f.minor, (int)f.patch, hash, (int)f.cpu_runtime, (int)f.gpu_runtime, (int)f.wraps_native);
	} else if (strcmp(argv[2], "engines") == 0 && argc > 3) {
		bitlane_xpu_engine *engine;
		for (int i = 0; SAY(engine_create(library, atoi(argv[3]), i, &engine, ERR)) == BITLANE_XPU_OK; i++) {
			SAY(engine_destroy(engine, ERR));
			printf("engine %d\n", i);
		}
	} else if (strcmp(argv[2], "life") == 0 && argc > 3) {
		int32_t class_ = life(library, atoi(argv[3]));
		printf("life: %d, %lld alive\n", (int)class_, (long long)alive(library, argv[1]));
	} else if (strcmp(argv[2], "faults") == 0 && argc > 4) {
		if (faults(library, argv[1], atoi(argv[3]), argv[4]) != 0) {
			return 1;
		}
	}
	return SAY(library_close(library, ERR)) != BITLANE_XPU_OK;
}
