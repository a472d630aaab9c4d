#include "tests/emulator/launches.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <regex>
#include <span>
#include <sstream>

#include "tests/emulator/fat_binary.h"

namespace emulator {
namespace {

constexpr std::int64_t kSharedLimit = 48 << 10;  // static shared memory of a block

// EMULATED_GPU_EDIT="KERNEL|FROM|TO": in every kernel whose mangled name holds KERNEL the first
// match of the regular expression FROM becomes TO: a fault put in on purpose
// (scripts/mutate_cuda.py).
std::string edited(const std::string& ptx) {
  const char* const edit = std::getenv("EMULATED_GPU_EDIT");
  if (!edit) return ptx;
  std::istringstream in(edit);
  std::string kernel, from, to;
  std::getline(in, kernel, '|'), std::getline(in, from, '|'), std::getline(in, to);
  const std::regex pattern(from);
  std::string result;
  for (std::size_t at = 0; at < ptx.size();) {
    const std::size_t next = std::min(ptx.find(".entry ", at + 1), ptx.size());
    const std::string body = ptx.substr(at, next - at);
    const bool wanted = body.substr(0, body.find('(')).find(kernel) != std::string::npos;
    const std::string changed =
        wanted ? std::regex_replace(body, pattern, to, std::regex_constants::format_first_only)
               : body;
    if (changed != body) std::fprintf(stderr, "emulated GPU: a kernel is edited\n");
    result += changed;
    at = next;
  }
  return result;
}

}  // namespace

Launches& Launches::instance() {
  static Launches* const launches = new Launches;  // outlives the destructors of static objects
  return *launches;
}

void* Launches::add_fat_binary(const void* wrapper) {
  binaries_.push_back(std::make_unique<Binary>(Binary{wrapper, {}}));
  return binaries_.back().get();
}

void Launches::add_kernel(void* fat_binary, const void* host_function, const char* name) {
  kernels_[host_function] = {static_cast<Binary*>(fat_binary), name};
}

const Kernel& Launches::find(const Registered& r, int device) {
  std::unique_ptr<Module>& module = r.binary->modules[device];
  if (!module)
    module = std::make_unique<Module>(edited(ptx_of(r.binary->wrapper)), Gpus::instance().memory(),
                                      device);
  if (!module->has(r.name)) throw Fault(FaultKind::instruction, "there is no PTX of " + r.name);
  return module->kernel(r.name);
}

cudaError_t Launches::launch(const void* host_function, dim3 grid, dim3 block,
                             void* const* arguments, std::size_t dynamic_shared,
                             cudaStream_t stream) {
  constexpr unsigned kMaxGrid = 2147483647, kMaxRows = 65535, kMaxThreads = 1024;
  if (grid.x < 1 || grid.x > kMaxGrid || grid.y < 1 || grid.y > kMaxRows || block.x < 1 ||
      block.x * block.y * block.z > kMaxThreads)
    return Gpus::fail(cudaErrorInvalidConfiguration);
  const auto found = kernels_.find(host_function);
  if (found == kernels_.end()) return Gpus::fail(cudaErrorInvalidDeviceFunction);
  const int device = Gpus::current_device();
  const Kernel* kernel = nullptr;
  try {
    if (grid.z != 1 || block.y != 1 || block.z != 1 || dynamic_shared != 0)
      throw Fault(
          FaultKind::instruction,
          "the emulator runs rows of blocks of one dimension without dynamic shared memory");
    kernel = &find(found->second, device);
  } catch (const Fault& f) {
    std::fprintf(stderr, "emulated GPU %d: %s\n", device, f.what());
    return Gpus::fail(cudaErrorInvalidDeviceFunction);
  }
  if (kernel->shared_bytes > kSharedLimit) return Gpus::fail(cudaErrorInvalidValue);
  std::vector<unsigned char> parameters(static_cast<std::size_t>(kernel->parameter_bytes));
  for (std::size_t k = 0; k < kernel->parameters.size(); ++k) {
    const Parameter& p = kernel->parameters[k];
    std::memcpy(parameters.data() + p.offset, arguments[k], static_cast<std::size_t>(p.bytes));
  }
  return Gpus::instance().issue(
      stream, [this, kernel, device, size = Grid{grid.x, block.x, grid.y}, parameters] {
        Counts counts;
        run_kernel(*kernel, size, parameters, Gpus::instance().memory(), device, counts);
        count(*kernel, size, counts);
      });
}

void Launches::count(const Kernel& kernel, const Grid& grid, const Counts& counts) {
  Ran& ran = ran_[kernel.name];
  ran.by_cost.resize(static_cast<std::size_t>(Cost::count));
  ++ran.launches;
  ran.threads += std::uint64_t{grid.blocks} * grid.rows * grid.threads;
  for (std::size_t k = 0; k < counts.size(); ++k) {
    const Instruction& i = kernel.code[k];
    ran.by_cost[static_cast<std::size_t>(i.cost)] += counts[k];
    if (i.cost == Cost::global_memory)
      ran.global_bytes += counts[k] * static_cast<std::uint64_t>(i.bytes * i.elements);
  }
}

void Launches::write_statistics() const {
  const char* const file = std::getenv("EMULATED_GPU_STATISTICS");
  std::FILE* const out = file ? std::fopen(file, "a") : nullptr;
  if (!out) return;
  constexpr const char* kNames[] = {"other",     "global_memory", "shared_memory", "parameter",
                                    "divide_64", "divide_32",     "divide_float",  "barrier"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(Cost::count));
  for (const auto& [name, ran] : ran_) {
    std::fprintf(out, "{\"kernel\": \"%s\", \"launches\": %llu, \"threads\": %llu", name.c_str(),
                 static_cast<unsigned long long>(ran.launches),
                 static_cast<unsigned long long>(ran.threads));
    for (std::size_t k = 0; k < ran.by_cost.size(); ++k)
      std::fprintf(out, ", \"%s\": %llu", kNames[k],
                   static_cast<unsigned long long>(ran.by_cost[k]));
    std::fprintf(out, ", \"global_bytes\": %llu}\n",
                 static_cast<unsigned long long>(ran.global_bytes));
  }
  std::fclose(out);
}

}  // namespace emulator
