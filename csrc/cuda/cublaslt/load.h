#ifndef BITLANE_LT_LOAD_H
#define BITLANE_LT_LOAD_H

#include "cublaslt.h"

enum { BITLANE_LT_FILES = 2 };

/* What became of loading the library. */
typedef struct {
	const char *file;    /* the one in the process, or NULL */
	int version[3];      /* its version, major, minor and patch level */
	const char *missing; /* the first function that it lacks, or NULL */
	int driver;          /* the driver's CUDA version, 1000*major + 10*minor; 0: unknown */
	struct {
		const char *file; /* one that was looked for in vain, or NULL */
		char text[512];   /* the loader's words */
	} tried[BITLANE_LT_FILES];
	bitlane_lt call; /* whole where file is not NULL and missing is */
} bitlane_lt_state;

/* Loads the library if that was not tried yet. Any thread may call it. The
 * answer is constant and lives as long as the process. */
__attribute__((visibility("hidden"))) const bitlane_lt_state *bitlane_lt_load(void);

#endif
