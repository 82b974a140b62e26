// The clients' end of many TCP connections to one server (RFC 9293): segments and calls in, segments and events out. Pure:
// no system call, no clock; the owner says what time it is. A connection that has nothing under way is 40 bytes.
//
// What is left out, because a link to the same machine loses nothing unless it is asked to: congestion control, window scaling,
// timestamps and selective acknowledgements. What is lost is sent again after the retransmission time, doubled each time, or
// after three acknowledgements that repeat themselves (RFC 5681 §3.2, RFC 6582). Acknowledgements wait for 40 ms or a second segment.
#pragma once

#include "segment.h"
#include "timer-wheel.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace phantom {

constexpr uint32_t kTickMs = 10;
constexpr uint32_t kPortsPerAddress = 60'000;
constexpr uint16_t kFirstPort = 2048;

// What the owner of the connections is told, from within the calls of Tcp. `tag` is what Open was given.
class TcpHandlers {
 public:
  virtual ~TcpHandlers() = default;
  virtual void OnSegment(const Segment& segment) = 0;
  // The bytes are valid until it returns.
  virtual void OnData(uint32_t tag, const uint8_t* bytes, uint32_t length) = 0;
  // The server sends nothing more; the connection is to be closed, and may still send.
  virtual void OnEnd(uint32_t tag) = 0;
  // The connection is gone: ECONNREFUSED, ECONNRESET, ETIMEDOUT.
  virtual void OnError(uint32_t tag, int error) = 0;
};

struct TcpOptions {
  uint32_t server = 0;
  uint16_t port = 0;
  // Connection 0 has this address and kFirstPort.
  uint32_t first_address = 0;
  uint32_t capacity = 0;
  // The first retransmission time.
  uint32_t retransmit_ms = 1000;
};

struct TcpCounters {
  // Segments that were sent again.
  uint64_t resent = 0;
  // That came again, or too early.
  uint64_t repeated = 0;
  uint64_t early = 0;
  // That belong to no connection.
  uint64_t stray = 0;
};

class Tcp {
 public:
  // Segments that are kept behind a gap, of one connection.
  static constexpr size_t kMaxEarly = 128;

  Tcp(const TcpOptions& options, TcpHandlers* handlers);

  // In ticks since the start; goes forward only.
  void Advance(uint32_t now);
  // A timer, or an acknowledgement, waits for a later tick.
  bool HasTimers() const { return !wheel_.empty() || !delayed_.empty(); }

  // Begins to connect; `bytes` are sent as soon as the server has answered. An id, or -1 when each has a connection.
  int64_t Open(uint32_t tag, const uint8_t* bytes, uint32_t length);
  // False: the server has not answered yet, the connection is gone, or it was shut down.
  bool Send(uint32_t id, const uint8_t* bytes, uint32_t length);
  // Nothing is sent any more after what was; the server may go on.
  void ShutDown(uint32_t id);
  // As close(2): nothing is told any more, and what the server still sends is answered by a reset. The only one of these calls that
  // does something before the server has answered.
  void Close(uint32_t id);
  void Reset(uint32_t id);
  // Keeps what comes, until the window is full.
  void Pause(uint32_t id);
  void Resume(uint32_t id);

  void Receive(const Segment& segment);

  const TcpCounters& counters() const { return counters_; }
  // Bytes that were sent and not acknowledged, or wait for the window.
  uint32_t unacknowledged(uint32_t id) const;

 private:
  // `kClosed` may be given out again, and answers a FIN that comes once more, as TIME-WAIT does.
  enum State : uint8_t { kFree, kSynSent, kOpen, kClosed };
  enum Flag : uint8_t {
    kAckDelayed = 1,
    kPaused = 2,
    kShutDown = 4,   // The FIN is to follow the bytes.
    kFinSent = 8,
    kFinReceived = 16,
    kDetached = 32,  // Closed by its owner.
  };

  struct Connection {
    // The oldest sequence number that is not acknowledged; of a free one the next in the list of free ones.
    uint32_t oldest = 0;
    uint32_t next = 0;
    uint32_t expected = 0;
    // Until this is acknowledged each partial acknowledgement asks for the next lost segment.
    uint32_t recover = 0;
    uint32_t tag = 0;
    // Tick of the timer; 0: none.
    uint32_t due = 0;
    // Tick of its entry in the wheel that counts; 0: none. It outlives the connection.
    uint32_t entry = 0;
    // Index of its buffers and 1; 0: none.
    uint32_t buffers = 0;
    uint16_t window = 0;
    State state = kFree;
    uint8_t flags = 0;
    uint8_t retries = 0;
    uint8_t repeated_acks = 0;
    // Segments to be acknowledged at once, after one that came too early (RFC 5681 §4.2).
    uint8_t quick_acks = 0;
  };
  struct Early {
    uint32_t sequence;
    std::vector<uint8_t> bytes;
  };
  // For the few that have something under way.
  struct Buffers {
    // Behind `acknowledged` bytes that the server has; they are removed when they are the larger part.
    std::vector<uint8_t> outbound;
    size_t acknowledged = 0;
    std::vector<uint8_t> inbound;
    // Behind a gap; within the window.
    std::vector<Early> early;
  };

  bool IsOpen(uint32_t id) const { return id < connections_.size() && connections_[id].state == kOpen; }
  uint32_t InFlight(const Connection& c) const;
  uint32_t OutboundBytes(const Connection& c) const;
  uint16_t ReceiveWindow(const Connection& c) const;
  const uint8_t* OutboundOf(const Connection& c) const;
  void DropOutbound(Connection& c, uint32_t bytes);
  Buffers& BuffersOf(Connection& c);
  void FreeBuffersIfEmpty(Connection& c);

  void Emit(uint32_t id, uint32_t sequence, uint8_t flags, const uint8_t* data = nullptr, uint32_t length = 0);
  void Acknowledge(uint32_t id) { Emit(id, connections_[id].next, kAck); }
  void AnswerStray(const Segment& segment);
  void Transmit(uint32_t id);
  void Retransmit(uint32_t id);
  void Arm(uint32_t id, uint32_t ms);
  void ArmRetransmission(uint32_t id);
  void OnTimer(uint32_t id, uint32_t tick);

  void ReceiveAnswer(uint32_t id, const Segment& segment);
  bool TakeAcknowledgement(uint32_t id, const Segment& segment);
  void TakeData(uint32_t id, const uint8_t* data, uint32_t length);
  void KeepEarly(uint32_t id, const Segment& segment);
  void TakeEarly(uint32_t id);
  void AcknowledgeData(uint32_t id);
  void TakeFin(uint32_t id);
  void FinishIfDone(uint32_t id);
  void Release(uint32_t id, State state);
  void Fail(uint32_t id, int error);

  TcpOptions options_;
  TcpHandlers* handlers_;
  std::vector<Connection> connections_;
  std::vector<std::unique_ptr<Buffers>> buffers_;
  std::vector<uint32_t> free_buffers_;
  // Ids to give out, those that were released first in front: a pair of ports rests as long as it can.
  uint32_t free_first_ = 0;
  uint32_t free_last_ = 0;
  uint32_t free_count_ = 0;
  TimerWheel wheel_;
  struct Delayed {
    uint32_t id;
    uint32_t due;
  };
  std::deque<Delayed> delayed_;
  uint32_t now_ = 0;
  uint32_t mss_ = kMss;
  TcpCounters counters_;
};

}  // namespace phantom
