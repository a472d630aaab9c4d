#include "cli_harness.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "cfg/parse.h"
#include "core/file.h"
#include "image/codec.h"
#include "nn/network.h"
#include "nn/weights.h"
#include "paths.h"

namespace darknet::test {
namespace {
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kMaxOutputBytes = 256u << 20;
constexpr auto kPoll = std::chrono::microseconds(500);

double seconds_since(Clock::time_point t) {
  return std::chrono::duration<double>(Clock::now() - t).count();
}

// In the child: runs the program; returns only where that is impossible.
void execute(const fs::path& folder, const std::vector<std::string>& arguments,
             const CommandOptions& o) {
  const auto redirect = [](const fs::path& file, int flags, int to) {
    ::dup2(::open(file.c_str(), flags, 0666), to);
  };
  if (::chdir(folder.c_str()) != 0) return;
  redirect(".in", O_RDONLY, 0);
  redirect(o.max_file > 0 ? "/dev/null" : ".out", O_WRONLY | O_CREAT | O_TRUNC, 1);
  redirect(".err", O_WRONLY | O_CREAT | O_TRUNC, 2);
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  ::unsetenv("DISPLAY");
  std::signal(SIGHUP, o.ignores_hangup ? SIG_IGN : SIG_DFL);  // whatever the suite inherited
  const ::rlimit limit{o.memory, o.memory};
  if (o.memory > 0) ::setrlimit(RLIMIT_AS, &limit);
  const ::rlimit file{o.max_file, o.max_file};
  if (o.max_file > 0) std::signal(SIGXFSZ, SIG_DFL), ::setrlimit(RLIMIT_FSIZE, &file);
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
}

class Child {
 public:
  Child(const fs::path& folder, const std::vector<std::string>& arguments, const CommandOptions& o)
      : folder_(folder) {
    for (const char* name : {".out", ".err"}) fs::remove(folder / name);
    id_ = ::fork();
    if (id_ == 0) {
      execute(folder, arguments, o);
      ::_exit(127);
    }
    if (id_ < 0) fail("fork");
  }
  CommandResult wait(const CommandOptions& o) {
    CommandResult ran;
    int status = 0;
    bool sent = false;
    while (::waitpid(id_, &status, WNOHANG) == 0) {
      const double now = seconds_since(start_);
      if (!sent && due(o, now)) ::kill(id_, o.signal), sent = true;
      if (!ran.timed_out && now > o.timeout) ::kill(id_, SIGKILL), ran.timed_out = true;
      std::this_thread::sleep_for(kPoll);
    }
    if (WIFEXITED(status)) ran.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) ran.signal = WTERMSIG(status);
    ran.out = written(".out");
    ran.err = written(".err");
    return ran;
  }

 private:
  std::string written(const char* name) const {  // "" where a signal came before the program
    return fs::exists(folder_ / name) ? read_file(folder_ / name, kMaxOutputBytes) : "";
  }
  bool due(const CommandOptions& o, double now) const {
    const auto printed = [&](const char* name) {
      return written(name).find(o.signal_when) != std::string::npos;
    };
    if (!o.signal_when.empty()) return printed(".out") || printed(".err");
    return o.signal_after >= 0 && now > o.signal_after;
  }
  fs::path folder_;
  ::pid_t id_ = -1;
  Clock::time_point start_ = Clock::now();
};

// A dark gradient with one bright square of the class's colour.
Image image(std::int64_t index) {
  Image image(64, 64, 3);
  const std::int64_t side = 16 + 4 * (index % 3), x0 = 6 + 4 * index, y0 = 34 - 4 * index;
  for (std::int64_t y = 0; y < 64; ++y)
    for (std::int64_t x = 0; x < 64; ++x)
      for (std::int64_t c = 0; c < 3; ++c) {
        const bool inside = x >= x0 && x < x0 + side && y >= y0 && y < y0 + side;
        const std::int64_t dark = (x * 3 + y * 5 + c * 17 + index * 29) % 64;
        image.at(x, y)[c] = static_cast<std::uint8_t>(inside && c == index % 3 ? 255 : dark);
      }
  return image;
}

std::string label(int index) {
  const double side = 16 + 4 * (index % 3), x0 = 6 + 4 * index, y0 = 34 - 4 * index;
  return cat(index % 3, ' ', (x0 + side / 2) / 64, ' ', (y0 + side / 2) / 64, ' ', side / 64, ' ',
             side / 64, '\n');
}

}  // namespace

const std::string kTinyCfg = R"([net]
batch=2
subdivisions=1
width=32
height=32
channels=3
momentum=0.9
decay=0.0005
learning_rate=0.002
max_batches=4
resize_step=8

[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=6
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=24
size=1
activation=linear

[yolo]
mask=0,1,2
anchors=6,6, 9,9, 14,14
classes=3
num=3
)";

Workspace::Workspace() {
  static std::atomic<int> count{0};
  folder_ = fs::temp_directory_path() / cat("dn-cli-", ::getpid(), '-', ++count);
  fs::create_directories(folder_);
}

Workspace::~Workspace() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void Workspace::put(const fs::path& name, const std::string& bytes) const {
  fs::create_directories(path(name).parent_path());
  std::ofstream out(path(name), std::ios::binary);  // without the flush of write_file_atomically
  if (!out.write(bytes.data(), static_cast<std::streamsize>(bytes.size())))
    fail("cannot write ", name);
}

void Workspace::put(const fs::path& name, const Image& image) const {
  put(name, encode(image, name.extension()));
}

std::string Workspace::get(const fs::path& name) const {
  return read_file(path(name), kMaxOutputBytes);
}
bool Workspace::has(const fs::path& name) const { return fs::exists(path(name)); }
void Workspace::remove(const fs::path& name) const { fs::remove_all(path(name)); }

std::map<std::string, std::string> Workspace::tree(const fs::path& name) const {
  std::map<std::string, std::string> files;
  if (!has(name)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(path(name)))
    if (entry.is_regular_file())
      files[fs::relative(entry.path(), folder_).string()] =
          read_file(entry.path(), kMaxOutputBytes);
  return files;
}

CommandResult Workspace::darknet(const std::vector<std::string>& arguments,
                                 const CommandOptions& options) const {
  put(".in", options.input);
  std::vector<std::string> all{program().string()};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Child(folder_, all, options).wait(options);
}

void put_tiny_data(const Workspace& work) {
  std::string list;
  for (int i = 0; i < kTinyImages; ++i) {
    const std::string name = cat("images/", i);
    work.put(name + ".png", image(i));
    work.put(name + ".txt", label(i));
    list += name + ".png\n";
  }
  work.put("train.txt", list);
  work.put("x.names", "red\ngreen\nblue\n");
  work.put("x.data",
           "classes = 3\ntrain = train.txt\nvalid = train.txt\nnames = x.names\n"
           "backup = backup\n");
  work.put("x.cfg", kTinyCfg);
}

void put_tiny_weights(const Workspace& work, const fs::path& name, std::uint64_t seed) {
  Network net(read_cfg(work.path("x.cfg")), {.seed = seed});
  net.initialise();
  work.put(name, weights_bytes(net, 0));
}

std::string replaced(const std::string& text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  if (at == text.npos || text.find(from, at + 1) != text.npos)
    fail("'", from, "' must be in the text once");
  return text.substr(0, at) + to + text.substr(at + from.size());
}

int first_difference(const std::string& text, const std::string& changed) {
  int line = 1;
  for (std::size_t i = 0; i < changed.size() && i < text.size() && changed[i] == text[i]; ++i)
    line += changed[i] == '\n';
  return line;
}

CommandResult CliTest::train(std::vector<std::string> more, const CommandOptions& o) const {
  more.insert(more.begin(), {"detector", "train", "x.data", "x.cfg"});
  return work_.darknet(more, o);
}

CommandResult CliTest::test(std::vector<std::string> more) const {
  more.insert(more.begin(), {"detector", "test", "x.data", "x.cfg"});
  more.emplace_back("-dont_show");
  return work_.darknet(more);
}

bool said(const CommandResult& ran, const std::string& text) {
  return ran.out.find(text) != std::string::npos || ran.err.find(text) != std::string::npos;
}

void expect_refused(const CommandResult& ran, const std::string& said, int exit_code) {
  EXPECT_EQ(ran.exit_code, exit_code) << ran.all();
  EXPECT_NE(ran.err.find(said), std::string::npos) << "expected: " << said << '\n' << ran.all();
}

}  // namespace darknet::test
