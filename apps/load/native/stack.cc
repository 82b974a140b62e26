// Implementation of stack.h.
#include "stack.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace phantom {
namespace {

// After packets it rests for so long, and takes all that has come meanwhile at once: else it would wake up for each, and
// take the CPU from the server that has just sent it. To the server it looks like a distance.
constexpr int64_t kRestMicros = 500;
constexpr int64_t kMicrosPerTick = kTickMs * 1000;
// The most that one packet can add: it fills a gap before a whole window of segments.
constexpr size_t kMaxDataBytes = 65'535 + kMss;
// Segments may be as small as the server likes; those that wait behind a gap are bounded by Tcp.
constexpr size_t kMaxEventsPerPacket = 2 + Tcp::kMaxEarly;

int64_t NowMicros() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

const char* Stack::Start() {
  started_at_ = NowMicros();
  set_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (set_fd_ < 0) return "epoll_create1";
  clock_fd_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (clock_fd_ < 0) return "timerfd_create";
  epoll_event event{};
  event.events = EPOLLIN;
  if (epoll_ctl(set_fd_, EPOLL_CTL_ADD, clock_fd_, &event) < 0) return "epoll_ctl";
  if (epoll_ctl(set_fd_, EPOLL_CTL_ADD, tun.fd(), &event) < 0) return "epoll_ctl";
  is_device_watched_ = true;
  uv_loop_s* loop;
  errno = EINVAL;
  if (napi_get_uv_event_loop(env_, &loop) != napi_ok) return "napi_get_uv_event_loop";
  int error = uv_poll_init(loop, &handle_, set_fd_);
  errno = -error;
  if (error < 0) return "uv_poll_init";
  handle_.data = this;
  is_open_ = true;
  is_handle_closed_ = false;
  error = uv_poll_start(&handle_, UV_READABLE, OnWake);
  errno = -error;
  return error < 0 ? "uv_poll_start" : nullptr;
}

void Stack::Stop() {
  if (is_open_) {
    is_open_ = false;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle_), OnHandleClosed);
  }
  if (set_fd_ >= 0) close(set_fd_);
  if (clock_fd_ >= 0) close(clock_fd_);
  set_fd_ = clock_fd_ = -1;
  tun.Close();
  for (napi_ref& reference : memory.references) {
    // It fails only for a null argument.
    if (reference != nullptr) static_cast<void>(napi_delete_reference(env_, reference));
    reference = nullptr;
  }
}

void Stack::Collect() {
  is_collected_ = true;
  Stop();
  if (is_handle_closed_) delete this;
}

void Stack::OnHandleClosed(uv_handle_t* handle) {
  Stack* stack = static_cast<Stack*>(handle->data);
  stack->is_handle_closed_ = true;
  if (stack->is_collected_) delete stack;
}

void Stack::OnWake(uv_poll_t* handle, int, int) { static_cast<Stack*>(handle->data)->Wake(); }

void Stack::Now() { tcp->Advance(static_cast<uint32_t>((NowMicros() - started_at_) / kMicrosPerTick)); }

void Stack::Wake() {
  uint64_t expirations;
  static_cast<void>(!read(clock_fd_, &expirations, sizeof expirations));
  events_ = 0;
  slab_used_ = 0;
  uint8_t packet[kMtu];
  bool was_busy = false;
  is_clock_set_ = false;
  Now();
  TellFailures();
  for (; HasRoom() && !resumed_.empty(); resumed_.pop_front()) tcp->Resume(resumed_.front());
  while (HasRoom()) {
    ssize_t length = tun.Read(packet, sizeof packet);
    if (length <= 0) break;
    was_busy = true;
    Segment segment;
    if (ReadSegment(packet, static_cast<size_t>(length), &segment)) tcp->Receive(segment);
  }
  // Those that came with these packets.
  TellFailures();
  bool has_more = !HasRoom();
  if (events_ > 0) Deliver();
  if (!is_open_) return;
  if (!has_more) return Rest(was_busy);
  // What did not fit is there at once where it is in the device, and comes with the clock where it is kept here.
  WatchDevice(true);
  SetClock(kRestMicros);
}

bool Stack::HasRoom() const {
  return events_ + kMaxEventsPerPacket <= memory.max_events && slab_used_ + kMaxDataBytes <= memory.slab_bytes;
}

// Until the next tick of a timer, or for a moment after packets.
void Stack::Rest(bool was_busy) {
  WatchDevice(!was_busy);
  if (was_busy) SetClock(kRestMicros);
  else if (tcp->HasTimers() || !failures_.empty() || !resumed_.empty()) SetClock(kMicrosPerTick);
}

void Stack::SetClock(int64_t micros) {
  itimerspec when{};
  when.it_value.tv_nsec = micros * 1000;
  timerfd_settime(clock_fd_, 0, &when, nullptr);
  is_clock_set_ = true;
}

Tcp& Stack::Use() {
  Now();
  if (!is_clock_set_) SetClock(kMicrosPerTick);
  return *tcp;
}

void Stack::Resume(uint32_t id) {
  resumed_.push_back(id);
  SetClock(kRestMicros);
}

void Stack::WatchDevice(bool isWatched) {
  if (isWatched == is_device_watched_) return;
  is_device_watched_ = isWatched;
  epoll_event event{};
  if (isWatched) event.events = EPOLLIN;
  epoll_ctl(set_fd_, EPOLL_CTL_MOD, tun.fd(), &event);
}

void Stack::OnSegment(const Segment& segment) {
  uint8_t packet[kMtu];
  tun.Write(packet, WriteSegment(segment, packet));
}

void Stack::OnData(uint32_t tag, const uint8_t* bytes, uint32_t length) {
  std::memcpy(memory.slab + slab_used_, bytes, length);
  AddEvent(tag, memory.generations[tag], kFlagData, slab_used_, static_cast<int32_t>(length));
  slab_used_ += length;
}

void Stack::OnError(uint32_t tag, int error) {
  failures_.push_back({tag, memory.generations[tag], error});
}

void Stack::TellFailures() {
  for (; HasRoom() && !failures_.empty(); failures_.pop_front()) {
    const Failure& failure = failures_.front();
    AddEvent(failure.tag, failure.generation, kFlagError, 0, failure.error);
  }
}

void Stack::AddEvent(uint32_t tag, int32_t generation, int32_t flags, size_t offset, int32_t length) {
  int32_t* event = memory.events + events_++ * kEventFields;
  event[0] = static_cast<int32_t>(tag);
  event[1] = generation;
  event[2] = flags;
  event[3] = static_cast<int32_t>(offset);
  event[4] = length;
}

void Stack::Deliver() {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
  napi_value instance, on_events, count;
  napi_status status = napi_get_reference_value(env_, memory.references[3], &instance);
  if (status == napi_ok) status = napi_get_named_property(env_, instance, "onEvents", &on_events);
  if (status == napi_ok) status = napi_create_int32(env_, static_cast<int32_t>(events_), &count);
  if (status == napi_ok) status = napi_make_callback(env_, nullptr, instance, on_events, 1, &count, nullptr);
  bool pending = false;
  if (status != napi_ok && napi_is_exception_pending(env_, &pending) == napi_ok && pending) {
    // It becomes an 'uncaughtException', as one of any other callback of the event loop does.
    napi_value exception;
    if (napi_get_and_clear_last_exception(env_, &exception) == napi_ok) {
      static_cast<void>(napi_fatal_exception(env_, exception));
    }
  }
  static_cast<void>(napi_close_handle_scope(env_, scope));
}

}  // namespace phantom
