// The seam to the kernel: which descriptors are ready. A backend keeps a set of descriptors, each with what is to be
// reported of it and for whom, and answers which are ready. It receives nothing and has no part in fairness: the order
// is decided above it (wake.cc, kept-rows.h). A build has one backend, so a call costs no indirection; epoll.cc is it.
//
// What fits: an interface that reports readiness as long as it lasts (level-triggered), keeps 64 bits of ours with each
// descriptor, and has a descriptor that is readable while something is ready, for the event loop to watch.
// kqueue(2) has all three. What does not fit: an interface of completions, as io_uring, which receives by itself. Its seam
// would be CollectEvents (poller.h) and the calls of send(2). docs/decisions/0025 has the rest of what another system needs.
#pragma once

#include <cstdint>

namespace roost {

// What is asked for, as in src/constants.ts. The two may be added; 0 is a pause.
constexpr int kInterestReadable = 1;
constexpr int kInterestWritable = 2;

// For whom something is reported: a row, or another descriptor.
struct Target {
  // -1 for a descriptor.
  int32_t slot;
  // The generation that the row was watched for, or the id of the descriptor.
  int32_t tag;

  static Target Row(int32_t slot, int32_t generation) { return {slot, generation}; }
  static Target Descriptor(int32_t id) { return {-1, id}; }
  bool IsRow() const { return slot >= 0; }
};

// One target that is ready. All are false for a pause that the peer's FIN has ended.
struct Readiness {
  Target target;
  bool readable;
  bool writable;
  // These two are reported whatever was asked for. RST, or FIN in both directions.
  bool hangup;
  // SO_ERROR is set.
  bool error;

  bool failed() const { return hangup || error; }
};

// How the kernel reports it: the backend's own.
struct KernelEvent;

class Backend {
 public:
  // Opens an empty set, close-on-exec, with room for `max_events` reports. Answers the name of the call that failed, with
  // errno set and nothing open, or null.
  const char* Open(int32_t max_events);
  // Closes the set and none of its descriptors. May be repeated.
  void Close();
  // The descriptor of the set itself, readable while something is ready.
  int fd() const { return fd_; }

  // One system call each; 0 or -errno. Add: -EEXIST when it is in the set. The other two: -ENOENT when it is not. With
  // an interest of 0 the end is reported once, FIN or failure, and nothing more until the next Modify.
  int Add(int fd, Target target, int interest);
  int Modify(int fd, Target target, int interest);
  int Remove(int fd);

  // Which are ready now, without waiting: at most `count`, which is from 1 to max_events, and no target twice. How many, or
  // -errno; after -EINTR the set is still readable.
  int Wait(Readiness* ready, int32_t count);

 private:
  int fd_ = -1;
  KernelEvent* events_ = nullptr;
};

}  // namespace roost
