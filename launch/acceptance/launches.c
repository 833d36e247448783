/* LD_PRELOAD: counts a program's calls of the CUDA run-time library, and appends "NAME COUNT SECONDS" of each to the
 * file that ANCHORAGE_LAUNCHES names when the program ends. Seconds are the calling threads'. What cuBLAS launches goes
 * by its own copy of the library and is not seen. Needs no header of CUDA. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct {
  unsigned x, y, z;
} dim3;
typedef void* stream;

static atomic_long launches, graphs, copies, fills, waits;
static atomic_long launch_ns, graph_ns, copy_ns, fill_ns, wait_ns;

static long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000L + t.tv_nsec;
}

#define WRAP(name, count, nanoseconds, parameters, arguments)                  \
  int name parameters {                                                        \
    static int(*_Atomic real) parameters;                                      \
    if (!real) real = (int(*) parameters)dlsym(RTLD_NEXT, #name);              \
    const long begin = now();                                                  \
    const int result = real arguments;                                         \
    atomic_fetch_add(&nanoseconds, now() - begin);                             \
    atomic_fetch_add(&count, 1);                                               \
    return result;                                                             \
  }

WRAP(cudaLaunchKernel, launches, launch_ns, (const void* f, dim3 grid, dim3 block, void** a, size_t shared, stream s),
     (f, grid, block, a, shared, s))
/* What programs compiled for CUDA 13 call in its place. */
WRAP(__cudaLaunchKernel, launches, launch_ns, (void* kernel, dim3 grid, dim3 block, void** a, size_t shared, stream s),
     (kernel, grid, block, a, shared, s))
WRAP(cudaLaunchKernelExC, launches, launch_ns, (const void* config, const void* f, void** a), (config, f, a))
WRAP(cudaGraphLaunch, graphs, graph_ns, (void* graph, stream s), (graph, s))
WRAP(cudaMemcpyAsync, copies, copy_ns, (void* to, const void* from, size_t count, int kind, stream s),
     (to, from, count, kind, s))
WRAP(cudaMemsetAsync, fills, fill_ns, (void* to, int value, size_t count, stream s), (to, value, count, s))
WRAP(cudaStreamSynchronize, waits, wait_ns, (stream s), (s))

__attribute__((destructor)) static void write_counts(void) {
  const char* path = getenv("ANCHORAGE_LAUNCHES");
  if (!path || !(launches || graphs || copies || fills || waits)) return;
  FILE* file = fopen(path, "a");
  if (!file) return;
  fprintf(file, "launches %ld %.6f\n", launches, launch_ns * 1e-9);
  fprintf(file, "graphs %ld %.6f\n", graphs, graph_ns * 1e-9);
  fprintf(file, "copies %ld %.6f\n", copies, copy_ns * 1e-9);
  fprintf(file, "fills %ld %.6f\n", fills, fill_ns * 1e-9);
  fprintf(file, "waits %ld %.6f\n", waits, wait_ns * 1e-9);
  fclose(file);
}
