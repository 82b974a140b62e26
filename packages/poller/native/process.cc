// The calling thread and its process: sched_setaffinity(2), prctl(2), malloc_trim(3), madvise(2). Touches no descriptor;
// what the first two set outlives the environment, and they answer 0 or -errno.
#include "check.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <cerrno>
#include <csignal>
#include <cstdio>

namespace roost {
namespace {

// More than any kernel is configured for (CONFIG_NR_CPUS).
constexpr int32_t kMaxCpus = 16 * 1024;

napi_value PinThread(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  int32_t cpu;
  if (!arguments.Read(env, info) || !ReadInteger(env, arguments.values[0], "cpu", 0, kMaxCpus - 1, &cpu)) {
    return nullptr;
  }
  cpu_set_t* set = CPU_ALLOC(kMaxCpus);
  if (set == nullptr) return Number(env, -ENOMEM);
  size_t size = CPU_ALLOC_SIZE(kMaxCpus);
  CPU_ZERO_S(size, set);
  CPU_SET_S(static_cast<size_t>(cpu), size, set);
  int result = sched_setaffinity(0, size, set) == 0 ? 0 : -errno;
  CPU_FREE(set);
  return Number(env, result);
}

napi_value SignalOnParentDeath(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  int32_t signal;
  if (!arguments.Read(env, info) || !ReadInteger(env, arguments.values[0], "signal", 0, NSIG - 1, &signal)) {
    return nullptr;
  }
  return Number(env, prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(signal)) == 0 ? 0 : -errno);
}

napi_value TrimMemory(napi_env env, napi_callback_info info) {
  Arguments<0> arguments;
  if (!arguments.Read(env, info)) return nullptr;
#ifdef __GLIBC__
  return Number(env, malloc_trim(0));
#else
  // Other libraries give pages back by themselves, or have no call for it.
  return Number(env, 0);
#endif
}

// One mapping of /proc/self/smaps (proc(5)).
struct Mapping {
  unsigned long start = 0;
  unsigned long end = 0;
  unsigned long resident_kb = 0;
  // It belongs to a file and is not writable.
  bool is_constant = false;
  // Has pages that are not the file's: relocated ones, or a debugger's breakpoints. These exist nowhere else.
  bool is_changed = true;
};

// Takes a mapping out if all that it holds can be had from its file again. Answers kilobytes.
unsigned long Release(const Mapping& mapping) {
  if (!mapping.is_constant || mapping.is_changed || mapping.resident_kb == 0) return 0;
  void* start = reinterpret_cast<void*>(mapping.start);
  return madvise(start, mapping.end - mapping.start, MADV_DONTNEED) == 0 ? mapping.resident_kb : 0;
}

napi_value ReleaseFilePages(napi_env env, napi_callback_info info) {
  Arguments<0> arguments;
  if (!arguments.Read(env, info)) return nullptr;
  FILE* smaps = fopen("/proc/self/smaps", "re");
  if (smaps == nullptr) return Number(env, -errno);
  unsigned long released_kb = 0;
  Mapping mapping;
  char line[512];
  while (fgets(line, sizeof line, smaps) != nullptr) {
    unsigned long start, end, inode, kb;
    char access[5];
    if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %lu", &start, &end, access, &inode) == 4) {
      released_kb += Release(mapping);
      mapping = {start, end, 0, inode != 0 && access[1] == '-' && access[3] == 'p', true};
    } else if (sscanf(line, "Rss: %lu", &kb) == 1) {
      mapping.resident_kb = kb;
    } else if (sscanf(line, "Anonymous: %lu", &kb) == 1) {
      mapping.is_changed = kb != 0;
    }
  }
  released_kb += Release(mapping);
  fclose(smaps);
  return Number(env, static_cast<int32_t>(released_kb));
}

}  // namespace

bool DefineProcess(napi_env env, napi_value exports) {
  static constexpr Method kMethods[] = {
      {"pinThread", PinThread},
      {"signalOnParentDeath", SignalOnParentDeath},
      {"trimMemory", TrimMemory},
      {"releaseFilePages", ReleaseFilePages},
  };
  return DefineMethods(env, exports, kMethods);
}

}  // namespace roost
