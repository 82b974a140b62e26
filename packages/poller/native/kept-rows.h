// Ready rows that are not served yet: a list through the slots, first in first out. Each slot is in it at most once,
// so it is bounded by the table and every operation is O(1). Its pages are touched only by slots that were ever in it.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace roost {

class KeptRows {
 public:
  bool Allocate(int32_t slot_count) {
    links_ = static_cast<Link*>(std::calloc(static_cast<size_t>(slot_count), sizeof(Link)));
    return links_ != nullptr;
  }
  void Free() {
    std::free(links_);
    links_ = nullptr;
  }

  int32_t count() const { return count_; }
  bool Has(int32_t slot) const { return links_[slot].listed; }

  void Push(int32_t slot, int32_t generation) {
    links_[slot] = {last_, kNone, generation, true};
    (last_ == kNone ? first_ : links_[last_].next) = slot;
    last_ = slot;
    count_++;
  }

  // Only when count() > 0.
  int32_t Pop(int32_t* generation) {
    int32_t slot = first_;
    *generation = links_[slot].generation;
    Remove(slot);
    return slot;
  }

  void Remove(int32_t slot) {
    Link& link = links_[slot];
    if (!link.listed) return;
    (link.previous == kNone ? first_ : links_[link.previous].next) = link.next;
    (link.next == kNone ? last_ : links_[link.next].previous) = link.previous;
    link.listed = false;
    count_--;
  }

 private:
  static constexpr int32_t kNone = -1;
  struct Link {
    int32_t previous;
    int32_t next;
    int32_t generation;
    bool listed;
  };
  Link* links_ = nullptr;
  int32_t first_ = kNone;
  int32_t last_ = kNone;
  int32_t count_ = 0;
};

}  // namespace roost
