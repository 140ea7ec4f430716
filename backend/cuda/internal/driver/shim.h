/*
 * What the Go files call of the driver API beside gorgonia.org/cu. Each function
 * makes ctx the current context of the calling thread, does one thing, and
 * takes ctx away again: one call out of Go, so that Go cannot change the thread
 * in between. Handles are numbers, since those of default streams are no
 * pointers that Go could hold. The result is the first error.
 */
#ifndef BITLANE_SHIM_H
#define BITLANE_SHIM_H

#if !__has_include(<cuda.h>)
#error "cuda.h is not found. Set CGO_CPPFLAGS=-I$(go list -tags cuda -f '{{.Dir}}' github.com/bitlane/bitlane/csrc/cuda)"
#endif
#include <cuda.h>
#include <stdint.h>

enum { BITLANE_MAX_ARGS = 64 };

/* The driver's words for a code, NULL where it has none. */
const char *bitlane_error_name(int code);
const char *bitlane_error_text(int code);

/* Writes a device's PCI address, "0000:3B:00.0", to out. */
CUresult bitlane_pci(CUdevice device, char *out, int bytes);

/* Page-locked memory that every context of the process may use. */
CUresult bitlane_host_alloc(uintptr_t ctx, size_t bytes, uintptr_t *out);
CUresult bitlane_host_free(uintptr_t ctx, uintptr_t memory);

/* image ends with a zero byte. log gets the compiler's errors, ended by a zero
 * byte whatever happens; bytes is its size. */
CUresult bitlane_load(uintptr_t ctx, const uint8_t *image, char *log, unsigned int bytes, uintptr_t *module);
CUresult bitlane_unload(uintptr_t ctx, uintptr_t module);
CUresult bitlane_allow_shared(uintptr_t ctx, uintptr_t function, int bytes);

CUresult bitlane_stream_create(uintptr_t ctx, uintptr_t *stream);
CUresult bitlane_stream_destroy(uintptr_t ctx, uintptr_t stream);

/* These four are refused while the stream is captured, with no harm to the
 * capture. The copies are done on return. */
CUresult bitlane_upload(uintptr_t ctx, uintptr_t stream, uint64_t dst, const uint8_t *src, size_t bytes);
CUresult bitlane_download(uintptr_t ctx, uintptr_t stream, uint8_t *dst, uint64_t src, size_t bytes);
CUresult bitlane_stream_sync(uintptr_t ctx, uintptr_t stream);
CUresult bitlane_stream_query(uintptr_t ctx, uintptr_t stream);

/* host is not Go's memory: the copy goes on after the call. */
CUresult bitlane_upload_pinned(uintptr_t ctx, uintptr_t stream, uint64_t dst, uintptr_t host, size_t bytes);
CUresult bitlane_download_pinned(uintptr_t ctx, uintptr_t stream, uintptr_t host, uint64_t src, size_t bytes);
CUresult bitlane_copy(uintptr_t ctx, uintptr_t stream, uint64_t dst, uint64_t src, size_t bytes);
CUresult bitlane_fill(uintptr_t ctx, uintptr_t stream, uint64_t dst, uint8_t value, size_t bytes);

/* args has a slot of 8 bytes for each parameter, at most BITLANE_MAX_ARGS. */
CUresult bitlane_launch(uintptr_t ctx, uintptr_t stream, uintptr_t function, uint32_t gridX, uint32_t gridY,
	uint32_t gridZ, uint32_t blockX, uint32_t blockY, uint32_t blockZ, uint32_t shared, const uint64_t *args, int count);

CUresult bitlane_event_create(uintptr_t ctx, int timed, uintptr_t *event);
CUresult bitlane_event_destroy(uintptr_t ctx, uintptr_t event);
CUresult bitlane_event_record(uintptr_t ctx, uintptr_t stream, uintptr_t event);
CUresult bitlane_event_wait(uintptr_t ctx, uintptr_t stream, uintptr_t event);
CUresult bitlane_event_query(uintptr_t ctx, uintptr_t event);
CUresult bitlane_event_sync(uintptr_t ctx, uintptr_t event);
CUresult bitlane_event_elapsed(uintptr_t ctx, uintptr_t start, uintptr_t end, float *milliseconds);

/* Any thread may end a capture that another one began. */
CUresult bitlane_capture_begin(uintptr_t ctx, uintptr_t stream);
CUresult bitlane_capture_end(uintptr_t ctx, uintptr_t stream, uintptr_t *graph);
CUresult bitlane_graph_launch(uintptr_t ctx, uintptr_t stream, uintptr_t graph);
CUresult bitlane_graph_destroy(uintptr_t ctx, uintptr_t graph);

#endif
