/*
 * A stand-in for libcuda.so.1, for tests of what calls it. Device memory is host
 * memory; a stream is a list of work that is done when somebody waits for it or
 * asks for it, never before, so that a caller that forgets to wait is found
 * out; kernels are two functions in C. See doc.go for what it can be told.
 *
 * It is stricter than the driver where that helps: no call works without a
 * current context, nor with what belongs to another one.
 */
#ifndef FAKE_H
#define FAKE_H

#define BITLANE_CU_DRIVER
#include <cuda.h>

#include <pthread.h>
#include <stdbool.h>

enum {
	FAKE_DEVICES = 2,
	FAKE_PARAMETERS = 64,
	FAKE_SHARED = 48 << 10,
	FAKE_SHARED_OPTIN = 227 << 10,
	FAKE_MEMORY = 64 << 20, /* bytes of device memory */
};

/* What is alive, for the tests: exported as fake_alive. */
typedef struct {
	int64_t contexts, memories, hosts, modules, streams, events, graphs;
	int64_t depth; /* contexts pushed on the calling thread */
} fake_counts;

struct CUctx_st {
	CUdevice device;
	int retained;
	struct CUstream_st *standard; /* the default stream */
};

/* A piece of work in a stream or graph. */
enum fake_kind { FAKE_COPY, FAKE_FILL, FAKE_LAUNCH, FAKE_CALL, FAKE_RECORD, FAKE_WAIT };

typedef struct fake_work {
	struct fake_work *next;
	enum fake_kind kind;
	unsigned char *dst;
	const unsigned char *src;
	size_t bytes;
	int value;
	CUevent event;
	uint64_t turn; /* which recording of the event is meant */
	CUfunction function;
	unsigned int grid[3], block[3], shared;
	uint64_t parameters[FAKE_PARAMETERS];
	CUresult (*call)(const void *parameters);
} fake_work;

typedef struct {
	fake_work *first, *last;
} fake_list;

struct CUstream_st {
	CUcontext context;
	CUstreamCaptureStatus capture;
	fake_list queue, captured;
};

struct CUevent_st {
	CUcontext context;
	bool timed;
	CUstream stream;        /* where it was recorded last */
	uint64_t turns, reached; /* recordings enqueued, and done */
	float time;
};

struct CUgraph_st {
	CUcontext context;
	fake_list work;
};

struct CUgraphExec_st {
	CUcontext context;
	fake_list work;
};

struct CUmod_st {
	CUcontext context;
	struct CUfunc_st *functions;
};

struct CUfunc_st {
	struct CUfunc_st *next;
	CUcontext context;
	char name[64];
	int parameters;
	size_t sizes[FAKE_PARAMETERS];
	int shared; /* bytes that a launch may ask for */
};

extern fake_counts fake_live;

/* One lock for everything; sticky is the error that every call returns. */
extern pthread_mutex_t fake_lock;
extern CUresult fake_sticky;

/* The current context, NULL if there is none. */
CUcontext fake_current(void);

/* Whether bytes at p are in one piece of device memory. */
bool fake_is_device(const void *p, size_t bytes);

/* A stream for a handle: 0, 1 and 2 are the current context's default one.
 * NULL for one of another context. */
CUstream fake_stream(CUstream handle);

/* Puts a copy of work behind what is in the stream, or in its capture. */
CUresult fake_enqueue(CUstream stream, const fake_work *work);
CUresult fake_append(fake_list *list, const fake_work *work);
void fake_clear(fake_list *list);

/* Does all work of the context, or in a stream. */
void fake_drain(CUstream stream);
void fake_drain_all(CUcontext context);

/* Runs a kernel; it may set fake_sticky. */
void fake_run(const fake_work *work);

/* Enqueues a call, as a library's kernel: for stand-ins of libraries over the
 * driver. A copy of bytes at parameters, at most FAKE_PARAMETERS slots of 8, is
 * what the call gets, each time that a graph with it runs. Memory is asked for
 * there with fake_is_device, and what is not success loses the device. */
CUresult fake_call(CUstream handle, CUresult (*call)(const void *parameters), const void *parameters, size_t bytes);

/* ENTER begins a function that needs a context; RETURN ends it. */
#define ENTER                                 \
	pthread_mutex_lock(&fake_lock);           \
	if (fake_sticky != CUDA_SUCCESS) {        \
		RETURN(fake_sticky);                  \
	}                                         \
	CUcontext context = fake_current();       \
	if (context == NULL) {                    \
		RETURN(CUDA_ERROR_INVALID_CONTEXT);   \
	}
#define RETURN(code)                          \
	do {                                      \
		CUresult result_ = (code);            \
		pthread_mutex_unlock(&fake_lock);     \
		return result_;                       \
	} while (0)

#endif
