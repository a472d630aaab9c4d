// Starts the program's threads; an Error says where the system gives none (ulimit -u, memory). Not
// for OpenMP's threads, which its library starts.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace darknet {

// Throws where no thread can be made; `purpose` completes the sentence: "that reads images".
std::thread start_thread(const std::string& purpose, std::function<void()> work);

// As many as the system gives, at most `count`, each doing `work`; perhaps none.
std::vector<std::thread> start_threads(int count, const std::function<void()>& work);

// work(0) to work(count - 1), begun in this order by up to `threads` threads. Where some throw, no
// others begin, and the exception of the first of them, by number, is thrown.
void for_each_in_threads(std::int64_t threads, std::int64_t count,
                         const std::function<void(std::int64_t)>& work);

}  // namespace darknet
