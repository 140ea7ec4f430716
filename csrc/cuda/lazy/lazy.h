#ifndef BITLANE_LAZY_H
#define BITLANE_LAZY_H

/* What became of loading the driver's library. */
typedef struct {
	int loaded;          /* whether it is in the process */
	int code;            /* what its cuInit returned; 0 also where that was not called */
	int version;         /* of the driver, 1000*major + 10*minor; 0: unknown */
	const char *missing; /* the first needed symbol that it lacks, or NULL */
	char text[512];      /* the loader's words where it is not loaded */
} bitlane_cuda_state;

/* Loads the library if that was not tried yet. Any thread may call it. The
 * answer is constant and lives as long as the process. */
__attribute__((visibility("hidden"))) const bitlane_cuda_state *bitlane_cuda_load(void);

#endif
