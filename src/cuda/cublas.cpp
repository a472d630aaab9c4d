#include "cuda/cublas.h"

#include <dlfcn.h>

#include <type_traits>

#include "cuda/calls.h"

namespace darknet::cuda {
namespace {

// By its name, as the dynamic linker finds it, or where CMake found it.
void* open_cublas() {
  std::string why;
  for (const std::string& name :
       {cat("libcublas.so.", CUBLAS_VER_MAJOR), std::string(DARKNET_CUBLAS_FILE)}) {
    if (void* library = dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL)) return library;
    why += cat(why.empty() ? "" : "; ", dlerror());
  }
  fail("[connected] layers on a GPU need cuBLAS, which cannot be loaded: ", why,
       "; install it, or add its folder to LD_LIBRARY_PATH");
}

// What is in the process already comes first, as when linked, unless it is another version.
void* loaded_or_opened() {
  int major = 0;
  auto* const property =
      reinterpret_cast<decltype(&cublasGetProperty)>(dlsym(RTLD_DEFAULT, "cublasGetProperty"));
  if (property && property(MAJOR_VERSION, &major) == CUBLAS_STATUS_SUCCESS &&
      major == CUBLAS_VER_MAJOR)
    return RTLD_DEFAULT;
  return open_cublas();
}

Cublas load_cublas() {
  void* const library = loaded_or_opened();
  const auto find = [&](auto& function, const char* name) {
    void* const found = dlsym(library, name);
    if (!found) fail("this cuBLAS has no ", name, "; install version ", CUBLAS_VER_MAJOR);
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
  };
  Cublas c{};
  find(c.create, "cublasCreate_v2");
  find(c.destroy, "cublasDestroy_v2");
  find(c.set_stream, "cublasSetStream_v2");
  find(c.set_workspace, "cublasSetWorkspace_v2");
  find(c.gemm_ex, "cublasGemmEx_64");
  find(c.status_string, "cublasGetStatusString");
  return c;
}

struct CublasHandle {
  int device = current_device();  // a handle belongs to the device that is current when it is made
  cublasHandle_t handle = nullptr;

  CublasHandle() { cublas().check(cublas().create(&handle), "cublasCreate"); }
  CublasHandle(const CublasHandle&) = delete;
  CublasHandle& operator=(const CublasHandle&) = delete;
  ~CublasHandle() {
    cudaSetDevice(device);
    cublas().destroy(handle);
  }
};

}  // namespace

void Cublas::check(cublasStatus_t status, const char* call, const std::string& about) const {
  if (status != CUBLAS_STATUS_SUCCESS) fail_call(call, about, status_string(status));
}

const Cublas& cublas() {
  static const Cublas loaded = load_cublas();
  return loaded;
}

cublasHandle_t cublas_handle(const Stream& s) {
  const cublasHandle_t handle = of_current_device<CublasHandle>().handle;
  cublas().check(cublas().set_stream(handle, native(s)), "cublasSetStream");
  return handle;
}

}  // namespace darknet::cuda
