// One message to many rows: send(2) in a loop, on the environment's thread. src/broadcast-walk.ts says what a walk does;
// this is the walk. Descriptors are only sent to, and the bytes are the caller's. Broadcast answers the index at which to
// go on; wrong arguments, or a poller that was destroyed, throw before anything is sent.
#include "poller.h"

#include <cerrno>

namespace roost {
namespace {

// As in src/constants.ts and src/broadcast-walk.ts.
constexpr int kSkipped = -100000;
constexpr size_t kExceptions = 0;
constexpr size_t kWhole = 1;
constexpr size_t kFirstPair = 2;
constexpr size_t kPairElements = 2;

// The number of a row's form has at most four bits.
constexpr uint32_t kMaxForms = 16;

// The forms are the last arguments, since to read an element of a JavaScript array costs several times more.
constexpr size_t kFirstForm = 7;
constexpr size_t kMaxArguments = kFirstForm + kMaxForms;

// Reading the clock costs about as much as a hundredth of a send; 32 sends last well under a millisecond.
constexpr int kSendsPerClockRead = 32;

struct Walk {
  Span<int32_t> members;
  int32_t from, to;
  int32_t budget_micros;
  Span<int32_t> results;
  int32_t except_slot;
  uint32_t form_mask;
  int form_shift;
  Span<uint8_t> forms[kMaxForms];

  const Span<uint8_t>& FormFor(uint16_t flags) const { return forms[(flags & form_mask) >> form_shift]; }
};

// How many forms the mask asks for.
bool ReadFormMask(napi_env env, napi_value value, Walk* walk, uint32_t* count) {
  int32_t mask;
  if (!ReadInteger(env, value, "formMask", 0, UINT16_MAX, &mask)) return false;
  walk->form_mask = static_cast<uint32_t>(mask);
  walk->form_shift = mask == 0 ? 0 : __builtin_ctz(walk->form_mask);
  uint32_t highest = walk->form_mask >> walk->form_shift;
  if (highest >= kMaxForms || (highest & (highest + 1)) != 0) {
    ThrowTypeError(env, "formMask must be at most four neighbouring bits, got 0x%x", walk->form_mask);
    return false;
  }
  *count = highest + 1;
  return true;
}

bool ReadWalk(napi_env env, const napi_value (&values)[kMaxArguments], Walk* walk) {
  uint32_t form_count;
  if (!ReadInt32Array(env, values[0], "members", &walk->members) ||
      !ReadInteger(env, values[2], "to", 0, static_cast<int32_t>(walk->members.length), &walk->to) ||
      !ReadInteger(env, values[1], "from", 0, walk->to, &walk->from) ||
      !ReadInteger(env, values[3], "budgetMicros", 0, INT32_MAX, &walk->budget_micros) ||
      !ReadInt32Array(env, values[4], "results", &walk->results) ||
      !ReadFormMask(env, values[5], walk, &form_count) ||
      !ReadInteger(env, values[6], "exceptSlot", -1, INT32_MAX, &walk->except_slot)) {
    return false;
  }
  for (uint32_t i = 0; i < form_count; i++) {
    if (!ReadUint8Array(env, values[kFirstForm + i], "each of forms", &walk->forms[i])) return false;
  }
  if (walk->results.length >= kFirstPair + kPairElements) return true;
  ThrowTypeError(env, "results must have room for two counts and one pair, got %zu elements", walk->results.length);
  return false;
}

int32_t Run(Poller& p, const Walk& walk) {
  int64_t deadline = NowMicros() + walk.budget_micros;
  size_t max_exceptions = (walk.results.length - kFirstPair) / kPairElements;
  int32_t* pair = walk.results.data + kFirstPair;
  size_t exceptions = 0;
  int32_t whole = 0;
  int64_t bytes = 0;
  int32_t sends = 0;
  int32_t index = walk.from;
  // Room for an exception is made sure of before the send: what happened to a row must not be lost.
  while (index < walk.to && exceptions < max_exceptions) {
    int32_t slot = walk.members.data[index++];
    if (slot < 0 || slot == walk.except_slot) continue;
    ssize_t outcome;
    size_t length = 0;
    if (slot >= p.slot_count) {
      outcome = -EBADF;
    } else {
      const Span<uint8_t>& form = walk.FormFor(p.flags[slot]);
      length = form.length;
      if (length == 0) continue;
      if ((p.flags[slot] & p.sendable_mask) != p.sendable_value) {
        outcome = kSkipped;
      } else {
        outcome = SendBytes(p.fds[slot], form.data, length);
        sends++;
        if (outcome > 0) bytes += outcome;
      }
    }
    if (outcome >= 0 && static_cast<size_t>(outcome) == length) {
      whole++;
    } else {
      *pair++ = slot;
      *pair++ = static_cast<int32_t>(outcome);
      exceptions++;
    }
    if (sends == kSendsPerClockRead) {
      sends = 0;
      if (NowMicros() >= deadline) break;
    }
  }
  walk.results.data[kExceptions] = static_cast<int32_t>(exceptions);
  walk.results.data[kWhole] = whole;
  *p.sent_bytes += static_cast<double>(bytes);
  return index;
}

}  // namespace

napi_value Broadcast(napi_env env, napi_callback_info info) {
  Arguments<kMaxArguments> arguments;
  if (!arguments.Read(env, info)) return nullptr;
  Poller* p = OpenPoller(env, arguments.data);
  Walk walk;
  if (p == nullptr || !ReadWalk(env, arguments.values, &walk)) return nullptr;
  return Number(env, Run(*p, walk));
}

}  // namespace roost
