// The calling thread and its process: sched_setaffinity(2), prctl(2), malloc_trim(3). Touches no descriptor; what the
// first two set outlives the environment, and they answer 0 or -errno.
#include "check.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <cerrno>
#include <csignal>

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

}  // namespace

bool DefineProcess(napi_env env, napi_value exports) {
  static constexpr Method kMethods[] = {
      {"pinThread", PinThread},
      {"signalOnParentDeath", SignalOnParentDeath},
      {"trimMemory", TrimMemory},
  };
  return DefineMethods(env, exports, kMethods);
}

}  // namespace roost
