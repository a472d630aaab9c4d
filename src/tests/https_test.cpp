// Shards behind https://, from a server with a certificate of its own.
#include <gtest/gtest.h>
#include <httplib.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "core/byte_source.h"
#include "tests/temporary_folder.h"

#if defined(CPPHTTPLIB_OPENSSL_SUPPORT)
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

namespace darknet::testing_files {
namespace {

// A key and a certificate that it signed itself.
struct Certificate {
  // `host`: as in subjectAltName, "IP:127.0.0.1".
  explicit Certificate(const char* host)
      : key(::EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")), certificate(::X509_new()) {
    constexpr long kDay = 24 * 60 * 60;
    ::X509_set_version(certificate, 2);
    ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate), 1);
    ::X509_gmtime_adj(::X509_getm_notBefore(certificate), -kDay);
    ::X509_gmtime_adj(::X509_getm_notAfter(certificate), kDay);
    ::X509_NAME* const name = ::X509_get_subject_name(certificate);
    ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>("a test"), -1, -1, 0);
    ::X509_set_issuer_name(certificate, name);
    ::X509_set_pubkey(certificate, key);
    ::X509_EXTENSION* const of_host =
        ::X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, host);
    ::X509_add_ext(certificate, of_host, -1);
    ::X509_EXTENSION_free(of_host);
    EXPECT_GT(::X509_sign(certificate, key, ::EVP_sha256()), 0);
  }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;
  ~Certificate() { ::X509_free(certificate), ::EVP_PKEY_free(key); }
  void write(const std::filesystem::path& file) const {
    FILE* const out = std::fopen(file.c_str(), "w");
    ::PEM_write_X509(out, certificate);
    std::fclose(out);
  }
  ::EVP_PKEY* key;
  ::X509* certificate;
};

class Https : public InFolder {
 protected:
  ~Https() override {
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
    ::unsetenv("SSL_CERT_FILE");
    http_retry_ms = 30'000;
  }
  std::string serve(const Certificate& c) {
    file("x.tar", std::string(100'000, 'x'));
    server_ = std::make_unique<httplib::SSLServer>(c.certificate, c.key);
    server_->set_mount_point("/", folder_.string());
    server_->Get("/to_http", [](const httplib::Request&, httplib::Response& r) {
      r.set_redirect("http://127.0.0.1:1/x.tar");
    });
    server_->set_keep_alive_timeout(1);  // seconds for which it waits at its end
    const int port = server_->bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    while (!server_->is_running()) std::this_thread::yield();
    return cat("https://127.0.0.1:", port);
  }
  void trust(const Certificate& c) const {
    c.write(folder_ / "trusted.pem");
    ::setenv("SSL_CERT_FILE", (folder_ / "trusted.pem").c_str(), 1);
  }
  static constexpr const char* kNotTrusted =
      "/x.tar: no answer from the server: its TLS certificate is not one that this machine trusts "
      "for this host; install the package ca-certificates, or name a file with the certificate of "
      "its authority in the environment variable SSL_CERT_FILE";

  std::unique_ptr<httplib::SSLServer> server_;
  std::thread thread_;
};

TEST_F(Https, ReadsFromAServerThatIsTrusted) {
  const Certificate c("IP:127.0.0.1");
  const std::string server = serve(c);
  trust(c);
  const auto source = open_source(server + "/x.tar");
  std::string bytes(100'000, '\0');
  source->read(0, bytes.data(), bytes.size());
  EXPECT_EQ(bytes, std::string(100'000, 'x'));
}

TEST_F(Https, RefusesACertificateThatNobodyTrusts) {
  const Certificate c("IP:127.0.0.1");
  const std::string server = serve(c);
  EXPECT_EQ(error_of([&] { open_source(server + "/x.tar"); }), server + kNotTrusted);
}

TEST_F(Https, RefusesTheCertificateOfAnotherHost) {
  const Certificate c("DNS:example.org,IP:127.0.0.2");
  const std::string server = serve(c);
  trust(c);
  EXPECT_EQ(error_of([&] { open_source(server + "/x.tar"); }), server + kNotTrusted);
}

TEST_F(Https, IsNotLeftForHttp) {
  const Certificate c("IP:127.0.0.1");
  const std::string server = serve(c);
  trust(c);
  EXPECT_EQ(error_of([&] { open_source(server + "/to_http"); }),
            server +
                "/to_http: the server sends on to http://127.0.0.1:1/x.tar: from https:// to "
                "http://, where anybody on the way may read and change the answer; name that "
                "address itself if you trust it");
}

// TLS takes leave of a server that has reset the connection, by a write that would be answered with
// SIGPIPE.
TEST_F(Https, AResetConnectionIsAnError) {
  const Certificate c("IP:127.0.0.1");
  trust(c);
  auto* const before =
      std::signal(SIGPIPE, SIG_DFL);  // servers of httplib in this process ignore it
  http_retry_ms = 0;
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  ::sockaddr_in address{};
  address.sin_family = AF_INET, address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const a = reinterpret_cast<::sockaddr*>(&address);
  ::socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, a, size), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  ASSERT_EQ(::getsockname(listener, a, &size), 0);
  std::thread server([&] {
    ::SSL_CTX* const context = ::SSL_CTX_new(::TLS_server_method());
    ::SSL_CTX_use_certificate(context, c.certificate);
    ::SSL_CTX_use_PrivateKey(context, c.key);
    const int client = ::accept(listener, nullptr, nullptr);
    ::SSL* const tls = ::SSL_new(context);
    ::SSL_set_fd(tls, client);
    char byte = 0;
    EXPECT_EQ(::SSL_accept(tls), 1);
    EXPECT_EQ(::SSL_read(tls, &byte, 1), 1);
    const ::linger reset{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    ::close(client);
    ::SSL_free(tls);
    ::SSL_CTX_free(context);
  });
  const std::string url = cat("https://127.0.0.1:", ntohs(address.sin_port), "/x.tar");
  EXPECT_TRUE(holds(error_of([&] { open_source(url); }), "it closed the connection early"));
  server.join();
  ::close(listener);
  std::signal(SIGPIPE, before);
}

}  // namespace
}  // namespace darknet::testing_files
#endif
