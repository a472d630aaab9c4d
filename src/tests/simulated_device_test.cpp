// The simulated devices notice what would go wrong on a card: every rule of theirs with a case that
// breaks it.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/device_guard.h"
#include "core/for_each.h"
#include "core/tensor.h"
#include "tests/simulated_device.h"

namespace darknet {
namespace {

using simulated::Schedule;
using simulated::ScheduleHere;

const Device kFirst{.type = DeviceType::cuda}, kSecond{.type = DeviceType::cuda, .index = 1};
constexpr std::size_t kBytes = sizeof(float);

Memory& device_memory() { return memory(DeviceType::cuda); }
Streams& device_streams() { return streams(DeviceType::cuda); }

struct AddOne {
  float* at;
  void operator()(std::int64_t) const { *at += 1; }
};
struct CopyOne {
  float* to;
  const float* from;
  void operator()(std::int64_t) const { *to = *from; }
};

// A number on a device, and a few words for what is done with it.
struct Number {
  explicit Number(const Device& device = kFirst) : tensor(device, vector_shape(1)) {}
  float* at() const { return tensor.data(); }
  void set(const Stream& s, float v) const { device_memory().copy_in(s, at(), &v, kBytes); }
  float get(const Stream& s) const { return tensor.to_host(s)[0]; }
  Tensor tensor;
};

struct Pinned {
  float& value() const { return *reinterpret_cast<float*>(buffer.data()); }
  PinnedBuffer buffer{DeviceType::cuda, kBytes};
};

class SimulatedDevice : public testing::Test {
 protected:
  SimulatedDevice() { device_streams().use(kFirst); }
  const OwnedStream one_{{.device = kFirst}}, two_{{.device = kFirst}};
  const Stream &a_ = one_.get(), &b_ = two_.get(), null_{.device = kFirst};
  const Number x_, y_;
  const Pinned host_;
};

// Notes its name when it is done.
void note(const Stream& s, std::string& seen, char name) {
  launch_elsewhere(s, [&seen, name] { seen += name; });
}

TEST_F(SimulatedDevice, WorkIsDoneWhenSomethingWaitsForIt) {
  const ScheduleHere late(Schedule::late);
  std::string seen;
  const auto event = device_streams().event(kFirst);
  note(a_, seen, '1');
  event->record(a_);
  note(a_, seen, '2');
  EXPECT_EQ(seen, "");
  event->wait();
  EXPECT_EQ(seen, "1");
  device_memory().synchronize(a_);
  EXPECT_EQ(seen, "12");
  note(a_, seen, '3');
  x_.get(a_);
  EXPECT_EQ(seen, "123");
  {
    const OwnedStream short_lived({.device = kFirst});
    note(short_lived.get(), seen, '4');
    EXPECT_EQ(seen, "123");
  }
  EXPECT_EQ(seen, "1234");
}

TEST_F(SimulatedDevice, SchedulesDifferInWhatOtherStreamsDo) {
  device_memory().synchronize(null_);
  std::string seen;
  const auto ask = [&] {
    seen.clear();
    note(b_, seen, '1');
    note(b_, seen, '2');
    note(a_, seen, 'x');
    note(a_, seen, 'y');
    device_memory().synchronize(a_);
    std::string then = seen;
    device_memory().synchronize(b_);
    return then;
  };
  {
    const ScheduleHere here(Schedule::late);
    EXPECT_EQ(ask(), "xy");
  }
  {
    const ScheduleHere here(Schedule::others_first);
    EXPECT_EQ(ask(), "12xy");
  }
  std::vector<std::string> found;
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
    const ScheduleHere here(Schedule::shuffled, seed);
    found.push_back(ask());
    EXPECT_LT(found.back().find('x'), found.back().find('y'));
    EXPECT_LE(found.back().find('1'), found.back().find('2'));
  }
  std::sort(found.begin(), found.end());
  EXPECT_GT(std::unique(found.begin(), found.end()) - found.begin(), 2);
}

TEST_F(SimulatedDevice, TheNullStreamWaitsAndIsWaitedFor) {
  for (const Schedule schedule : {Schedule::late, Schedule::others_first, Schedule::shuffled}) {
    const ScheduleHere here(schedule);
    std::string seen;
    note(a_, seen, '1');
    note(null_, seen, '2');
    note(b_, seen, '3');
    device_memory().synchronize(b_);
    EXPECT_EQ(seen, "123");
  }
  const OwnedStream elsewhere({.device = kSecond});
  const ScheduleHere late(Schedule::late);
  std::string seen;
  note(elsewhere.get(), seen, '1');
  device_memory().synchronize(null_);
  EXPECT_EQ(seen, "") << "of another device";
}

// x is sent by one stream and read by another.
float sent_and_read(const Stream& sender, const Stream& reader, const Number& x, const Number& y,
                    bool hold) {
  const Pinned host;
  const auto sent = device_streams().event(kFirst);
  x.set(sender, 1);
  device_memory().synchronize(sender);
  host.value() = 2;
  device_memory().send(sender, x.at(), host.buffer.data(), kBytes);
  sent->record(sender);
  if (hold) sent->make_wait(reader);
  for_each(reader, 1, CopyOne{y.at(), x.at()});
  const float got = y.get(reader);
  device_memory().synchronize(sender);
  return got;
}

TEST_F(SimulatedDevice, AMissingHoldShowsWhenTheOtherStreamIsLate) {
  for (const Schedule schedule : {Schedule::late, Schedule::others_first, Schedule::shuffled}) {
    const ScheduleHere here(schedule);
    EXPECT_EQ(sent_and_read(a_, b_, x_, y_, true), 2);
  }
  const ScheduleHere late(Schedule::late);
  EXPECT_EQ(sent_and_read(a_, b_, x_, y_, false), 1);
}

// x is read by one stream and then overwritten by another.
float read_and_overwritten(const Stream& writer, const Stream& reader, const Number& x,
                           const Number& y, bool hold) {
  const auto was_read = device_streams().event(kFirst);
  x.set(reader, 1);
  device_memory().synchronize(reader);
  for_each(reader, 1, CopyOne{y.at(), x.at()});
  was_read->record(reader);
  if (hold) was_read->make_wait(writer);
  x.set(writer, 2);
  return y.get(reader);
}

TEST_F(SimulatedDevice, AMissingHoldShowsWhenTheOtherStreamIsAhead) {
  for (const Schedule schedule : {Schedule::late, Schedule::others_first, Schedule::shuffled}) {
    const ScheduleHere here(schedule);
    EXPECT_EQ(read_and_overwritten(a_, b_, x_, y_, true), 1);
  }
  const ScheduleHere here(Schedule::others_first);
  EXPECT_EQ(read_and_overwritten(a_, b_, x_, y_, false), 2);
}

TEST_F(SimulatedDevice, WhatIsSentIsReadWhenTheStreamGetsThere) {
  const auto sent = device_streams().event(kFirst);
  host_.value() = 1;
  device_memory().send(a_, x_.at(), host_.buffer.data(), kBytes);
  sent->record(a_);
  sent->wait();
  host_.value() = 2;
  EXPECT_EQ(x_.get(a_), 1);
  device_memory().send(a_, x_.at(), host_.buffer.data(), kBytes);
  host_.value() = 3;  // too early
  EXPECT_EQ(x_.get(a_), 3);
}

TEST_F(SimulatedDevice, WhatIsFetchedIsThereWhenItsEventHasPassed) {
  const auto fetched = device_streams().event(kFirst);
  x_.set(a_, 5);
  EXPECT_TRUE(std::isnan(host_.value())) << "fresh host memory holds nothing of use";
  device_memory().fetch(a_, host_.buffer.data(), x_.at(), kBytes);
  fetched->record(a_);
  EXPECT_TRUE(std::isnan(host_.value())) << "too early";
  fetched->wait();
  EXPECT_EQ(host_.value(), 5);
}

TEST_F(SimulatedDevice, SendAndFetchWantHostMemoryOfTheirs) {
  float ordinary = 0;
  EXPECT_THROW(device_memory().send(a_, x_.at(), &ordinary, kBytes), Error);
  EXPECT_THROW(device_memory().fetch(a_, &ordinary, x_.at(), kBytes), Error);
  EXPECT_THROW(device_memory().send(a_, x_.at(), host_.buffer.data() + 1, kBytes), Error);
  {
    const Pinned gone;
    device_memory().send(a_, x_.at(), gone.buffer.data(), kBytes);
  }
  EXPECT_THROW(device_memory().synchronize(a_), Error) << "released before the stream got there";
  EXPECT_NO_THROW(device_memory().synchronize(a_)) << "said twice";
}

TEST_F(SimulatedDevice, OrdinaryHostMemoryIsTakenOverAtOnce) {
  const ScheduleHere late(Schedule::late);
  float v = 1;
  device_memory().copy_in(a_, x_.at(), &v, kBytes);
  v = 2;
  EXPECT_EQ(x_.get(a_), 1);
  x_.set(a_, 3);  // and is on the device when that stream has got there
  for_each(b_, 1, CopyOne{y_.at(), x_.at()});
  EXPECT_EQ(y_.get(b_), 1);
}

TEST_F(SimulatedDevice, FreshMemoryHoldsNothingOfUse) {
  const Buffer fresh(kFirst, kBytes);
  float v = 0;
  device_memory().copy_out(a_, &v, fresh.data(), kBytes);
  EXPECT_TRUE(std::isnan(v));
}

constexpr char kTouched[] = "its memory was touched";

TEST_F(SimulatedDevice, TheHostReachesNoDeviceMemory) {
  x_.get(a_);
  EXPECT_DEATH(*const_cast<volatile float*>(x_.at()) = 1, kTouched);
}

TEST_F(SimulatedDevice, ALaunchReachesItsDevicesMemoryAlone) {
  const Number there(kSecond);
  device_streams().use(kFirst);
  for_each(a_, 1, AddOne{x_.at()});
  EXPECT_EQ(x_.get(a_), 1);
  EXPECT_DEATH(
      {
        for_each(a_, 1, AddOne{there.at()});
        device_memory().synchronize(a_);
      },
      kTouched);
  const OwnedStream of_second({.device = kSecond});
  device_streams().use(kSecond);
  for_each(of_second.get(), 1, AddOne{there.at()});
  EXPECT_EQ(there.get(of_second.get()), 1);
}

TEST_F(SimulatedDevice, NothingReachesMemoryAfterItsRelease) {
  {
    const Number short_lived;
    short_lived.set(a_, 4);
    for_each(a_, 1, CopyOne{x_.at(), short_lived.at()});  // asked for before the release
  }
  EXPECT_EQ(x_.get(a_), 4);
  const float* const gone = Number().at();
  EXPECT_DEATH(
      {
        for_each(a_, 1, CopyOne{x_.at(), gone});
        device_memory().synchronize(a_);
      },
      kTouched);
}

TEST_F(SimulatedDevice, CopiesStayOnTheirDevice) {
  const Number there(kSecond);
  const OwnedStream second({.device = kSecond});
  const Stream& c = second.get();
  EXPECT_THROW(there.set(a_, 1), Error);
  EXPECT_THROW(there.get(a_), Error);
  EXPECT_THROW(device_memory().zero(a_, there.at(), kBytes), Error);
  EXPECT_THROW(device_memory().copy(a_, x_.at(), there.at(), kBytes), Error);
  EXPECT_THROW(device_memory().copy(a_, there.at(), x_.at(), kBytes), Error);
  EXPECT_THROW(device_memory().copy_from(a_, x_.at(), kSecond, y_.at(), kBytes), Error);
  EXPECT_THROW(device_memory().zero(a_, host_.buffer.data(), kBytes), Error);
  there.set(c, 7);
  const auto there_now = device_streams().event(kSecond);
  there_now->record(c);
  there_now->make_wait(a_);
  device_memory().copy_from(a_, x_.at(), kSecond, there.at(), kBytes);
  EXPECT_EQ(x_.get(a_), 7);
}

TEST_F(SimulatedDevice, ACopyFromAnotherDeviceWaitsForThatDeviceOnlyWhereAsked) {
  const ScheduleHere late(Schedule::late);
  const Number there(kSecond);
  const OwnedStream second({.device = kSecond});
  device_memory().synchronize(second.get());
  there.set(second.get(), 7);
  device_memory().copy_from(a_, x_.at(), kSecond, there.at(), kBytes);
  EXPECT_EQ(x_.get(a_), 0);
}

TEST_F(SimulatedDevice, ALaunchWantsItsDeviceToBeTheThreads) {
  device_streams().use(kSecond);
  EXPECT_THROW(for_each(a_, 1, AddOne{x_.at()}), Error);
  device_streams().use(kFirst);
  EXPECT_NO_THROW(for_each(a_, 1, AddOne{x_.at()}));
  std::thread([&] {  // which begins with the first
    EXPECT_NO_THROW(for_each(a_, 1, AddOne{x_.at()}));
    device_streams().use(kSecond);
    EXPECT_THROW(for_each(a_, 1, AddOne{x_.at()}), Error);
  })
      .join();
  EXPECT_NO_THROW(for_each(a_, 1, AddOne{x_.at()}));
  EXPECT_EQ(x_.get(a_), 3);
  EXPECT_THROW(device_streams().use({.type = DeviceType::cuda, .index = 2}), Error);
}

TEST_F(SimulatedDevice, AGuardsDeviceIsTheThreadsAsLongAsItLives) {
  const OwnedStream of_second({.device = kSecond});
  const Number there(kSecond);
  const auto on_first = [&] { for_each(a_, 1, AddOne{x_.at()}); };
  const auto on_second = [&] { for_each(of_second.get(), 1, AddOne{there.at()}); };
  const DeviceGuard outer(kFirst);
  {
    const DeviceGuard inner(kSecond);
    EXPECT_THROW(on_first(), Error);
    { const DeviceGuard innermost(kFirst); }
    EXPECT_NO_THROW(on_second());
    EXPECT_THROW(on_first(), Error);
    EXPECT_THROW(DeviceGuard({.type = DeviceType::cuda, .index = 2}), Error);
    EXPECT_NO_THROW(on_second());
  }
  EXPECT_NO_THROW(on_first());
  EXPECT_THROW(on_second(), Error);
}

TEST_F(SimulatedDevice, StreamsAreThoseThatAreOpen) {
  Stream gone;
  {
    const OwnedStream short_lived({.device = kFirst});
    gone = short_lived.get();
  }
  EXPECT_THROW(x_.set(gone, 1), Error);
  EXPECT_THROW(for_each(gone, 1, AddOne{x_.at()}), Error);
  Stream mistaken = a_;
  mistaken.device = kSecond;
  EXPECT_THROW(device_memory().synchronize(mistaken), Error);
}

TEST_F(SimulatedDevice, EventsReportHowLongWorkTook) {
  const auto begin = device_streams().event(kFirst), end = device_streams().event(kFirst);
  EXPECT_NO_THROW(begin->wait());
  EXPECT_NO_THROW(begin->make_wait(a_));
  EXPECT_THROW(static_cast<void>(end->seconds_since(*begin)), Error) << "never recorded";
  begin->record(a_);
  launch_elsewhere(a_, [] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); });
  end->record(a_);
  begin->wait();
  EXPECT_THROW(static_cast<void>(end->seconds_since(*begin)), Error) << "not passed";
  end->wait();
  EXPECT_GE(end->seconds_since(*begin), .02);
  EXPECT_LE(begin->seconds_since(*end), -.02);
  end->record(a_);
  EXPECT_THROW(static_cast<void>(end->seconds_since(*begin)), Error) << "recorded anew";

  const OwnedStream second({.device = kSecond});
  const auto there = device_streams().event(kSecond);
  EXPECT_THROW(there->record(a_), Error);
  there->record(second.get());
  there->wait();
  EXPECT_THROW(static_cast<void>(there->seconds_since(*begin)), Error);
}

TEST_F(SimulatedDevice, ARecordingDoesWhatWasAskedWhenItIsReplayed) {
  const auto recording = device_streams().record(a_, [&] {
    for_each(a_, 1, AddOne{x_.at()});
    device_memory().copy(a_, y_.at(), x_.at(), kBytes);
  });
  EXPECT_EQ(x_.get(a_), 0);
  const ScheduleHere late(Schedule::late);
  recording->replay(a_);
  recording->replay(b_);
  EXPECT_EQ(y_.get(a_), 1);
  EXPECT_EQ(y_.get(b_), 2);
  const OwnedStream second({.device = kSecond});
  EXPECT_THROW(recording->replay(second.get()), Error);
}

TEST_F(SimulatedDevice, ARecordingRefusesWhatCudaRefuses) {
  float v = 0;
  const auto event = device_streams().event(kFirst);
  event->record(a_);
  const std::function<void()> refused[] = {
      [&] { for_each(b_, 1, AddOne{x_.at()}); },
      [&] { for_each(null_, 1, AddOne{x_.at()}); },
      [&] { x_.set(a_, 1); },
      [&] { x_.get(a_); },
      [&] { device_memory().send(b_, x_.at(), host_.buffer.data(), kBytes); },
      [&] { device_memory().synchronize(a_); },
      [&] { device_memory().synchronize(b_); },
      [&] { event->wait(); },
      [&] { event->make_wait(b_); },
      [&] { event->record(a_); },
      [&] { const Buffer b(kFirst, 4); },
      [&] { const PinnedBuffer b(DeviceType::cuda, 4); },
      [&] { device_streams().record(b_, [] {}); },
      [&] { device_memory().copy_out(b_, &v, x_.at(), kBytes); },
  };
  for (std::size_t i = 0; i < std::size(refused); ++i) {
    EXPECT_THROW(device_streams().record(a_, refused[i]), Error) << i;
    EXPECT_THROW(device_streams().record(a_,
                                         [&] {
                                           try {
                                             refused[i]();
                                           } catch (const Error&) {
                                           }
                                         }),
                 Error)
        << i << ", kept to itself";
    EXPECT_NO_THROW(refused[i]()) << i << ", while nothing is recorded";
  }
  EXPECT_TRUE(device_streams().record(a_, [&] { for_each(a_, 1, AddOne{x_.at()}); }));
}

TEST_F(SimulatedDevice, AReleaseSpoilsARecording) {
  auto short_lived = std::make_unique<Number>();
  EXPECT_THROW(device_streams().record(a_, [&] { short_lived.reset(); }), Error);
  auto pinned = std::make_unique<Pinned>();
  EXPECT_THROW(device_streams().record(a_, [&] { pinned.reset(); }), Error);
}

TEST_F(SimulatedDevice, OthersMayWorkWhileAThreadRecords) {
  const Number there(kSecond);
  const auto recording = device_streams().record(a_, [&] {
    std::thread([&] {
      for_each(b_, 1, AddOne{x_.at()});
      EXPECT_EQ(x_.get(b_), 1);
      EXPECT_EQ(there.get({.device = kSecond}), 0);
    }).join();
  });
  EXPECT_THROW(device_streams().record(
                   a_, [&] { std::thread([&] { EXPECT_THROW(x_.get(a_), Error); }).join(); }),
               Error);
  EXPECT_THROW(device_streams().record(
                   a_, [&] { std::thread([&] { EXPECT_THROW(x_.get(null_), Error); }).join(); }),
               Error);
}

TEST_F(SimulatedDevice, WhatFailsInAQueueIsSaidByTheNextWait) {
  launch_elsewhere(a_, [] { fail("no good"); });
  for_each(a_, 1, AddOne{x_.at()});
  EXPECT_THROW(device_memory().synchronize(a_), Error);
  EXPECT_EQ(x_.get(a_), 1);
}

TEST_F(SimulatedDevice, ThreadsHaveStreamsOfTheirOwn) {
  std::vector<std::thread> threads;
  std::vector<float> found(4);
  for (std::size_t t = 0; t < found.size(); ++t)
    threads.emplace_back([&, t] {
      const Device& device = t % 2 ? kSecond : kFirst;
      device_streams().use(device);
      const OwnedStream own({.device = device});
      const Number sum(device);
      for (int i = 0; i < 200; ++i) {
        for_each(own.get(), 1, AddOne{sum.at()});
        if (i % 10 == 0) device_memory().synchronize(own.get());
      }
      found[t] = sum.get(own.get());
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(found, std::vector<float>(4, 200));
}

}  // namespace
}  // namespace darknet
