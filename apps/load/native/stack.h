// The connections of one TUN device, in an event loop of Node: a set of two descriptors (the device and a clock) that libuv
// watches, and one call into JavaScript for each wake-up, with what has come in a slab and a list of events.
#pragma once

#define NAPI_VERSION 8
#include <node_api.h>
#include <uv.h>

#include "tcp.h"
#include "tun.h"

#include <deque>
#include <memory>
#include <vector>

namespace phantom {

// As in src/phantom/native.ts.
constexpr int32_t kFlagData = 1;
constexpr int32_t kFlagEnd = 2;
constexpr int32_t kFlagError = 4;
constexpr size_t kEventFields = 5;

class Stack : public TcpHandlers {
 public:
  // Memory that is shared with JavaScript, and what is called when there are events.
  struct Memory {
    const int32_t* generations = nullptr;
    uint8_t* slab = nullptr;
    size_t slab_bytes = 0;
    int32_t* events = nullptr;
    size_t max_events = 0;
    napi_ref references[4] = {};
  };

  explicit Stack(napi_env env) : env_(env) {}

  Memory memory;
  std::unique_ptr<Tcp> tcp;
  Tun tun;

  // The call that failed, with errno set, or null.
  const char* Start();
  void Stop();
  bool is_open() const { return is_open_; }

  void OnSegment(const Segment& segment) override;
  void OnData(uint32_t tag, const uint8_t* bytes, uint32_t length) override;
  void OnEnd(uint32_t tag) override { AddEvent(tag, memory.generations[tag], kFlagEnd, 0, 0); }
  void OnError(uint32_t tag, int error) override;

  // Calls of JavaScript begin with this: it says what time it is, and sees to it that timers which are set now run.
  Tcp& Use();
  // What the connection has kept is told with the next events.
  void Resume(uint32_t id);

  // When the object of JavaScript is collected: the memory is freed when the handle is closed, too.
  void Collect();

 private:
  static void OnWake(uv_poll_t* handle, int status, int);
  static void OnHandleClosed(uv_handle_t* handle);

  void Wake();
  bool HasRoom() const;
  void AddEvent(uint32_t tag, int32_t generation, int32_t flags, size_t offset, int32_t length);
  void TellFailures();
  void Deliver();
  void Rest(bool was_busy);
  void WatchDevice(bool isWatched);
  void Now();
  void SetClock(int64_t micros);

  napi_env env_;
  uv_poll_t handle_;
  bool is_open_ = false;
  bool is_handle_closed_ = true;
  bool is_collected_ = false;
  int set_fd_ = -1;
  int clock_fd_ = -1;
  int64_t started_at_ = 0;
  bool is_device_watched_ = false;
  bool is_clock_set_ = false;
  // Any number may fail in one tick.
  struct Failure {
    uint32_t tag;
    int32_t generation;
    int error;
  };
  std::deque<Failure> failures_;
  std::deque<uint32_t> resumed_;
  size_t events_ = 0;
  size_t slab_used_ = 0;
};

}  // namespace phantom
