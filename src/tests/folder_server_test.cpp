// The server of a folder: its files with their types, and nothing else.
#include "web/folder_server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cli_harness.h"
#include "core/index.h"
#include "http_client.h"
#include "temporary_folder.h"

namespace darknet::testing_files {
namespace {

class FolderServerTest : public InFolder {
 protected:
  FolderServerTest() {
    file("out/index.html", "<!DOCTYPE html><body><h1>Sweep</h1></body></html>");
    file("out/images/1 a.png", "PNG");
    file("out/table.txt", "text");
    file("out/run/x_log.jsonl", "{}\n");
    file("out/.hidden", "secret");
    file("out/.git/config", "secret");
    file("secret.txt", "secret");
    std::filesystem::create_symlink("../secret.txt", folder_ / "out/link.txt");
    std::filesystem::create_symlink("..", folder_ / "out/up");
    std::filesystem::create_symlink("table.txt", folder_ / "out/inside.txt");
    ::mkfifo((folder_ / "out/fifo").c_str(), 0600);
  }
};

TEST_F(FolderServerTest, ServesFilesWithTheirTypes) {
  const FolderServer server(folder_ / "out", {.port = 0});
  auto client = client_of(server.port());
  const auto page = client.Get("/");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->get_header_value("Content-Type"), "text/html; charset=utf-8");
  EXPECT_TRUE(holds(page->body, "<h1>Sweep</h1><script>"));  // with what loads it again
  EXPECT_EQ(client.Get("/index.html")->body, page->body);
  for (const auto& [path, type] : {std::pair{"/images/1%20a.png", "image/png"},
                                   {"/table.txt", "text/plain; charset=utf-8"},
                                   {"/run/x_log.jsonl", "text/plain; charset=utf-8"}}) {
    const auto found = client.Get(path);
    EXPECT_EQ(found->status, 200) << path;
    EXPECT_EQ(found->get_header_value("Content-Type"), type) << path;
    EXPECT_EQ(found->get_header_value("X-Content-Type-Options"), "nosniff") << path;
  }
  EXPECT_EQ(client.Get("/table.txt")->body, "text");
  const auto head = client.Head("/table.txt");
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->body, "");
}

TEST_F(FolderServerTest, ServesNothingElse) {
  const FolderServer server(folder_ / "out", {.port = 0});
  auto client = client_of(server.port());
  for (const char* path : {"/../secret.txt",
                           "/%2e%2e/secret.txt",
                           "/..%2fsecret.txt",
                           "/images/../../secret.txt",
                           "/images/%2e%2e/%2e%2e/secret.txt",
                           "/link.txt",
                           "/up/secret.txt",
                           "/up/",
                           "/inside.txt",
                           "/.hidden",
                           "/.git/config",
                           "/fifo",
                           "/none.txt",
                           "/table.txt/",
                           "/table.txt/x",
                           "//table.txt",
                           "/table.txt%00.png",
                           "/%00",
                           "/images//1%20a.png",
                           "/\xff",
                           "/%ff"}) {
    const std::string answer =
        RawClient(server.port(), cat("GET ", path, " HTTP/1.1\r\nHost: localhost\r\n\r\n"))
            .answer();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 404 ")) << path << answer;
    EXPECT_FALSE(answer.ends_with("secret")) << path;
  }
  EXPECT_TRUE(holds(client.Get("/%3Cscript%3Ex")->body, "/&lt;script&gt;x is not in this folder"));
  EXPECT_EQ(client.Get("/table.txt")->status, 200);
}

TEST_F(FolderServerTest, ListsAFolderWithoutAPage) {
  file("out/run/<b>.txt", "");
  const FolderServer server(folder_, {.port = 0});
  auto client = client_of(server.port());
  const std::string top = client.Get("/")->body;
  EXPECT_TRUE(holds(top, "href=\"./out/\""));
  EXPECT_TRUE(holds(top, "href=\"./secret.txt\""));
  EXPECT_FALSE(holds(top, "href=\"../\""));
  const auto run = client.Get("/out/run");  // its addresses would be of the folder above
  EXPECT_EQ(run->status, 301);
  EXPECT_EQ(run->get_header_value("Location"), "/out/run/");
  const std::string list = client.Get("/out/run/")->body;
  EXPECT_TRUE(holds(list, "href=\"../\""));
  EXPECT_TRUE(holds(list, "<a href=\"./%3Cb%3E.txt\">&lt;b&gt;.txt</a>"));
  EXPECT_EQ(client.Get("/out/run/%3Cb%3E.txt")->status, 200);  // an empty file
  EXPECT_TRUE(holds(client.Get("/out/")->body, "<h1>Sweep</h1>"));
}

// A page that was replaced has another tag, which its script asks for.
TEST_F(FolderServerTest, APageThatWasReplacedHasAnotherTag) {
  const FolderServer server(folder_ / "out", {.port = 0});
  auto client = client_of(server.port());
  const auto page = client.Get("/");
  const std::string tag = page->get_header_value("ETag");
  EXPECT_TRUE(holds(page->body, "!== '" + tag + "'"));
  EXPECT_EQ(client.Head("/")->get_header_value("ETag"), tag);
  EXPECT_EQ(client.Get("/", {{"If-None-Match", tag}})->status, 304);
  file("out/new.html", "<body>more</body>");
  std::filesystem::rename(folder_ / "out/new.html", folder_ / "out/index.html");
  const auto later = client.Get("/", {{"If-None-Match", tag}});
  EXPECT_EQ(later->status, 200);
  EXPECT_NE(later->get_header_value("ETag"), tag);
}

TEST_F(FolderServerTest, LargeFilesComeInPiecesAndInRanges) {
  std::string bytes(3'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 >> 3);
  file("out/x.weights", bytes);
  const FolderServer server(folder_ / "out", {.port = 0});
  auto client = client_of(server.port());
  const auto all = client.Get("/x.weights");
  EXPECT_EQ(all->get_header_value("Content-Type"), "application/octet-stream");
  EXPECT_TRUE(all->body == bytes);
  const auto some = client.Get("/x.weights", {{"Range", "bytes=1000000-1999999"}});
  EXPECT_EQ(some->status, 206);
  EXPECT_TRUE(some->body == bytes.substr(1000000, 1000000));
  EXPECT_EQ(client.Head("/x.weights")->get_header_value("Content-Length"), "3000000");
}

// What a GET would send, from what the system says of the file; a list has no length before it is
// made.
TEST_F(FolderServerTest, HeadIsAnsweredWithoutReading) {
  file("out/empty.txt", "");
  const FolderServer server(folder_ / "out", {.port = 0});
  auto client = client_of(server.port());
  for (const char* path : {"/", "/index.html", "/table.txt", "/empty.txt"}) {
    const auto head = client.Head(path), whole = client.Get(path);
    ASSERT_TRUE(head && whole) << path;
    EXPECT_EQ(head->status, 200) << path;
    for (const char* name : {"Content-Length", "Content-Type", "ETag"})
      EXPECT_EQ(head->get_header_value(name), whole->get_header_value(name)) << path << name;
  }
  const auto head = client.Head("/run/");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 200);
  EXPECT_FALSE(head->has_header("Content-Length"));
  EXPECT_EQ(head->get_header_value("ETag"), client.Get("/run/")->get_header_value("ETag"));
}

TEST_F(FolderServerTest, LargePagesAreSentAsTheyAre) {
  const std::string large = "<body>" + std::string(4 << 20, 'x') + "</body>";
  file("out/large.html", large);
  const FolderServer server(folder_ / "out", {.port = 0});
  auto client = client_of(server.port());
  const auto page = client.Get("/large.html");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->get_header_value("Content-Type"), "text/html; charset=utf-8");
  EXPECT_TRUE(page->body == large);
  EXPECT_EQ(client.Head("/large.html")->get_header_value("Content-Length"),
            std::to_string(large.size()));
}

TEST_F(FolderServerTest, AListSaysHowManyItLeavesOut) {
  for (int i = 0; i < 5003; ++i) file(cat("out/many/", i, ".txt"), "");
  const FolderServer server(folder_ / "out", {.port = 0});
  auto client = client_of(server.port());
  EXPECT_TRUE(holds(client.Get("/many/")->body, ">3 more are not listed"));
  EXPECT_FALSE(holds(client.Get("/run/")->body, "more are not listed"));
}

TEST_F(FolderServerTest, AFolderThatGoesAwayIsNotFound) {
  const FolderServer server(folder_ / "out", {.port = 0});
  std::filesystem::remove_all(folder_ / "out");
  EXPECT_EQ(client_of(server.port()).Get("/")->status, 404);
  EXPECT_TRUE(
      holds(error_of([&] { FolderServer(folder_ / "out", {.port = 0}); }), "no such folder"));
  EXPECT_TRUE(holds(error_of([&] { FolderServer(folder_ / "secret.txt", {.port = 0}); }),
                    "no such folder"));
}

}  // namespace
}  // namespace darknet::testing_files

namespace darknet::test {
namespace {

TEST(ReportServe, ServesUntilItIsInterrupted) {
  const Workspace work;
  work.put("x/index.html", "x");
  const CommandResult ran = work.darknet({"report", "serve", "x", "-http_port", "0"},
                                         {.signal_when = "http://127.0.0.1:", .signal = SIGINT});
  EXPECT_EQ(ran.exit_code, 130) << ran.all();
  expect_refused(work.darknet({"report", "serve", "none"}), "none: there is no such folder");
  expect_refused(work.darknet({"report", "serve"}), "folder", 2);
}

}  // namespace
}  // namespace darknet::test
