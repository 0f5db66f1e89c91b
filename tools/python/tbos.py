# SPDX-License-Identifier: MIT
#
# TBOS from Python: instances and their files, by ctypes over libtbos.so; the standard library is all it needs.
#
#   import tbos
#   with tbos.Instance(engine='sim', seed=7) as machine, machine.context() as files:
#       files.mkdir('/notes')
#       files.write_file('/notes/a', b'hello')
#       print(files.listdir('/notes'), files.stat('/notes/a').size_bytes)
#
# Errors of the kernel are OSError with the number and the path. TBOS_LIBRARY names the library where the loader does not find it.
import ctypes
import os

FOREVER = 2 ** 64 - 1
AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR = -100, 0x100, 0x200
O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY = 0, 1, 2, 0o100, 0o200, 0o1000, 0o2000, 0o200000
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
CLONE_NEWNS = 0x20000
S_IFMT, S_IFDIR, S_IFREG, S_IFLNK = 0o170000, 0o040000, 0o100000, 0o120000
_FLAG_QUIET = 4

u32, u64, i32, i64, char_p, void_p, size_t = (ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int32, ctypes.c_int64, ctypes.c_char_p,
                                              ctypes.c_void_p, ctypes.c_size_t)
_WRITE = ctypes.CFUNCTYPE(None, void_p, ctypes.POINTER(ctypes.c_char), size_t)


class Disk(ctypes.Structure):
    """A disk of the machine; the fields of struct tb_disk, of which `path` is needed: Disk.of('disk.img', size_bytes=1 << 26)."""
    _fields_ = [('path', char_p), ('flags', u32), ('logical_bytes', u32), ('physical_bytes', u32), ('reserved', u32), ('offset_bytes', u64),
                ('size_bytes', u64), ('faults', char_p)]

    READ_ONLY, PUBLISH = 1, 2

    @classmethod
    def of(cls, path, faults=None, **fields):
        return cls(path=_path(path), faults=faults.encode() if faults else None, **fields)


class _Config(ctypes.Structure):
    _fields_ = [('version', u32), ('size_bytes', u32), ('engine', u32), ('flags', u32), ('cpu_count', u32), ('slot', u32), ('mem_bytes', u64),
                ('persona', char_p), ('cmdline', char_p), ('sim', void_p), ('seed', u64), ('policy', char_p), ('record_path', char_p),
                ('replay_path', char_p), ('poison', u32), ('reserved', u32), ('time_limit_ns', u64), ('write_fn', _WRITE), ('write_ctx', void_p),
                ('input_fd', i32), ('reserved2', u32), ('trace_fn', void_p), ('trace_ctx', void_p), ('initramfs_path', char_p),
                ('disks', ctypes.POINTER(Disk)), ('disk_count', u32), ('reserved3', u32)]


class Time(ctypes.Structure):
    """Seconds since 1970-01-01 UTC, and nanoseconds."""
    _fields_ = [('seconds', i64), ('nanoseconds', u32), ('reserved', u32)]


class Stat(ctypes.Structure):
    """What stat() tells; the fields of struct tb_stat."""
    _fields_ = [(name, u64) for name in ('dev', 'ino', 'size_bytes', 'blocks', 'rdev', 'mount_id')] + \
               [(name, u32) for name in ('mode', 'nlink', 'uid', 'gid', 'block_size_bytes', 'reserved')] + \
               [(name, Time) for name in ('atime', 'mtime', 'ctime', 'btime')]


class Dirent(ctypes.Structure):
    """One entry of a directory."""
    _fields_ = [('ino', u64), ('cookie', u64), ('type', u32), ('name_size_bytes', u32), ('name', ctypes.c_char * 256)]


class Statfs(ctypes.Structure):
    """What statfs() tells; the fields of struct tb_statfs."""
    _fields_ = [('type', ctypes.c_char * 16)] + [(name, u64) for name in ('blocks', 'blocks_free', 'files', 'files_free', 'id')] + \
               [(name, u32) for name in ('block_size_bytes', 'name_max', 'flags', 'reserved')]


class Handle(ctypes.Structure):
    """A file without its path; the fields of struct tb_handle."""
    _fields_ = [('ino', u64), ('dev', u32), ('generation', u32)]


def _load():
    library = ctypes.CDLL(os.environ.get('TBOS_LIBRARY', 'libtbos.so.0'), use_errno=False)
    library.tb_error.restype = char_p
    library.tb_version.restype = char_p
    return library


_library = None


def library():
    """libtbos, loaded at the first use."""
    global _library
    if _library is None:
        _library = _load()
    return _library


def version():
    return library().tb_version().decode()


def _path(path):
    path = os.fsencode(path)
    if b'\0' in path:
        raise ValueError('a path with a zero byte')
    return path


class Instance:
    """A booted instance. Its console goes to `console`, a list of bytes, if one is given, and nowhere otherwise. Its tree begins with what
    the archive `initramfs` (cpio newc; plain, LZ4 or Zstandard) holds. `disks` are of class Disk, disk0 and so on inside."""

    def __init__(self, engine='threads', seed=0, cpus=0, mem_bytes=0, persona=None, console=None, initramfs=None, disks=()):
        if engine not in ('threads', 'sim'):
            raise ValueError(f'engine {engine!r}: threads or sim')
        config = _Config()
        library().tb_config_init(ctypes.byref(config))
        config.engine, config.seed, config.cpu_count, config.mem_bytes = int(engine == 'sim'), seed, cpus, mem_bytes
        config.persona = persona.encode() if persona else None
        config.initramfs_path = _path(initramfs) if initramfs is not None else None
        config.disks, config.disk_count = (Disk * len(disks))(*disks), len(disks)
        config.flags = _FLAG_QUIET

        def write(_, text, size):
            if console is not None:
                console.append(ctypes.string_at(text, size))
        self._write = config.write_fn = _WRITE(write)  # lives as long as the instance may call it
        self._handle = void_p()
        err = library().tb_create(ctypes.byref(config), ctypes.byref(self._handle))
        if err:
            raise OSError(-err, library().tb_error(None).decode())
        try:
            self._check(library().tb_boot(self._handle))
        except OSError:
            library().tb_destroy(self._handle)
            raise

    def _check(self, err):
        if err:
            raise OSError(-err, library().tb_error(self._handle).decode() or os.strerror(-err))

    def command(self, line):
        """Runs monitor commands; the exit status."""
        status = i32()
        self._check(library().tb_command(self._handle, line.encode(), ctypes.byref(status)))
        return status.value

    def context(self):
        return Context(self)

    def close(self):
        if self._handle:
            handle, self._handle = self._handle, None
            err = library().tb_destroy(handle)
            if err:
                raise OSError(-err, os.strerror(-err))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Context:
    """A process without an address space: credentials, a working directory, descriptors. Calls as in os."""

    def __init__(self, instance):
        self._instance = instance  # keeps it
        self._handle = void_p()
        err = library().tb_context_create(instance._handle, ctypes.byref(self._handle))
        if err:
            raise OSError(-err, os.strerror(-err))

    def close(self):
        if self._handle:
            handle, self._handle = self._handle, None
            self._check(library().tb_context_destroy(handle))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def _check(err, path=None):
        if err:
            raise OSError(-err, os.strerror(-err), path)

    def _call(self, name, *args, path=None):
        if not self._handle:
            raise ValueError('the context is closed')
        self._check(getattr(library(), name)(self._handle, *args), path)

    # ---- descriptors

    def open(self, path, flags=O_RDONLY, mode=0o666, dir_fd=AT_FDCWD):
        fd = i32()
        self._call('tb_open', i32(dir_fd), _path(path), u32(flags), u32(mode), ctypes.byref(fd), path=path)
        return fd.value

    def name_to_handle(self, path, dir_fd=AT_FDCWD, at_flags=0):
        """What names the file whatever its path becomes."""
        handle = Handle()
        self._call('tb_name_to_handle', i32(dir_fd), _path(path), u32(at_flags), ctypes.byref(handle), path=path)
        return handle

    def open_handle(self, handle, flags=O_RDONLY, mount_fd=AT_FDCWD):
        fd = i32()
        self._call('tb_open_handle', i32(mount_fd), ctypes.byref(handle), u32(flags), ctypes.byref(fd))
        return fd.value

    def close_fd(self, fd):
        self._call('tb_close', i32(fd))

    def read(self, fd, size):
        buffer, done = ctypes.create_string_buffer(max(size, 1)), size_t()
        self._call('tb_read', i32(fd), buffer, size_t(size), ctypes.byref(done))
        return buffer.raw[:done.value]

    def write(self, fd, data):
        data, done = bytes(data), size_t()
        self._call('tb_write', i32(fd), data, size_t(len(data)), ctypes.byref(done))
        return done.value

    def pread(self, fd, size, offset):
        buffer, done = ctypes.create_string_buffer(max(size, 1)), size_t()
        self._call('tb_pread', i32(fd), buffer, size_t(size), u64(offset), ctypes.byref(done))
        return buffer.raw[:done.value]

    def pwrite(self, fd, data, offset):
        data, done = bytes(data), size_t()
        self._call('tb_pwrite', i32(fd), data, size_t(len(data)), u64(offset), ctypes.byref(done))
        return done.value

    def ioctl(self, fd, request, data):
        """A request of a terminal (enum tb_tty_request): what its argument holds before, as bytes; returns what it holds behind."""
        buffer = ctypes.create_string_buffer(bytes(data), max(len(data), 1))
        self._call('tb_ioctl', i32(fd), u32(request), buffer)
        return buffer.raw[:len(data)]

    def fsync(self, fd):
        self._call('tb_fsync', i32(fd))

    def read_file(self, path):
        """All of a file."""
        fd, pieces = self.open(path), []
        try:
            while pieces[-1:] != [b'']:
                pieces.append(self.read(fd, 1 << 16))
        finally:
            self.close_fd(fd)
        return b''.join(pieces)

    def write_file(self, path, data, mode=0o666):
        fd = self.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode)
        try:
            while data:
                data = data[self.write(fd, data):]
        finally:
            self.close_fd(fd)

    # ---- names

    def stat(self, path, follow_symlinks=True):
        stat = Stat()
        self._call('tb_stat', i32(AT_FDCWD), _path(path), u32(0 if follow_symlinks else AT_SYMLINK_NOFOLLOW), ctypes.byref(stat), path=path)
        return stat

    def listdir(self, path='.'):
        """Names but "." and "..", in the directory's order."""
        fd, names = self.open(path, O_RDONLY | O_DIRECTORY), []
        entries, count = (Dirent * 32)(), u32(1)
        try:
            while count.value:
                self._call('tb_readdir', i32(fd), entries, u32(len(entries)), ctypes.byref(count), path=path)
                names += [os.fsdecode(entry.name) for entry in entries[:count.value]]
        finally:
            self.close_fd(fd)
        return [name for name in names if name not in ('.', '..')]

    def walk(self, top='/'):
        """(path, Stat) of everything below and `top` itself, names sorted, links not followed."""
        pending = [top]
        while pending:
            path = pending.pop()
            stat = self.stat(path, follow_symlinks=False)
            yield path, stat
            if stat.mode & S_IFMT == S_IFDIR:
                pending += [path.rstrip('/') + '/' + name for name in sorted(self.listdir(path), reverse=True)]

    def mkdir(self, path, mode=0o777):
        self._call('tb_mkdir', i32(AT_FDCWD), _path(path), u32(mode), path=path)

    def unlink(self, path):
        self._call('tb_unlink', i32(AT_FDCWD), _path(path), u32(0), path=path)

    def rmdir(self, path):
        self._call('tb_unlink', i32(AT_FDCWD), _path(path), u32(AT_REMOVEDIR), path=path)

    def rename(self, old, new, flags=0):
        self._call('tb_rename', i32(AT_FDCWD), _path(old), i32(AT_FDCWD), _path(new), u32(flags), path=old)

    def link(self, old, new):
        self._call('tb_link', i32(AT_FDCWD), _path(old), i32(AT_FDCWD), _path(new), u32(0), path=new)

    def symlink(self, target, path):
        self._call('tb_symlink', _path(target), i32(AT_FDCWD), _path(path), path=path)

    def readlink(self, path):
        buffer, done = ctypes.create_string_buffer(4096), size_t()
        self._call('tb_readlink', i32(AT_FDCWD), _path(path), buffer, size_t(len(buffer)), ctypes.byref(done), path=path)
        return os.fsdecode(buffer.raw[:done.value])

    def chmod(self, path, mode):
        self._call('tb_chmod', i32(AT_FDCWD), _path(path), u32(mode), u32(0), path=path)

    def chown(self, path, uid, gid, follow_symlinks=True):
        self._call('tb_chown', i32(AT_FDCWD), _path(path), u32(uid & 0xffffffff), u32(gid & 0xffffffff),
                   u32(0 if follow_symlinks else AT_SYMLINK_NOFOLLOW), path=path)

    def utime(self, path, atime_ns, mtime_ns, follow_symlinks=True):
        """Nanoseconds since 1970-01-01 UTC."""
        times = (Time * 2)(*(Time(*divmod(time_ns, 10 ** 9)) for time_ns in (atime_ns, mtime_ns)))
        self._call('tb_utimens', i32(AT_FDCWD), _path(path), times, u32(0 if follow_symlinks else AT_SYMLINK_NOFOLLOW), path=path)

    def mknod(self, path, mode, rdev=0):
        self._call('tb_mknod', i32(AT_FDCWD), _path(path), u32(mode), u64(rdev), path=path)

    def statfs(self, path):
        statfs = Statfs()
        self._call('tb_statfs', i32(AT_FDCWD), _path(path), ctypes.byref(statfs), path=path)
        return statfs

    def sync(self):
        self._call('tb_sync')

    def truncate(self, path, size):
        self._call('tb_truncate', i32(AT_FDCWD), _path(path), i64(size), path=path)

    def chdir(self, path):
        self._call('tb_chdir', _path(path), path=path)

    def set_user(self, uid, gid):
        self._call('tb_set_user', u32(uid), u32(gid), None, u32(0))

    def mount(self, source, path, fs_type, flags=0, options=''):
        self._call('tb_mount', source.encode(), _path(path), fs_type.encode(), u32(flags), options.encode(), path=path)

    def umount(self, path, flags=0):
        self._call('tb_umount', _path(path), u32(flags), path=path)

    def unshare(self, flags=CLONE_NEWNS):
        """Mounts of its own from now on, copies of those it saw."""
        self._call('tb_unshare', u32(flags))
