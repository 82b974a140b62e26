// Bytes that travel as a descriptor: memfd_create(2), sealed (fcntl(2), F_ADD_SEALS), so that whoever is given it knows that
// nobody can change it any more; read with pread(2), never mapped. On the calling thread; the descriptors are the caller's,
// close-on-exec. Calls answer a value, or -errno.
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace roost {
namespace {

constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

napi_value MakeSealedFile(napi_env env, napi_callback_info info) {
  Arguments<1> arguments;
  Span<uint8_t> bytes;
  if (!arguments.Read(env, info) || !ReadUint8Array(env, arguments.values[0], "bytes", &bytes)) return nullptr;
  int fd = memfd_create("roost", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return Number(env, -errno);
  int error = 0;
  for (size_t at = 0; at < bytes.length && error == 0;) {
    ssize_t written = write(fd, bytes.data + at, bytes.length - at);
    if (written > 0) {
      at += static_cast<size_t>(written);
    } else if (written == 0) {
      error = EIO;
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (error == 0 && fcntl(fd, F_ADD_SEALS, kSeals) < 0) error = errno;
  if (error == 0) return Number(env, fd);
  close(fd);
  return Number(env, -error);
}

int SealedFileBytes(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0) return -errno;
  if ((seals & kSeals) != kSeals) return -EPERM;
  // Not fstat(2): its name has a version of a newer glibc than the binaries are built for.
  off_t size = lseek(fd, 0, SEEK_END);
  if (size < 0) return -errno;
  return size <= INT32_MAX ? static_cast<int>(size) : -EFBIG;
}

// From the beginning; answers how many bytes there were room for.
napi_value ReadSealedFile(napi_env env, napi_callback_info info) {
  Arguments<2> arguments;
  int32_t fd;
  Span<uint8_t> target;
  if (!arguments.Read(env, info) || !ReadDescriptor(env, arguments.values[0], &fd) ||
      !ReadUint8Array(env, arguments.values[1], "target", &target)) {
    return nullptr;
  }
  size_t at = 0;
  while (at < target.length) {
    ssize_t got = pread(fd, target.data + at, target.length - at, static_cast<off_t>(at));
    if (got == 0) break;
    if (got > 0) {
      at += static_cast<size_t>(got);
    } else if (errno != EINTR) {
      return Number(env, -errno);
    }
  }
  return Number(env, static_cast<int32_t>(at));
}

}  // namespace

bool DefineSealedFile(napi_env env, napi_value exports) {
  static constexpr Method kMethods[] = {
      {"makeSealedFile", MakeSealedFile},
      {"sealedFileBytes", OfDescriptor<SealedFileBytes>},
      {"readSealedFile", ReadSealedFile},
  };
  return DefineMethods(env, exports, kMethods);
}

}  // namespace roost
