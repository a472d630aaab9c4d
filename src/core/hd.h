// DN_HD marks a function for the host and for CUDA devices. DN_TU is the namespace of what is
// instantiated here, so that host- and nvcc-compiled instances of one template never merge.
#pragma once
#if defined(__CUDACC__)
#define DN_HD __host__ __device__
#define DN_TU cuda_tu
#else
#define DN_HD
#define DN_TU host_tu
#endif
