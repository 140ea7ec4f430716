/* Calls the trampolines from several threads at once, the first calls of the
 * process, and prints what they answer. */
#define _POSIX_C_SOURCE 200809L /* barriers */
#include <cuda.h>

#include <pthread.h>
#include <stdio.h>

#include "../lazy.h"

enum { THREADS = 8 };

typedef struct {
	int init, count_code, count, version_code, version, name_code, absent;
} answers;

static pthread_barrier_t start;

static void *ask(void *to) {
	answers *a = to;
	const char *name = NULL;
	CUarray array = NULL;
	pthread_barrier_wait(&start);
	a->init = (int)cuInit(0);
	a->count_code = (int)cuDeviceGetCount(&a->count);
	a->version_code = (int)cuDriverGetVersion(&a->version);
	a->name_code = (int)cuGetErrorName(CUDA_ERROR_NO_DEVICE, &name);
	a->absent = (int)cuArrayDestroy(array); /* the stand-in has none */
	return NULL;
}

int main(void) {
	pthread_t threads[THREADS];
	answers all[THREADS] = {{0}};
	pthread_barrier_init(&start, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		pthread_create(&threads[i], NULL, ask, &all[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	for (int i = 0; i < THREADS; i++) {
		const answers *a = &all[i];
		printf("cuInit %d, cuDeviceGetCount %d: %d, cuDriverGetVersion %d: %d, cuGetErrorName %d, cuArrayDestroy %d\n", a->init,
			a->count_code, a->count, a->version_code, a->version, a->name_code, a->absent);
	}
	const bitlane_cuda_state *s = bitlane_cuda_load();
	printf("loaded %d, code %d, version %d, missing %s, %s\n", s->loaded, s->code, s->version,
		s->missing != NULL ? s->missing : "nothing", s->text[0] != 0 ? "text" : "no text");
	return 0;
}
