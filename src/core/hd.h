// DN_HD marks a function that means the same on the host and on the device; DN_TU names the flavour
// of this translation unit, so that host- and nvcc-compiled instances of one template never merge.
#pragma once
#if defined(__CUDACC__)
#define DN_HD __host__ __device__
#define DN_TU cuda_tu
#else
#define DN_HD
#define DN_TU host_tu
#endif
