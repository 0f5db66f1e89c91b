// SPDX-License-Identifier: MIT
//
// Errors inside the kernel: err_t is 0 or a negative number of the table below, whose values are Linux's (errno(3) and
// include/uapi/asm-generic of the Linux ABI), under names of our own so that the public header defines none. Functions that
// return err_t are declared must_check. Where an error is born write ERR(EINVAL), not -EINVAL: debug builds record the
// place as a trace point. Passing an error on is a plain return.
#ifndef KERN_ERR_H
#define KERN_ERR_H

#include "kern/compiler.h"

typedef tb_err err_t;

// X(name, number, text)
#define ERR_TABLE(X)                                                                                                   \
	X(EPERM, 1, "operation not permitted")                                                                         \
	X(ENOENT, 2, "no such file or directory")                                                                      \
	X(ESRCH, 3, "no such process")                                                                                 \
	X(EINTR, 4, "interrupted")                                                                                     \
	X(EIO, 5, "input/output error")                                                                                \
	X(ENXIO, 6, "no such device or address")                                                                       \
	X(E2BIG, 7, "argument list too long")                                                                          \
	X(ENOEXEC, 8, "not an executable")                                                                             \
	X(EBADF, 9, "bad descriptor")                                                                                  \
	X(ECHILD, 10, "no child processes")                                                                            \
	X(EAGAIN, 11, "try again")                                                                                     \
	X(ENOMEM, 12, "out of memory")                                                                                 \
	X(EACCES, 13, "permission denied")                                                                             \
	X(EFAULT, 14, "bad address")                                                                                   \
	X(ENOTBLK, 15, "block device required")                                                                        \
	X(EBUSY, 16, "busy")                                                                                           \
	X(EEXIST, 17, "exists already")                                                                                \
	X(EXDEV, 18, "crosses devices")                                                                                \
	X(ENODEV, 19, "no such device")                                                                                \
	X(ENOTDIR, 20, "not a directory")                                                                              \
	X(EISDIR, 21, "is a directory")                                                                                \
	X(EINVAL, 22, "invalid argument")                                                                              \
	X(ENFILE, 23, "too many open files in the system")                                                             \
	X(EMFILE, 24, "too many open files")                                                                           \
	X(ENOTTY, 25, "not a terminal")                                                                                \
	X(ETXTBSY, 26, "executable in use")                                                                            \
	X(EFBIG, 27, "file too large")                                                                                 \
	X(ENOSPC, 28, "no space left")                                                                                 \
	X(ESPIPE, 29, "illegal seek")                                                                                  \
	X(EROFS, 30, "read-only file system")                                                                          \
	X(EMLINK, 31, "too many links")                                                                                \
	X(EPIPE, 32, "broken pipe")                                                                                    \
	X(EDOM, 33, "argument out of domain")                                                                          \
	X(ERANGE, 34, "result out of range")                                                                           \
	X(EDEADLK, 35, "would deadlock")                                                                               \
	X(ENAMETOOLONG, 36, "name too long")                                                                           \
	X(ENOLCK, 37, "no locks available")                                                                            \
	X(ENOSYS, 38, "not implemented")                                                                               \
	X(ENOTEMPTY, 39, "not empty")                                                                                  \
	X(ELOOP, 40, "too many symbolic links")                                                                        \
	X(ENOMSG, 42, "no message of that kind")                                                                       \
	X(EIDRM, 43, "identifier removed")                                                                             \
	X(ENODATA, 61, "no data")                                                                                      \
	X(ETIME, 62, "timer expired")                                                                                  \
	X(EPROTO, 71, "protocol error")                                                                                \
	X(EBADMSG, 74, "bad message")                                                                                  \
	X(EOVERFLOW, 75, "value too large")                                                                            \
	X(EILSEQ, 84, "invalid byte sequence")                                                                         \
	X(EUSERS, 87, "too many users")                                                                                \
	X(ENOTSOCK, 88, "not a socket")                                                                                \
	X(EDESTADDRREQ, 89, "destination address required")                                                            \
	X(EMSGSIZE, 90, "message too long")                                                                            \
	X(EPROTOTYPE, 91, "wrong protocol type for socket")                                                            \
	X(ENOPROTOOPT, 92, "protocol not available")                                                                   \
	X(EPROTONOSUPPORT, 93, "protocol not supported")                                                               \
	X(ESOCKTNOSUPPORT, 94, "socket type not supported")                                                            \
	X(EOPNOTSUPP, 95, "operation not supported")                                                                   \
	X(EPFNOSUPPORT, 96, "protocol family not supported")                                                           \
	X(EAFNOSUPPORT, 97, "address family not supported")                                                            \
	X(EADDRINUSE, 98, "address in use")                                                                            \
	X(EADDRNOTAVAIL, 99, "address not available")                                                                  \
	X(ENETDOWN, 100, "network is down")                                                                            \
	X(ENETUNREACH, 101, "network unreachable")                                                                     \
	X(ENETRESET, 102, "connection aborted by network")                                                             \
	X(ECONNABORTED, 103, "connection aborted")                                                                     \
	X(ECONNRESET, 104, "connection reset")                                                                         \
	X(ENOBUFS, 105, "no buffer space")                                                                             \
	X(EISCONN, 106, "already connected")                                                                           \
	X(ENOTCONN, 107, "not connected")                                                                              \
	X(ESHUTDOWN, 108, "shut down")                                                                                 \
	X(ETIMEDOUT, 110, "timed out")                                                                                 \
	X(ECONNREFUSED, 111, "connection refused")                                                                     \
	X(EHOSTDOWN, 112, "host is down")                                                                              \
	X(EHOSTUNREACH, 113, "host unreachable")                                                                       \
	X(EALREADY, 114, "already in progress")                                                                        \
	X(EINPROGRESS, 115, "in progress")                                                                             \
	X(ESTALE, 116, "stale handle")                                                                                 \
	X(EUCLEAN, 117, "structure needs cleaning")                                                                    \
	X(EREMOTEIO, 121, "remote input/output error")                                                                 \
	X(EDQUOT, 122, "quota exceeded")                                                                               \
	X(ENOMEDIUM, 123, "no medium")                                                                                 \
	X(ECANCELED, 125, "cancelled")                                                                                 \
	X(ENOKEY, 126, "key not available")                                                                            \
	X(EOWNERDEAD, 130, "owner died")                                                                               \
	X(ENOTRECOVERABLE, 131, "state not recoverable")

enum err_number {
#define X(name, number, text) name = number,
	ERR_TABLE(X)
#undef X
};

#define EWOULDBLOCK EAGAIN
#define ENOTSUP EOPNOTSUPP
#define ERR_NUMBER_MAX 4095

// The value to return where an error is born: ERR(EINVAL) is -EINVAL. Debug builds (CONFIG_ASSERTS) record a trace event
// err_origin{number, file, line}. Any context, irq-safe.
#if CONFIG_ASSERTS
#define ERR(number) (err_origin((number), __FILE__, __LINE__), (err_t) - (number))
#else
#define ERR(number) ((err_t) - (number))
#endif
void err_origin(enum err_number number, const char *file, uint32_t line);

// What %pe of kern/fmt.h takes: log_err("boot: %pe", ERR_PTR(err)) prints "boot: ENOMEM".
#define ERR_PTR(err) ((void *)(intptr_t)(err))

// "EINVAL" for EINVAL or -EINVAL, "OK" for 0, "E?" for a number that is not in the table. Static storage. Any context.
const char *err_name(err_t err);

// "invalid argument" likewise, "success" for 0, "unknown error". Static storage. Any context.
const char *err_text(err_t err);

#endif
