/* Start, errors, devices and contexts. */
#include "fake.h"

#include <stdio.h>
#include <string.h>

fake_counts fake_live;
pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
CUresult fake_sticky = CUDA_SUCCESS;

static bool initialized;
static struct CUctx_st primary[FAKE_DEVICES] = {{.device = 0}, {.device = 1}};

enum { STACK = 16 };
static _Thread_local CUcontext stack[STACK];
static _Thread_local int depth;

/* told returns the number behind name in BITLANE_FAKE_CUDA="init=803,version=11000". */
static int told(const char *name, int otherwise) {
	const char *all = getenv("BITLANE_FAKE_CUDA");
	const char *found = all != NULL ? strstr(all, name) : NULL;
	return found != NULL ? atoi(found + strlen(name)) : otherwise;
}

CUresult cuInit(unsigned int flags) {
	CUresult code = (CUresult)told("init=", CUDA_SUCCESS);
	initialized = flags == 0 && code == CUDA_SUCCESS;
	return flags == 0 ? code : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDriverGetVersion(int *version) {
	*version = told("version=", 12090);
	return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult code, const char **name) {
	switch ((int)code) {
#define RESULT(result)     \
	case result:           \
		*name = #result;   \
		return CUDA_SUCCESS;
		RESULT(CUDA_ERROR_INVALID_VALUE)
		RESULT(CUDA_ERROR_OUT_OF_MEMORY)
		RESULT(CUDA_ERROR_NO_DEVICE)
		RESULT(CUDA_ERROR_INVALID_DEVICE)
		RESULT(CUDA_ERROR_INVALID_CONTEXT)
		RESULT(CUDA_ERROR_INVALID_PTX)
		RESULT(CUDA_ERROR_INVALID_HANDLE)
		RESULT(CUDA_ERROR_NOT_FOUND)
		RESULT(CUDA_ERROR_NOT_READY)
		RESULT(CUDA_ERROR_ILLEGAL_ADDRESS)
		RESULT(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH)
		RESULT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED)
		RESULT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED)
		RESULT(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED)
		RESULT(CUDA_ERROR_UNKNOWN)
	default:
		*name = NULL;
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult cuGetErrorString(CUresult code, const char **text) {
	const char *name;
	CUresult result = cuGetErrorName(code, &name);
	*text = result == CUDA_SUCCESS ? "as the stand-in has it" : NULL;
	return result;
}

static CUresult device(CUdevice d) {
	if (!initialized) {
		return CUDA_ERROR_NOT_INITIALIZED;
	}
	return d >= 0 && d < told("devices=", FAKE_DEVICES) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetCount(int *count) {
	*count = told("devices=", FAKE_DEVICES);
	return initialized ? (CUresult)told("count=", CUDA_SUCCESS) : CUDA_ERROR_NOT_INITIALIZED;
}

CUresult cuDeviceGet(CUdevice *d, int ordinal) {
	*d = ordinal;
	return device(ordinal);
}

CUresult cuDeviceGetName(char *name, int bytes, CUdevice d) {
	snprintf(name, (size_t)bytes, "Stand-in %d", d);
	return device(d);
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice d) {
	for (int i = 0; i < 16; i++) {
		uuid->bytes[i] = (char)(16 * d + i);
	}
	return device(d);
}

CUresult cuDeviceGetPCIBusId(char *pci, int bytes, CUdevice d) {
	snprintf(pci, (size_t)bytes, "0000:%02X:00.0", 0x3B + d);
	return device(d);
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice d) {
	*bytes = FAKE_MEMORY;
	return device(d);
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice d) {
	switch (attribute) {
	case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 9; break;
	case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *value = FAKE_SHARED; break;
	case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = FAKE_SHARED_OPTIN; break;
	case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: *value = 228 << 10; break;
	case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *value = 50 << 20; break;
	case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 132; break;
	case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: *value = 65536; break;
	case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: *value = 2048; break;
	case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
	case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *value = 5120; break;
	/* As a driver that does not tell its clocks any more. */
	case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
	case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: return CUDA_ERROR_INVALID_VALUE;
	default: *value = 0;
	}
	return device(d);
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice d) {
	CUresult result = device(d);
	if (result != CUDA_SUCCESS) {
		return result;
	}
	pthread_mutex_lock(&fake_lock);
	*context = &primary[d];
	if (fake_sticky != CUDA_SUCCESS) {
		RETURN(fake_sticky);
	}
	fake_live.contexts += primary[d].retained++ == 0;
	RETURN(CUDA_SUCCESS);
}

CUresult cuDevicePrimaryCtxRelease(CUdevice d) {
	CUresult result = device(d);
	if (result != CUDA_SUCCESS) {
		return result;
	}
	pthread_mutex_lock(&fake_lock);
	if (primary[d].retained == 0) {
		RETURN(CUDA_ERROR_INVALID_CONTEXT);
	}
	fake_live.contexts -= --primary[d].retained == 0;
	RETURN(CUDA_SUCCESS);
}

CUcontext fake_current(void) {
	CUcontext current = depth > 0 ? stack[depth - 1] : NULL;
	return current != NULL && current->retained > 0 ? current : NULL;
}

CUresult cuCtxPushCurrent(CUcontext context) {
	if (context == NULL || depth == STACK) {
		return CUDA_ERROR_INVALID_CONTEXT;
	}
	stack[depth++] = context;
	return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *context) {
	if (depth == 0) {
		return CUDA_ERROR_INVALID_CONTEXT;
	}
	*context = stack[--depth];
	return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice *d) {
	ENTER;
	*d = context->device;
	RETURN(CUDA_SUCCESS);
}

CUresult cuCtxSynchronize(void) {
	ENTER;
	fake_drain_all(context);
	RETURN(fake_sticky);
}

/* Tells the tests what is alive. */
void fake_alive(fake_counts *counts) {
	pthread_mutex_lock(&fake_lock);
	*counts = fake_live;
	counts->depth = depth;
	pthread_mutex_unlock(&fake_lock);
}
