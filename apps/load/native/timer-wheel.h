// One timer for each of many connections, for the few that have one: a wheel of ticks, each with the ids that are due then.
#pragma once

#include <cstdint>
#include <vector>

namespace phantom {

class TimerWheel {
 public:
  // Longer times are not needed: the longest wait of TCP here is a minute.
  static constexpr uint32_t kTicks = 8192;

  // `due` is after the last tick that was taken, and less than kTicks from it.
  void Add(uint32_t id, uint32_t due) {
    slots_[due % kTicks].push_back(id);
    size_++;
  }

  // Goes on to the tick `now`, and calls back for each id on the way, with its tick. The callback may add ids. It is called when
  // the wheel has arrived, so that what is due soon after `now` is less than kTicks away, however long the wheel stood still.
  template <typename Callback>
  void Advance(uint32_t now, Callback callback) {
    while (tick_ != now) {
      std::vector<uint32_t>& slot = slots_[++tick_ % kTicks];
      for (uint32_t id : slot) taken_.push_back({id, tick_});
      slot.clear();
    }
    size_ -= taken_.size();
    for (const Taken& one : taken_) callback(one.id, one.tick);
    taken_.clear();
  }

  bool empty() const { return size_ == 0; }

 private:
  struct Taken {
    uint32_t id;
    uint32_t tick;
  };

  std::vector<uint32_t> slots_[kTicks];
  std::vector<Taken> taken_;
  uint64_t size_ = 0;
  uint32_t tick_ = 0;
};

}  // namespace phantom
