// Implementation of tcp.h.
#include "tcp.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace phantom {
namespace {

constexpr uint32_t kDelayedAckMs = 40;
constexpr uint32_t kMaxRetransmitMs = 60'000;
// Of the server's FIN after ours, as net.ipv4.tcp_fin_timeout.
constexpr uint32_t kFinTimeoutMs = 60'000;
// As net.ipv4.tcp_syn_retries and something less than tcp_retries2.
constexpr uint8_t kMaxSynRetries = 6;
constexpr uint8_t kMaxRetries = 10;
constexpr uint8_t kRepeatedAcks = 3;
constexpr uint8_t kQuickAcks = 64;
constexpr uint32_t kWindow = 65'535;
// A new life of a pair of ports begins behind all that the last one sent (RFC 6191 asks for a later sequence number).
constexpr uint32_t kIsnStep = 128 * 1024;

}  // namespace

Tcp::Tcp(const TcpOptions& options, TcpHandlers* handlers) : options_(options), handlers_(handlers) {
  connections_.resize(options.capacity);
  free_count_ = options.capacity;
  free_last_ = options.capacity - 1;
  for (uint32_t id = 0; id < options.capacity; id++) {
    connections_[id].oldest = id + 1;
    // Spread, so that no two of them look alike.
    connections_[id].next = id * 2'654'435'761u;
  }
}

void Tcp::Advance(uint32_t now) {
  now_ = now;
  while (!delayed_.empty() && !Before(now, delayed_.front().due)) {
    uint32_t id = delayed_.front().id;
    delayed_.pop_front();
    // One that was sent meanwhile may have another waiting, which then comes a little early.
    if (IsOpen(id) && (connections_[id].flags & kAckDelayed) != 0) Acknowledge(id);
  }
  wheel_.Advance(now, [this](uint32_t id, uint32_t tick) { OnTimer(id, tick); });
}

int64_t Tcp::Open(uint32_t tag, const uint8_t* bytes, uint32_t length) {
  if (free_count_ == 0) return -1;
  uint32_t id = free_first_;
  Connection& c = connections_[id];
  free_first_ = c.oldest;
  free_count_--;
  uint32_t isn = c.next + kIsnStep;
  uint32_t entry = c.entry;
  c = Connection{};
  c.entry = entry;
  c.oldest = isn;
  c.next = isn + 1;
  c.recover = isn;
  c.tag = tag;
  c.state = kSynSent;
  if (length > 0) BuffersOf(c).outbound.assign(bytes, bytes + length);
  Emit(id, isn, kSyn);
  ArmRetransmission(id);
  return id;
}

bool Tcp::Send(uint32_t id, const uint8_t* bytes, uint32_t length) {
  if (!IsOpen(id) || (connections_[id].flags & (kShutDown | kDetached)) != 0) return false;
  Connection& c = connections_[id];
  std::vector<uint8_t>& outbound = BuffersOf(c).outbound;
  outbound.insert(outbound.end(), bytes, bytes + length);
  Transmit(id);
  return true;
}

void Tcp::ShutDown(uint32_t id) {
  if (!IsOpen(id) || (connections_[id].flags & kShutDown) != 0) return;
  connections_[id].flags |= kShutDown;
  Transmit(id);
}

void Tcp::Close(uint32_t id) {
  if (id >= connections_.size()) return;
  Connection& c = connections_[id];
  if (c.state == kSynSent) {
    // A server that answers gets a reset.
    Release(id, kFree);
    return;
  }
  if (c.state != kOpen || (c.flags & kDetached) != 0) return;
  if (c.buffers != 0 && !BuffersOf(c).inbound.empty()) {
    // As Linux: who closes without having read says that something is lost.
    Reset(id);
    return;
  }
  c.flags |= kDetached;
  if ((c.flags & kShutDown) == 0) ShutDown(id);
  FinishIfDone(id);
}

void Tcp::Reset(uint32_t id) {
  if (!IsOpen(id)) return;
  Emit(id, connections_[id].next, kRst | kAck);
  Release(id, kFree);
}

void Tcp::Pause(uint32_t id) {
  if (IsOpen(id)) connections_[id].flags |= kPaused;
}

void Tcp::Resume(uint32_t id) {
  if (!IsOpen(id) || (connections_[id].flags & kPaused) == 0) return;
  Connection& c = connections_[id];
  c.flags &= static_cast<uint8_t>(~kPaused);
  if (c.buffers == 0 || BuffersOf(c).inbound.empty()) return;
  std::vector<uint8_t> inbound;
  inbound.swap(BuffersOf(c).inbound);
  FreeBuffersIfEmpty(c);
  // The window is open again.
  Acknowledge(id);
  handlers_->OnData(c.tag, inbound.data(), static_cast<uint32_t>(inbound.size()));
}

uint32_t Tcp::unacknowledged(uint32_t id) const {
  return id < connections_.size() && connections_[id].state != kFree ? OutboundBytes(connections_[id]) : 0;
}

// --- what is sent -----------------------------------------------------------------------------------------------------

uint32_t Tcp::InFlight(const Connection& c) const {
  return c.next - c.oldest - ((c.flags & kFinSent) != 0 ? 1 : 0);
}

uint32_t Tcp::OutboundBytes(const Connection& c) const {
  if (c.buffers == 0) return 0;
  const Buffers& buffers = *buffers_[c.buffers - 1];
  return static_cast<uint32_t>(buffers.outbound.size() - buffers.acknowledged);
}

const uint8_t* Tcp::OutboundOf(const Connection& c) const {
  const Buffers& buffers = *buffers_[c.buffers - 1];
  return buffers.outbound.data() + buffers.acknowledged;
}

void Tcp::DropOutbound(Connection& c, uint32_t bytes) {
  Buffers& buffers = *buffers_[c.buffers - 1];
  buffers.acknowledged += bytes;
  if (buffers.acknowledged * 2 < buffers.outbound.size()) return;
  buffers.outbound.erase(buffers.outbound.begin(),
                         buffers.outbound.begin() + static_cast<std::ptrdiff_t>(buffers.acknowledged));
  buffers.acknowledged = 0;
  FreeBuffersIfEmpty(c);
}

uint16_t Tcp::ReceiveWindow(const Connection& c) const {
  size_t kept = c.buffers == 0 ? 0 : buffers_[c.buffers - 1]->inbound.size();
  return static_cast<uint16_t>(kWindow - std::min<size_t>(kept, kWindow));
}

Tcp::Buffers& Tcp::BuffersOf(Connection& c) {
  if (c.buffers == 0) {
    if (free_buffers_.empty()) {
      buffers_.push_back(std::make_unique<Buffers>());
      free_buffers_.push_back(static_cast<uint32_t>(buffers_.size() - 1));
    }
    c.buffers = free_buffers_.back() + 1;
    free_buffers_.pop_back();
  }
  return *buffers_[c.buffers - 1];
}

void Tcp::FreeBuffersIfEmpty(Connection& c) {
  if (c.buffers == 0) return;
  Buffers& buffers = *buffers_[c.buffers - 1];
  if (!buffers.outbound.empty() || !buffers.inbound.empty() || !buffers.early.empty()) return;
  // What a large message needed is not kept for the next.
  if (buffers.outbound.capacity() > 4096) std::vector<uint8_t>().swap(buffers.outbound);
  if (buffers.inbound.capacity() > 4096) std::vector<uint8_t>().swap(buffers.inbound);
  free_buffers_.push_back(c.buffers - 1);
  c.buffers = 0;
}

void Tcp::Emit(uint32_t id, uint32_t sequence, uint8_t flags, const uint8_t* data, uint32_t length) {
  Connection& c = connections_[id];
  Segment segment;
  segment.source = options_.first_address + id / kPortsPerAddress;
  segment.destination = options_.server;
  segment.source_port = static_cast<uint16_t>(kFirstPort + id % kPortsPerAddress);
  segment.destination_port = options_.port;
  segment.sequence = sequence;
  segment.acknowledgement = (flags & kAck) != 0 ? c.expected : 0;
  segment.flags = flags;
  segment.window = ReceiveWindow(c);
  segment.data = data;
  segment.length = length;
  if ((flags & kAck) != 0) c.flags &= static_cast<uint8_t>(~kAckDelayed);
  handlers_->OnSegment(segment);
}

// Nobody is there (RFC 9293 §3.10.7.1).
void Tcp::AnswerStray(const Segment& segment) {
  counters_.stray++;
  if ((segment.flags & kRst) != 0) return;
  Segment reset;
  reset.source = segment.destination;
  reset.destination = segment.source;
  reset.source_port = segment.destination_port;
  reset.destination_port = segment.source_port;
  if ((segment.flags & kAck) != 0) {
    reset.sequence = segment.acknowledgement;
    reset.flags = kRst;
  } else {
    uint32_t controls = ((segment.flags & kSyn) != 0 ? 1u : 0u) + ((segment.flags & kFin) != 0 ? 1u : 0u);
    reset.acknowledgement = segment.sequence + segment.length + controls;
    reset.flags = kRst | kAck;
  }
  handlers_->OnSegment(reset);
}

// Sends what the window lets.
void Tcp::Transmit(uint32_t id) {
  Connection& c = connections_[id];
  if (c.state != kOpen || (c.flags & kFinSent) != 0) return;
  uint32_t total = OutboundBytes(c);
  for (;;) {
    uint32_t sent = c.next - c.oldest;
    uint32_t room = c.window > sent ? c.window - sent : 0;
    uint32_t length = std::min({total - sent, room, mss_});
    if (length == 0) break;
    bool is_last = sent + length == total;
    bool has_fin = is_last && (c.flags & kShutDown) != 0;
    uint8_t flags = static_cast<uint8_t>(kAck | (is_last ? kPsh : 0) | (has_fin ? kFin : 0));
    uint32_t sequence = c.next;
    c.next += length + (has_fin ? 1 : 0);
    if (has_fin) c.flags |= kFinSent;
    Emit(id, sequence, flags, OutboundOf(c) + sent, length);
    if (has_fin) break;
  }
  if ((c.flags & (kShutDown | kFinSent)) == kShutDown && c.next - c.oldest == total) {
    c.flags |= kFinSent;
    Emit(id, c.next++, kFin | kAck);
  }
  // Also where nothing could be sent: the server may have forgotten to say that its window is open.
  if (c.due == 0 && (c.next != c.oldest || total > 0)) ArmRetransmission(id);
}

// Sends the oldest again: as much of the bytes as fits, the FIN, or the SYN. Without any, one byte asks for a window.
void Tcp::Retransmit(uint32_t id) {
  Connection& c = connections_[id];
  counters_.resent++;
  if (c.state == kSynSent) {
    Emit(id, c.oldest, kSyn);
    return;
  }
  uint32_t in_flight = InFlight(c);
  uint32_t total = OutboundBytes(c);
  if (in_flight == 0 && total == 0) {
    Emit(id, c.oldest, kFin | kAck);
    return;
  }
  if (in_flight == 0) {
    c.next++;
    in_flight = 1;
  }
  uint32_t length = std::min(in_flight, mss_);
  // Also into a window that has closed since: the server takes what it can, and says what it has.
  bool has_fin = (c.flags & kFinSent) != 0 && length == in_flight;
  uint8_t flags = static_cast<uint8_t>(kAck | kPsh | (has_fin ? kFin : 0));
  Emit(id, c.oldest, flags, OutboundOf(c), length);
}

// --- timers -----------------------------------------------------------------------------------------------------------

void Tcp::Arm(uint32_t id, uint32_t ms) {
  Connection& c = connections_[id];
  c.due = std::max(now_ + std::max(ms / kTickMs, 1u), 1u);
  // An entry that comes earlier is put back then; one that comes later counts no more.
  if (c.entry != 0 && !Before(c.due, c.entry)) return;
  c.entry = c.due;
  wheel_.Add(id, c.due);
}

void Tcp::ArmRetransmission(uint32_t id) {
  uint64_t ms = static_cast<uint64_t>(options_.retransmit_ms) << connections_[id].retries;
  Arm(id, static_cast<uint32_t>(std::min<uint64_t>(ms, kMaxRetransmitMs)));
}

void Tcp::OnTimer(uint32_t id, uint32_t tick) {
  Connection& c = connections_[id];
  if (c.entry != tick) return;
  c.entry = 0;
  if (c.due == 0 || (c.state != kSynSent && c.state != kOpen)) return;
  if (Before(now_, c.due)) {
    c.entry = c.due;
    wheel_.Add(id, c.due);
    return;
  }
  c.due = 0;
  if (c.state == kOpen && c.oldest == c.next && OutboundBytes(c) == 0) {
    // Our FIN was acknowledged, and the server's has not come.
    Release(id, kClosed);
    return;
  }
  if (c.retries >= (c.state == kSynSent ? kMaxSynRetries : kMaxRetries)) {
    Fail(id, ETIMEDOUT);
    return;
  }
  c.retries++;
  c.recover = c.next;
  Retransmit(id);
  ArmRetransmission(id);
}

// --- what comes -------------------------------------------------------------------------------------------------------

void Tcp::Receive(const Segment& segment) {
  uint32_t row = segment.destination - options_.first_address;
  uint32_t port = static_cast<uint32_t>(segment.destination_port) - kFirstPort;
  uint64_t index = uint64_t{row} * kPortsPerAddress + port;
  bool is_ours = segment.source == options_.server && segment.source_port == options_.port && port < kPortsPerAddress &&
                 index < connections_.size();
  if (!is_ours) return AnswerStray(segment);
  uint32_t id = static_cast<uint32_t>(index);
  Connection& c = connections_[id];
  if (c.state == kFree) return AnswerStray(segment);
  if (c.state == kSynSent) return ReceiveAnswer(id, segment);
  if (c.state == kClosed) {
    // Our last acknowledgement was lost.
    if ((segment.flags & (kFin | kRst)) == kFin) Acknowledge(id);
    return;
  }
  if ((segment.flags & kRst) != 0) {
    // TIME-WAIT in all but name: both ends are done, and the server has forgotten what a late packet was about.
    if ((c.flags & (kFinSent | kFinReceived)) == (kFinSent | kFinReceived) && c.oldest == c.next) return;
    // RFC 5961 §3.2.
    if (segment.sequence == c.expected) Fail(id, ECONNRESET);
    else if (segment.sequence - c.expected < ReceiveWindow(c)) Acknowledge(id);
    return;
  }
  // A SYN+ACK that came again, most likely (RFC 5961 §4.2).
  if ((segment.flags & kSyn) != 0) return Acknowledge(id);
  if ((segment.flags & kAck) == 0) return;
  uint32_t end = segment.sequence + segment.length + ((segment.flags & kFin) != 0 ? 1 : 0);
  if (Before(segment.sequence, c.expected) && !Before(c.expected, end)) {
    // Nothing of it is new, or it is a probe.
    counters_.repeated++;
    return Acknowledge(id);
  }
  if (!TakeAcknowledgement(id, segment)) return;
  if (segment.sequence != c.expected && Before(c.expected, segment.sequence)) {
    KeepEarly(id, segment);
    return Acknowledge(id);
  }
  uint32_t known = c.expected - segment.sequence;
  if ((c.flags & kFinReceived) != 0) return;
  bool has_data = segment.length > known;
  if (has_data) {
    TakeData(id, segment.data + known, segment.length - known);
    TakeEarly(id);
    if (c.state != kOpen) return;
  }
  if ((segment.flags & kFin) != 0 && c.expected == end - 1) TakeFin(id);
  else if (has_data) AcknowledgeData(id);
}

// In SYN-SENT (RFC 9293 §3.10.7.3). Servers do not open connections: a SYN without ACK is not for us.
void Tcp::ReceiveAnswer(uint32_t id, const Segment& segment) {
  Connection& c = connections_[id];
  if ((segment.flags & kAck) == 0) return;
  if (segment.acknowledgement != c.next) return AnswerStray(segment);
  if ((segment.flags & kRst) != 0) return Fail(id, ECONNREFUSED);
  if ((segment.flags & kSyn) == 0) return;
  c.state = kOpen;
  c.expected = segment.sequence + 1;
  c.oldest = c.recover = segment.acknowledgement;
  c.window = segment.window;
  c.retries = 0;
  c.due = 0;
  if (segment.mss > 0) mss_ = std::min<uint32_t>(mss_, segment.mss);
  Transmit(id);
  // No bytes carry it: there are none, or the window has no room.
  if (c.next == c.oldest) Acknowledge(id);
}

// Takes the fields of acknowledgement and window. False: the rest of the segment is not to be looked at.
bool Tcp::TakeAcknowledgement(uint32_t id, const Segment& segment) {
  Connection& c = connections_[id];
  uint32_t acknowledged = segment.acknowledgement - c.oldest;
  if (acknowledged > c.next - c.oldest) {
    // Of something that was never sent; an old one is no news.
    if (Before(c.next, segment.acknowledgement)) {
      Acknowledge(id);
      return false;
    }
    return true;
  }
  if (acknowledged > 0) {
    uint32_t bytes = std::min(acknowledged, OutboundBytes(c));
    if (bytes > 0) DropOutbound(c, bytes);
    c.oldest = segment.acknowledgement;
    c.window = segment.window;
    c.retries = 0;
    c.repeated_acks = 0;
    c.due = 0;
    if (c.oldest != c.next) {
      if (Before(c.oldest, c.recover)) Retransmit(id);
      ArmRetransmission(id);
    }
    Transmit(id);
    FinishIfDone(id);
    return connections_[id].state == kOpen;
  }
  bool is_update = segment.window != c.window && segment.sequence == c.expected;
  bool was_closed = c.window == 0;
  if (is_update) c.window = segment.window;
  if (c.oldest != c.next && segment.length == 0 && !is_update && (segment.flags & kFin) == 0) {
    if (++c.repeated_acks == kRepeatedAcks && !Before(c.oldest, c.recover)) {
      c.recover = c.next;
      Retransmit(id);
    }
  }
  // A server that answers with a closed window is alive, and is asked for as long as it does (RFC 9293 §3.8.6.1).
  if (c.window == 0 && c.retries == kMaxRetries) c.retries--;
  // Without anything under way the timer, if there is one, waits for the server's FIN.
  if (is_update && c.window > 0 && (c.oldest != c.next || OutboundBytes(c) > 0)) {
    c.retries = 0;
    // The byte that asked for room was not taken.
    if (was_closed && c.oldest != c.next) Retransmit(id);
    ArmRetransmission(id);
    Transmit(id);
  }
  return true;
}

void Tcp::TakeData(uint32_t id, const uint8_t* data, uint32_t length) {
  Connection& c = connections_[id];
  if ((c.flags & kDetached) != 0) {
    // As Linux: bytes for nobody.
    Reset(id);
    return;
  }
  if ((c.flags & kPaused) != 0) {
    uint32_t room = ReceiveWindow(c);
    uint32_t kept = std::min(length, room);
    std::vector<uint8_t>& inbound = BuffersOf(c).inbound;
    inbound.insert(inbound.end(), data, data + kept);
    FreeBuffersIfEmpty(c);
    c.expected += kept;
    return;
  }
  c.expected += length;
  handlers_->OnData(c.tag, data, length);
}

// Once for all that a segment has brought, with what waited behind it: to a server without timestamps an acknowledgement of each
// would be a measurement, of how long those were under way that have waited.
void Tcp::AcknowledgeData(uint32_t id) {
  Connection& c = connections_[id];
  if ((c.flags & (kAckDelayed | kPaused)) != 0 || c.quick_acks > 0) {
    if (c.quick_acks > 0) c.quick_acks--;
    return Acknowledge(id);
  }
  c.flags |= kAckDelayed;
  delayed_.push_back({id, now_ + kDelayedAckMs / kTickMs});
}

// Its FIN is not kept: the server sends that again.
void Tcp::KeepEarly(uint32_t id, const Segment& segment) {
  Connection& c = connections_[id];
  counters_.early++;
  c.quick_acks = kQuickAcks;
  uint32_t end = segment.sequence - c.expected + segment.length;
  if (segment.length == 0 || end > ReceiveWindow(c) || (c.flags & (kDetached | kFinReceived)) != 0) return;
  std::vector<Early>& early = BuffersOf(c).early;
  if (early.size() == kMaxEarly) return;
  for (const Early& one : early) {
    if (one.sequence == segment.sequence) return;
  }
  early.push_back({segment.sequence, {segment.data, segment.data + segment.length}});
}

void Tcp::TakeEarly(uint32_t id) {
  Connection& c = connections_[id];
  if (c.state != kOpen || c.buffers == 0) return;
  std::vector<Early>& early = BuffersOf(c).early;
  for (size_t index = 0; index < early.size();) {
    if (Before(c.expected, early[index].sequence)) {
      index++;
      continue;
    }
    Early one = std::move(early[index]);
    early.erase(early.begin() + static_cast<std::ptrdiff_t>(index));
    uint32_t known = c.expected - one.sequence;
    uint32_t length = static_cast<uint32_t>(one.bytes.size());
    if (known < length) TakeData(id, one.bytes.data() + known, length - known);
    // One that was behind it may be next.
    index = 0;
  }
  FreeBuffersIfEmpty(c);
}

void Tcp::TakeFin(uint32_t id) {
  Connection& c = connections_[id];
  c.expected++;
  c.flags |= kFinReceived;
  Acknowledge(id);
  if ((c.flags & kDetached) == 0) handlers_->OnEnd(c.tag);
  FinishIfDone(id);
}

void Tcp::FinishIfDone(uint32_t id) {
  Connection& c = connections_[id];
  bool is_acknowledged = (c.flags & kFinSent) != 0 && c.oldest == c.next;
  if (c.state != kOpen || !is_acknowledged) return;
  if ((c.flags & kFinReceived) != 0) {
    // Its owner still has to close it, where only the bytes have ended.
    if ((c.flags & kDetached) != 0) Release(id, kClosed);
  } else if ((c.flags & kDetached) != 0 && c.due == 0) {
    Arm(id, kFinTimeoutMs);
  }
}

void Tcp::Release(uint32_t id, State state) {
  Connection& c = connections_[id];
  if (c.buffers != 0) {
    buffers_[c.buffers - 1]->outbound.clear();
    buffers_[c.buffers - 1]->acknowledged = 0;
    buffers_[c.buffers - 1]->inbound.clear();
    buffers_[c.buffers - 1]->early.clear();
    FreeBuffersIfEmpty(c);
  }
  c.state = state;
  c.due = 0;
  if (free_count_++ == 0) free_first_ = id;
  else connections_[free_last_].oldest = id;
  free_last_ = id;
}

void Tcp::Fail(uint32_t id, int error) {
  Connection& c = connections_[id];
  uint32_t tag = c.tag;
  bool is_told = (c.flags & kDetached) == 0;
  Release(id, kFree);
  if (is_told) handlers_->OnError(tag, error);
}

}  // namespace phantom
