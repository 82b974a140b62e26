// What JavaScript may do with a row, by slot: put it into the set and take it out (backend.h), send(2), shutdown(2),
// close(2), on the environment's thread. The caller owns the descriptor in fds[slot]; only Close closes it. All but Close
// answer 0 or a count, or -errno; a wrong argument, or a poller that was destroyed, throws.
#include "poller.h"
#include "syscalls.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

namespace roost {
namespace {

constexpr int kSendFlags = MSG_NOSIGNAL | MSG_DONTWAIT;

int Add(Poller& p, int32_t slot, int interest) {
  return p.backend.Add(p.fds[slot], Target::Row(slot, p.generations[slot]), interest);
}

int Modify(Poller& p, int32_t slot, int interest) {
  return p.backend.Modify(p.fds[slot], Target::Row(slot, p.generations[slot]), interest);
}

bool ReadSlot(napi_env env, Poller& p, napi_value value, int32_t* slot) {
  return ReadInteger(env, value, "slot", 0, p.slot_count - 1, slot);
}

bool ReadInterest(napi_env env, napi_value value, int32_t* interest) {
  return ReadInteger(env, value, "interest", 0, kRowInterest, interest);
}

// The decoded slot of a method whose first argument it is.
template <size_t N>
Poller* ReadRow(napi_env env, napi_callback_info info, Arguments<N>& arguments, int32_t* slot) {
  if (!arguments.Read(env, info)) return nullptr;
  Poller* p = OpenPoller(env, arguments.data);
  return p != nullptr && ReadSlot(env, *p, arguments.values[0], slot) ? p : nullptr;
}

// The decoded slots of a method whose arguments are an array and how many of its elements are meant.
Poller* ReadSlots(napi_env env, napi_callback_info info, Arguments<2>& arguments, Span<int32_t>* slots) {
  if (!arguments.Read(env, info)) return nullptr;
  Poller* p = OpenPoller(env, arguments.data);
  int32_t count;
  if (p == nullptr || !ReadInt32Array(env, arguments.values[0], "slots", slots) ||
      !ReadInteger(env, arguments.values[1], "count", 0, static_cast<int32_t>(slots->length), &count)) {
    return nullptr;
  }
  slots->length = static_cast<size_t>(count);
  for (int32_t i = 0; i < count; i++) {
    if (slots->data[i] >= 0 && slots->data[i] < p->slot_count) continue;
    ThrowTypeError(env, "slots[%d] must be from 0 to %d, got %d", i, p->slot_count - 1, slots->data[i]);
    return nullptr;
  }
  return p;
}

}  // namespace

int64_t NowMicros() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}

ssize_t SendBytes(int fd, const uint8_t* bytes, size_t length) {
  if (fd < 0) return -EBADF;
  for (;;) {
    ssize_t sent = SysSend(fd, bytes, length, kSendFlags);
    if (sent >= 0) return sent;
    if (errno == EINTR) continue;
    return errno == EAGAIN ? 0 : -errno;
  }
}

void Silence(Poller& p, int32_t slot) {
  // A failure means that it is not in the set, which is what is wanted.
  p.backend.Remove(p.fds[slot]);
  p.states[slot] = kRowWatched | kRowSilent;
}

void StopReading(Poller& p, int32_t slot) {
  if ((p.states[slot] & kInterestWritable) != 0 && Modify(p, slot, kInterestWritable) == 0) {
    p.states[slot] = kRowWatched | kInterestWritable;
  } else {
    Silence(p, slot);
  }
}

napi_value Watch(napi_env env, napi_callback_info info) {
  Arguments<2> arguments;
  int32_t slot, interest;
  Poller* p = ReadRow(env, info, arguments, &slot);
  if (p == nullptr || !ReadInterest(env, arguments.values[1], &interest)) return nullptr;
  int result = Add(*p, slot, interest);
  if (result == 0) {
    // A row kept under an earlier generation of the slot has no owner now.
    p->kept.Remove(slot);
    p->states[slot] = static_cast<RowState>(kRowWatched | interest);
  }
  return Number(env, result);
}

napi_value ReceiveNew(napi_env env, napi_callback_info info) {
  Arguments<2> arguments;
  Span<int32_t> slots;
  Poller* p = ReadSlots(env, info, arguments, &slots);
  if (p == nullptr) return nullptr;
  for (size_t i = 0; i < slots.length; i++) {
    // A row kept under an earlier generation of the slot has no owner now.
    p->kept.Remove(slots.data[i]);
    p->states[slots.data[i]] = kRowWatched | kRowNew | kInterestReadable;
  }
  CollectNew(*p, slots.data, static_cast<int32_t>(slots.length));
  return Number(env, p->entries);
}

napi_value WatchNew(napi_env env, napi_callback_info info) {
  Arguments<2> arguments;
  Span<int32_t> slots;
  Poller* p = ReadSlots(env, info, arguments, &slots);
  if (p == nullptr) return nullptr;
  int32_t failed = 0;
  for (size_t i = 0; i < slots.length; i++) {
    int32_t slot = slots.data[i];
    RowState state = p->states[slot];
    // Closed, taken out or given another interest since: nothing to do.
    if ((state & kRowNew) == 0) continue;
    int interest = state & kRowInterest;
    if (Add(*p, slot, interest) == 0) {
      p->states[slot] = static_cast<RowState>(state & ~kRowNew);
    } else {
      failed++;
    }
  }
  return Number(env, failed);
}

napi_value SetInterest(napi_env env, napi_callback_info info) {
  Arguments<2> arguments;
  int32_t slot, interest;
  Poller* p = ReadRow(env, info, arguments, &slot);
  if (p == nullptr || !ReadInterest(env, arguments.values[1], &interest)) return nullptr;
  RowState state = p->states[slot];
  int result = (state & kRowOutOfSet) != 0 ? Add(*p, slot, interest) : Modify(*p, slot, interest);
  if (result == 0) {
    if ((interest & kInterestReadable) == 0) p->kept.Remove(slot);
    p->states[slot] = static_cast<RowState>(kRowWatched | (state & (kRowBusy | kRowCooling)) | interest);
  }
  return Number(env, result);
}

napi_value Unwatch(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  int32_t slot;
  Poller* p = ReadRow(env, info, arguments, &slot);
  if (p == nullptr) return nullptr;
  int result = (p->states[slot] & kRowOutOfSet) == 0 ? p->backend.Remove(p->fds[slot]) : 0;
  p->kept.Remove(slot);
  p->states[slot] = 0;
  return Number(env, result);
}

napi_value Send(napi_env env, napi_callback_info info) {
  Arguments<4> arguments;
  int32_t slot, offset, length;
  Span<uint8_t> bytes;
  Poller* p = ReadRow(env, info, arguments, &slot);
  if (p == nullptr || !ReadUint8Array(env, arguments.values[1], "bytes", &bytes)) return nullptr;
  int32_t size = bytes.length > INT32_MAX ? INT32_MAX : static_cast<int32_t>(bytes.length);
  if (!ReadInteger(env, arguments.values[2], "offset", 0, size, &offset) ||
      !ReadInteger(env, arguments.values[3], "length", 0, size - offset, &length)) {
    return nullptr;
  }
  ssize_t sent = SendBytes(p->fds[slot], bytes.data + offset, static_cast<size_t>(length));
  if (sent > 0) *p->sent_bytes += static_cast<double>(sent);
  return Number(env, static_cast<int32_t>(sent));
}

napi_value Close(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  int32_t slot;
  Poller* p = ReadRow(env, info, arguments, &slot);
  if (p == nullptr) return nullptr;
  p->kept.Remove(slot);
  int fd = p->fds[slot];
  if (fd >= 0) {
    // In this order because another process may hold a copy: close(2) alone would leave the entry of the set firing
    // with no descriptor left to remove it by, and the client without a FIN. Failures mean that it was so already.
    if ((p->states[slot] & kRowOutOfSet) == 0) p->backend.Remove(fd);
    shutdown(fd, SHUT_RDWR);
    SysClose(fd);
    p->fds[slot] = -1;
  }
  p->states[slot] = 0;
  return nullptr;
}

napi_value ShutdownWrite(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  int32_t slot;
  Poller* p = ReadRow(env, info, arguments, &slot);
  if (p == nullptr) return nullptr;
  return Number(env, shutdown(p->fds[slot], SHUT_WR) == 0 ? 0 : -errno);
}

napi_value WatchDescriptor(napi_env env, napi_callback_info info) {
  Arguments<3> arguments;
  if (!arguments.Read(env, info)) return nullptr;
  Poller* p = OpenPoller(env, arguments.data);
  int32_t fd, id, interest;
  if (p == nullptr || !ReadDescriptor(env, arguments.values[0], &fd) ||
      !ReadInteger(env, arguments.values[1], "id", INT32_MIN, INT32_MAX, &id) ||
      !ReadInteger(env, arguments.values[2], "interest", 1, kRowInterest, &interest)) {
    return nullptr;
  }
  int result = p->backend.Add(fd, Target::Descriptor(id), interest);
  if (result == -EEXIST) result = p->backend.Modify(fd, Target::Descriptor(id), interest);
  return Number(env, result);
}

napi_value UnwatchDescriptor(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  if (!arguments.Read(env, info)) return nullptr;
  Poller* p = OpenPoller(env, arguments.data);
  int32_t fd;
  if (p == nullptr || !ReadDescriptor(env, arguments.values[0], &fd)) return nullptr;
  return Number(env, p->backend.Remove(fd));
}

}  // namespace roost
