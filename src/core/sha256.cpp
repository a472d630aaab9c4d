#include "core/sha256.h"

#include "core/error.h"

#ifdef DARKNET_SHARDS
#include <openssl/evp.h>

#include <array>

namespace darknet {
namespace {

void require(int succeeded) {
  if (succeeded != 1) fail("OpenSSL computes no SHA-256");
}

}  // namespace

struct Sha256::Impl {
  EVP_MD_CTX* context = ::EVP_MD_CTX_new();
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  require(::EVP_DigestInit_ex(impl_->context, ::EVP_sha256(), nullptr));
}

Sha256::~Sha256() { ::EVP_MD_CTX_free(impl_->context); }

void Sha256::add(const void* data, std::size_t bytes) {
  require(::EVP_DigestUpdate(impl_->context, data, bytes));
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
  unsigned int bytes = 0;
  require(::EVP_DigestFinal_ex(impl_->context, sum.data(), &bytes));
  std::string text;
  for (unsigned int i = 0; i < bytes; ++i) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[sum[i] >> 4], text += kDigits[sum[i] & 15];
  }
  return text;
}

}  // namespace darknet
#else
namespace darknet {

struct Sha256::Impl {};
Sha256::Sha256() { fail("this build computes no SHA-256: it was compiled without OpenSSL"); }
Sha256::~Sha256() = default;
void Sha256::add(const void* /*data*/, std::size_t /*bytes*/) {}
std::string Sha256::hex() { return {}; }

}  // namespace darknet
#endif
