/* Streams, events, captures and graphs. */
#include "fake.h"

#include <string.h>

enum { STREAMS = 64 };
static CUstream streams[STREAMS]; /* those that live */
static float now;                 /* the device's clock: a millisecond for each piece of work */

CUresult fake_append(fake_list *list, const fake_work *work) {
	fake_work *copy = malloc(sizeof *copy);
	if (copy == NULL) {
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*copy = *work;
	copy->next = NULL;
	if (list->last != NULL) {
		list->last->next = copy;
	} else {
		list->first = copy;
	}
	list->last = copy;
	return CUDA_SUCCESS;
}

static void drop_first(fake_list *list) {
	fake_work *first = list->first;
	list->first = first->next;
	if (list->first == NULL) {
		list->last = NULL;
	}
	free(first);
}

void fake_clear(fake_list *list) {
	while (list->first != NULL) {
		drop_first(list);
	}
}

CUresult fake_enqueue(CUstream stream, const fake_work *work) {
	if (stream->capture != CU_STREAM_CAPTURE_STATUS_NONE) {
		return fake_append(&stream->captured, work);
	}
	fake_work copy = *work;
	if (work->kind == FAKE_RECORD) {
		copy.turn = ++work->event->turns;
		work->event->stream = stream;
	} else if (work->kind == FAKE_WAIT) {
		copy.turn = work->event->turns;
	}
	return fake_append(&stream->queue, &copy);
}

static void step(CUstream stream) {
	fake_work work = *stream->queue.first;
	if (work.kind == FAKE_WAIT && work.event->reached < work.turn) {
		step(work.event->stream);
		return;
	}
	drop_first(&stream->queue);
	now += 1;
	switch (work.kind) {
	case FAKE_COPY: memmove(work.dst, work.src, work.bytes); break;
	case FAKE_FILL: memset(work.dst, work.value, work.bytes); break;
	case FAKE_LAUNCH: fake_run(&work); break;
	case FAKE_CALL: fake_sticky = work.call(work.parameters); break;
	case FAKE_RECORD:
		work.event->reached = work.turn;
		work.event->time = now;
		break;
	case FAKE_WAIT: break;
	}
}

void fake_drain(CUstream stream) {
	while (stream->queue.first != NULL && fake_sticky == CUDA_SUCCESS) {
		step(stream);
	}
	if (fake_sticky != CUDA_SUCCESS) {
		fake_clear(&stream->queue);
	}
}

void fake_drain_all(CUcontext context) {
	for (int i = 0; i < STREAMS; i++) {
		if (streams[i] != NULL && streams[i]->context == context) {
			fake_drain(streams[i]);
		}
	}
}

static CUstream new_stream(CUcontext context) {
	for (int i = 0; i < STREAMS; i++) {
		if (streams[i] == NULL) {
			streams[i] = calloc(1, sizeof *streams[i]);
			if (streams[i] != NULL) {
				streams[i]->context = context;
			}
			return streams[i];
		}
	}
	return NULL;
}

CUstream fake_stream(CUstream handle) {
	CUcontext context = fake_current();
	if ((uintptr_t)handle <= 2) {
		if (context->standard == NULL) {
			context->standard = new_stream(context);
		}
		return context->standard;
	}
	return handle->context == context ? handle : NULL;
}

CUresult cuStreamCreate(CUstream *out, unsigned int flags) {
	ENTER;
	if (flags != CU_STREAM_NON_BLOCKING) {
		RETURN(CUDA_ERROR_INVALID_VALUE);
	}
	*out = new_stream(context);
	fake_live.streams += *out != NULL;
	RETURN(*out != NULL ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY);
}

CUresult cuStreamDestroy(CUstream handle) {
	ENTER;
	(void)context;
	CUstream stream = (uintptr_t)handle > 2 ? fake_stream(handle) : NULL;
	if (stream == NULL) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	fake_drain(stream);
	for (int i = 0; i < STREAMS; i++) {
		if (streams[i] == stream) {
			streams[i] = NULL;
		}
	}
	fake_clear(&stream->captured);
	free(stream);
	fake_live.streams--;
	RETURN(CUDA_SUCCESS);
}

/* WAITABLE is a stream that may be waited for: as the driver does, waiting for
 * one that is captured spoils the capture. */
#define WAITABLE                                                     \
	CUstream stream = fake_stream(handle);                           \
	(void)context;                                                   \
	if (stream == NULL) {                                            \
		RETURN(CUDA_ERROR_INVALID_HANDLE);                           \
	}                                                                \
	if (stream->capture != CU_STREAM_CAPTURE_STATUS_NONE) {          \
		stream->capture = CU_STREAM_CAPTURE_STATUS_INVALIDATED;      \
		RETURN(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);               \
	}

CUresult cuStreamSynchronize(CUstream handle) {
	ENTER;
	WAITABLE;
	fake_drain(stream);
	RETURN(fake_sticky);
}

CUresult cuStreamQuery(CUstream handle) {
	ENTER;
	WAITABLE;
	if (stream->queue.first == NULL) {
		RETURN(CUDA_SUCCESS);
	}
	step(stream); /* a little is done between two questions */
	RETURN(fake_sticky != CUDA_SUCCESS ? fake_sticky : CUDA_ERROR_NOT_READY);
}

CUresult cuEventCreate(CUevent *out, unsigned int flags) {
	ENTER;
	*out = calloc(1, sizeof **out);
	if (*out == NULL) {
		RETURN(CUDA_ERROR_OUT_OF_MEMORY);
	}
	(*out)->context = context;
	(*out)->timed = flags == CU_EVENT_DEFAULT;
	fake_live.events++;
	RETURN(CUDA_SUCCESS);
}

CUresult cuEventDestroy(CUevent event) {
	ENTER;
	if (event->context != context) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	fake_drain_all(context); /* nothing may name it any more */
	free(event);
	fake_live.events--;
	RETURN(CUDA_SUCCESS);
}

static CUresult enqueue_event(CUevent event, CUstream handle, enum fake_kind kind) {
	CUstream stream = fake_stream(handle);
	fake_work work = {.kind = kind, .event = event};
	if (stream == NULL || event->context != fake_current()) {
		return CUDA_ERROR_INVALID_HANDLE;
	}
	return fake_enqueue(stream, &work);
}

CUresult cuEventRecord(CUevent event, CUstream handle) {
	ENTER;
	(void)context;
	RETURN(enqueue_event(event, handle, FAKE_RECORD));
}

CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned int flags) {
	ENTER;
	(void)context;
	RETURN(flags == 0 ? enqueue_event(event, handle, FAKE_WAIT) : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuEventQuery(CUevent event) {
	ENTER;
	if (event->context != context) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	if (event->reached < event->turns) {
		step(event->stream);
		RETURN(fake_sticky != CUDA_SUCCESS ? fake_sticky : CUDA_ERROR_NOT_READY);
	}
	RETURN(CUDA_SUCCESS);
}

CUresult cuEventSynchronize(CUevent event) {
	ENTER;
	if (event->context != context) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	while (event->reached < event->turns && fake_sticky == CUDA_SUCCESS) {
		step(event->stream);
	}
	RETURN(fake_sticky);
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
	ENTER;
	if (start->context != context || end->context != context || !start->timed || !end->timed || start->turns == 0 ||
		end->turns == 0) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	if (start->reached < start->turns || end->reached < end->turns) {
		RETURN(CUDA_ERROR_NOT_READY);
	}
	*milliseconds = end->time - start->time;
	RETURN(CUDA_SUCCESS);
}

CUresult cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode mode) {
	ENTER;
	(void)context;
	CUstream stream = fake_stream(handle);
	if (stream == NULL || mode != CU_STREAM_CAPTURE_MODE_RELAXED) {
		RETURN(CUDA_ERROR_INVALID_VALUE);
	}
	if ((uintptr_t)handle <= 2 || stream->capture != CU_STREAM_CAPTURE_STATUS_NONE) {
		RETURN(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	}
	stream->capture = CU_STREAM_CAPTURE_STATUS_ACTIVE;
	RETURN(CUDA_SUCCESS);
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
	ENTER;
	(void)context;
	CUstream stream = fake_stream(handle);
	if (stream == NULL) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	*status = stream->capture;
	RETURN(CUDA_SUCCESS);
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph *out) {
	ENTER;
	CUstream stream = fake_stream(handle);
	*out = NULL;
	if (stream == NULL || stream->capture == CU_STREAM_CAPTURE_STATUS_NONE) {
		RETURN(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
	}
	CUstreamCaptureStatus status = stream->capture;
	stream->capture = CU_STREAM_CAPTURE_STATUS_NONE;
	if (status == CU_STREAM_CAPTURE_STATUS_INVALIDATED) {
		fake_clear(&stream->captured);
		RETURN(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	}
	*out = calloc(1, sizeof **out);
	if (*out == NULL) {
		RETURN(CUDA_ERROR_OUT_OF_MEMORY);
	}
	**out = (struct CUgraph_st){context, stream->captured};
	stream->captured = (fake_list){NULL, NULL};
	fake_live.graphs++;
	RETURN(CUDA_SUCCESS);
}

CUresult cuGraphDestroy(CUgraph graph) {
	ENTER;
	(void)context;
	fake_clear(&graph->work);
	free(graph);
	fake_live.graphs--;
	RETURN(CUDA_SUCCESS);
}

#ifndef FAKE_WITHOUT_GRAPHS
CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph graph, unsigned long long flags) {
	ENTER;
	if (flags != 0 || graph->context != context) {
		RETURN(CUDA_ERROR_INVALID_VALUE);
	}
	*out = calloc(1, sizeof **out);
	if (*out == NULL) {
		RETURN(CUDA_ERROR_OUT_OF_MEMORY);
	}
	(*out)->context = context;
	CUresult result = CUDA_SUCCESS;
	for (fake_work *w = graph->work.first; w != NULL && result == CUDA_SUCCESS; w = w->next) {
		result = fake_append(&(*out)->work, w);
	}
	fake_live.graphs++;
	RETURN(result);
}
#endif

CUresult cuGraphLaunch(CUgraphExec graph, CUstream handle) {
	ENTER;
	CUstream stream = fake_stream(handle);
	if (stream == NULL || graph->context != context) {
		RETURN(CUDA_ERROR_INVALID_HANDLE);
	}
	CUresult result = CUDA_SUCCESS;
	for (fake_work *w = graph->work.first; w != NULL && result == CUDA_SUCCESS; w = w->next) {
		result = fake_enqueue(stream, w);
	}
	RETURN(result);
}

CUresult cuGraphExecDestroy(CUgraphExec graph) {
	ENTER;
	(void)context;
	fake_clear(&graph->work);
	free(graph);
	fake_live.graphs--;
	RETURN(CUDA_SUCCESS);
}
