//go:build xpu && cgo && linux

/* Texts of errors. */
#include "shim.h"

#include <stdarg.h>
#include <stdio.h>

static void write_text(bx_err err, const char *format, va_list args) {
	if (err.text != NULL && err.bytes > 0 && vsnprintf(err.text, err.bytes, format, args) < 0) {
		err.text[0] = 0;
	}
}

int32_t bx_fail(bx_err err, int32_t class_, const char *format, ...) {
	va_list args;
	va_start(args, format);
	write_text(err, format, args);
	va_end(args);
	return class_;
}

static const struct {
	int status;
	int32_t class_;
	const char *text;
} statuses[] = {
	{DN_OUT_OF_MEMORY, BITLANE_XPU_OUT_OF_MEMORY, "out of memory"},
	{DN_INVALID_ARGUMENTS, BITLANE_XPU_INVALID, "invalid arguments"},
	{DN_UNIMPLEMENTED, BITLANE_XPU_UNIMPLEMENTED, "not implemented"},
	{DN_RUNTIME_ERROR, BITLANE_XPU_FAILED, "runtime error: a driver failed, or the device is lost"},
};

int32_t bx_status(bx_err err, int status, const char *format, ...) {
	if (status == DN_SUCCESS) {
		return BITLANE_XPU_OK;
	}
	char what[256];
	va_list args;
	va_start(args, format);
	write_text((bx_err){what, sizeof what}, format, args);
	va_end(args);
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		if (statuses[i].status == status) {
			return bx_fail(err, statuses[i].class_, "%s: oneDNN: %s (status %d)", what, statuses[i].text, status);
		}
	}
	return bx_fail(err, BITLANE_XPU_FAILED, "%s: oneDNN: status %d", what, status);
}
