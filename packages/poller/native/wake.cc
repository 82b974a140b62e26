// One wake-up: one question to the backend and at most one recv(2) for each row, on the environment's thread; or one look
// at rows that are new. Descriptors are only read from, never closed. Results are entries in p.events and bytes in p.slab.
//
// Bounded in bytes: no more than the slab in all, and a row gets row_bytes, or an equal share when few are ready.
// Rows that did not fit are kept, in order, because the kernel alone might start with the same rows every time.
//
// A row that filled its last share, or the one before, is busy and is kept: it waits until those that send little have been served, in the
// wake-up that reports them and first in it. Bytes say little about time: 64 KB can be one message, or 9,000 that are
// each answered. So kept rows get what can be handled in about 2 ms, by what the wake-ups before have taken: while 200
// clients pour 7-byte frames, another client's echo waits for one such wake-up, not for a round of all of them.
#include "poller.h"
#include "syscalls.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace roost {
namespace {

// Twenty times what a wake-up costs by itself, and far below what a person or a timeout notices.
constexpr int64_t kWakeMicros = 2000;

void Emit(Poller& p, int32_t id, int32_t generation, int flags, int32_t offset, int32_t length) {
  int32_t* entry = p.events + p.entries++ * kEventFields;
  entry[0] = id;
  entry[1] = generation;
  entry[2] = flags;
  entry[3] = offset;
  entry[4] = length;
}

bool IsCurrent(const Poller& p, int32_t slot, int32_t generation) {
  return slot < p.slot_count && p.generations[slot] == generation && p.fds[slot] >= 0 &&
         (p.states[slot] & kRowWatched) != 0;
}

void Receive(Poller& p, int32_t slot, int32_t generation, int flags, int32_t share) {
  int32_t offered = std::min(share, p.slab_bytes - p.slab_used);
  ssize_t received;
  do {
    received = SysReceive(p.fds[slot], p.slab + p.slab_used, static_cast<size_t>(offered), MSG_DONTWAIT);
  } while (received < 0 && errno == EINTR);

  RowState& state = p.states[slot];
  if (received == offered) {
    state = static_cast<RowState>((state | kRowBusy) & ~kRowCooling);
  } else if ((state & (kRowBusy | kRowCooling)) == kRowBusy) {
    state |= kRowCooling;
  } else {
    state = static_cast<RowState>(state & ~(kRowBusy | kRowCooling));
  }
  if (received > 0) {
    Emit(p, slot, generation, flags | kFlagData, p.slab_used, static_cast<int32_t>(received));
    p.slab_used += static_cast<int32_t>(received);
    *p.received_bytes += static_cast<double>(received);
  } else if (received == 0) {
    Emit(p, slot, generation, flags | kFlagEnd, p.slab_used, 0);
    StopReading(p, slot);
  } else if (errno != EAGAIN) {
    Emit(p, slot, generation, kFlagError, 0, errno);
    Silence(p, slot);
  } else if (flags != 0) {
    Emit(p, slot, generation, flags, 0, 0);
  }
}

int ErrorOf(int fd, const Readiness& reported) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) return errno;
  if (error != 0) return error;
  // SO_ERROR was read before us.
  return reported.error ? ECONNRESET : EPIPE;
}

void EmitDescriptor(Poller& p, const Readiness& reported) {
  // After a failure the next call on the descriptor returns it: everything that could be asked for is reported.
  int flags = kFlagDescriptor;
  if (reported.failed() || reported.readable) flags |= kFlagReadable;
  if (reported.failed() || reported.writable) flags |= kFlagWritable;
  Emit(p, reported.target.tag, 0, flags, 0, 0);
}

// Reports what needs no bytes, puts busy rows into p.kept, and answers true when the row is to be received now.
bool Sort(Poller& p, const Readiness& reported) {
  auto [slot, generation] = reported.target;
  RowState state = p.states[slot];
  bool failed = reported.failed();
  if ((state & kRowInterest) == 0) {
    Emit(p, slot, generation, failed ? kFlagHangup : kFlagPeerEnded, 0, 0);
    return false;
  }
  if ((state & kInterestReadable) == 0 && failed) {
    Emit(p, slot, generation, kFlagError, 0, ErrorOf(p.fds[slot], reported));
    Silence(p, slot);
    return false;
  }
  bool readable = (state & kInterestReadable) != 0 && (failed || reported.readable);
  bool waits = p.kept.Has(slot) || (state & kRowBusy) != 0;
  if (readable && !waits) return true;
  if (readable && !p.kept.Has(slot)) p.kept.Push(slot, generation);
  if (reported.writable) Emit(p, slot, generation, kFlagWritable, 0, 0);
  return false;
}

}  // namespace

void CollectEvents(Poller& p) {
  p.entries = 0;
  p.slab_used = 0;
  // Every reported event makes at most one entry; the rest of the room is for kept rows.
  int asked = p.max_entries - std::min(p.kept.count(), p.max_entries / 2);
  // Negative is -EINTR, since the arguments are ours: the set stays readable and we are called again.
  int reported = p.backend.Wait(p.ready, asked);

  int fresh = 0;
  for (int i = 0; i < reported; i++) {
    const Readiness& one = p.ready[i];
    if (!one.target.IsRow()) {
      EmitDescriptor(p, one);
    } else if (IsCurrent(p, one.target.slot, one.target.tag)) {
      if (Sort(p, one)) p.ready[fresh++] = one;
    }
  }

  int32_t kept = p.kept.count();
  if (fresh + kept == 0) return;
  int32_t share = std::max(p.row_bytes, p.wake_bytes / (fresh + kept));
  // What kept rows are sure of, or a stream of small messages could starve them.
  int32_t reserved = kept > 0 ? std::max(p.row_bytes, p.wake_bytes / 2) : 0;
  for (int i = 0; i < fresh; i++) {
    auto [slot, generation] = p.ready[i].target;
    int flags = p.ready[i].writable ? kFlagWritable : 0;
    if (p.slab_bytes - p.slab_used - reserved >= p.row_bytes) {
      Receive(p, slot, generation, flags, share);
    } else {
      p.kept.Push(slot, generation);
      if (flags != 0) Emit(p, slot, generation, flags, 0, 0);
    }
  }
  // Only those that were kept before, for a row is received from once a wake-up; one of them in any case.
  for (bool first = true; kept > 0 && p.entries < p.max_entries && p.slab_bytes - p.slab_used >= p.row_bytes;
       first = false) {
    if (!first && p.slab_used >= p.wake_bytes) break;
    kept--;
    int32_t generation;
    int32_t slot = p.kept.Pop(&generation);
    if (IsCurrent(p, slot, generation)) Receive(p, slot, generation, 0, share);
  }
}

void CollectNew(Poller& p, const int32_t* slots, int32_t count) {
  p.entries = 0;
  p.slab_used = 0;
  for (int32_t i = 0; i < count && p.entries < p.max_entries && p.slab_bytes - p.slab_used >= p.row_bytes; i++) {
    Receive(p, slots[i], p.generations[slots[i]], 0, p.row_bytes);
  }
}

void AdjustWake(Poller& p, int64_t micros) {
  if (micros > kWakeMicros) {
    p.wake_bytes = std::max(p.row_bytes, p.wake_bytes / 2);
  } else if (micros < kWakeMicros / 2) {
    p.wake_bytes = std::min(p.slab_bytes, p.wake_bytes * 2);
  }
}

}  // namespace roost
