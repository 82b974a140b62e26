// One poller: a set of descriptors and the memory it shares with JavaScript. Every function here runs on the thread of the
// environment that created it.
#pragma once

#include "backend.h"
#include "check.h"
#include "kept-rows.h"

#include <uv.h>

namespace roost {

// As in src/constants.ts.
constexpr int kFlagData = 1;
constexpr int kFlagEnd = 2;
constexpr int kFlagError = 4;
constexpr int kFlagWritable = 8;
constexpr int kFlagHangup = 16;
constexpr int kFlagPeerEnded = 32;
constexpr int kFlagDescriptor = 64;
constexpr int kFlagReadable = 128;
constexpr int kEventFields = 5;

// What the poller knows of a row; its two lowest bits are the interest.
using RowState = uint8_t;
constexpr RowState kRowInterest = kInterestReadable | kInterestWritable;
// In the poller's care, though perhaps silent.
constexpr RowState kRowWatched = 4;
// Out of the set after its end or error was reported: nothing more will come, and nothing may spin.
constexpr RowState kRowSilent = 8;
// Its last recv(2) filled all it was offered, so there is probably more: it waits behind rows that send little.
constexpr RowState kRowBusy = 16;
// Busy, but its last recv(2) emptied it: the end of a burst, after which another may come. Twice makes it quiet.
constexpr RowState kRowCooling = 32;
// In the poller's care but not in the set yet: see ReceiveNew.
constexpr RowState kRowNew = 64;
constexpr RowState kRowOutOfSet = kRowSilent | kRowNew;

struct Poller {
  napi_env env;
  uv_poll_t handle;
  Backend backend;
  // False from destroy() or teardown on: nothing below may be touched then.
  bool open = false;
  // The memory is freed when both have happened, in either order.
  bool closed = false;
  bool collected = false;
  napi_async_cleanup_hook_handle teardown = nullptr;

  int32_t slot_count = 0;
  int32_t* fds = nullptr;
  const int32_t* generations = nullptr;
  const uint16_t* flags = nullptr;
  uint8_t* slab = nullptr;
  int32_t slab_bytes = 0;
  int32_t* events = nullptr;
  int32_t max_entries = 0;
  int32_t row_bytes = 0;
  // What kept rows may fill the slab to: from row_bytes to slab_bytes, by how long wake-ups take.
  int32_t wake_bytes = 0;
  // Bytes moved since the start, as in src/poller.ts: doubles, so that JavaScript reads them without a call.
  double* received_bytes = nullptr;
  double* sent_bytes = nullptr;
  uint16_t sendable_mask = 0;
  uint16_t sendable_value = 0;

  RowState* states = nullptr;
  // What the kernel reports to a wake-up, max_entries of them.
  Readiness* ready = nullptr;
  KeptRows kept;
  // Of the wake-up in progress.
  int32_t entries = 0;
  int32_t slab_used = 0;

  // Keep alive the instance, onEvents and the arrays whose memory is used above.
  static constexpr size_t kReferences = 8;
  napi_ref references[kReferences] = {};
  napi_ref& instance() { return references[0]; }
  napi_ref& on_events() { return references[1]; }
};

// Serves ready rows into the slab and the events; p.entries says how many (wake.cc).
void CollectEvents(Poller& p);
// The same for rows that are not in the set yet, as far as the slab goes (wake.cc).
void CollectNew(Poller& p, const int32_t* slots, int32_t count);
// After a wake-up whose callback took so long (wake.cc).
void AdjustWake(Poller& p, int64_t micros);
// CLOCK_MONOTONIC (rows.cc).
int64_t NowMicros();
// One send(2): bytes taken by the kernel, 0 when it is full, or -errno (rows.cc).
ssize_t SendBytes(int fd, const uint8_t* bytes, size_t length);

// Takes a row out of the set for good, until setInterest (rows.cc).
void Silence(Poller& p, int32_t slot);
// After the peer's end: only writability is asked from here on (rows.cc).
void StopReading(Poller& p, int32_t slot);

// The open poller behind a method call; nullptr, with an exception pending, after destroy() (poller.cc).
Poller* OpenPoller(napi_env env, void* data);

// Methods of the instance.
napi_value Watch(napi_env env, napi_callback_info info);
napi_value ReceiveNew(napi_env env, napi_callback_info info);
napi_value WatchNew(napi_env env, napi_callback_info info);
napi_value SetInterest(napi_env env, napi_callback_info info);
napi_value Unwatch(napi_env env, napi_callback_info info);
napi_value Send(napi_env env, napi_callback_info info);
napi_value Broadcast(napi_env env, napi_callback_info info);
napi_value Close(napi_env env, napi_callback_info info);
napi_value ShutdownWrite(napi_env env, napi_callback_info info);
napi_value WatchDescriptor(napi_env env, napi_callback_info info);
napi_value UnwatchDescriptor(napi_env env, napi_callback_info info);

// Functions of the module, each file's own.
napi_value CreatePoller(napi_env env, napi_callback_info info);
bool DefineSockets(napi_env env, napi_value exports);
bool DefineDescriptors(napi_env env, napi_value exports);
bool DefineProcess(napi_env env, napi_value exports);
bool DefineHandshake(napi_env env, napi_value exports);
bool DefineStacks(napi_env env, napi_value exports);
bool DefineTcpInfo(napi_env env, napi_value exports);
bool DefineSealedFile(napi_env env, napi_value exports);

}  // namespace roost
