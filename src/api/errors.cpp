#include "api/errors.h"

#include <exception>
#include <new>

#include "core/out_of_memory.h"

namespace darknet {

Exception::~Exception() = default;

namespace api {

void rethrow_as_exception() {
  try {
    throw;
  } catch (const Exception&) {
    throw;
  } catch (const OutOfMemory& e) {  // which says for what
    throw Exception(e.what());
  } catch (const std::bad_alloc&) {
    throw Exception("out of memory");
  } catch (const std::exception& e) {
    throw Exception(e.what());
  } catch (...) {
    throw Exception("an error of unknown kind");
  }
}

}  // namespace api
}  // namespace darknet
