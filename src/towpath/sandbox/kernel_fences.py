"""What Linux keeps a process from, for as long as it lives: files, sockets, other processes.

Each fence stands by itself, and each may be missing: a container may forbid namespaces, an old
kernel has no Landlock. What is missing is told, never fatal. All is done by bare system calls, for
there is nothing in the standard library.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)

_NEW_NAMESPACES = 0x20000 | 0x8000000 | 0x10000000 | 0x20000000  # NEWNS, NEWIPC, NEWUSER, NEWPID
_NEW_NETWORK = 0x40000000
_RECURSIVE_PRIVATE = 0x4000 | 0x40000  # MS_REC | MS_PRIVATE
_NO_SUID_DEV_EXEC = 2 | 4 | 8
_PIDFD_OPEN = 434

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _SET_DUMPABLE, _SET_PDEATHSIG, _SUBREAPER = 38, 22, 4, 1, 36


def prctl(option: int, value: int, pointer: ctypes.Array[ctypes.c_char] | None = None) -> None:
    """The system call; ``OSError`` where the kernel refuses."""
    _raise_failed(_LIBC.prctl(option, ctypes.c_ulong(value), pointer, 0, 0))


def set_visibility(visible: bool) -> None:
    """Let others of this user look into this process, or not; what it forks begins so too. Nobody
    without privileges sees its environment then, and no core is dumped of it."""
    prctl(_SET_DUMPABLE, int(visible))


def die_with_parent(signal: int) -> None:
    """Have the kernel send a signal to this process when its parent ends."""
    prctl(_SET_PDEATHSIG, signal)


def become_subreaper() -> None:
    """Become the parent of what this process's children leave behind, to end it with them."""
    prctl(_SUBREAPER, 1)


def open_process(process: int) -> int:
    """A descriptor that can be read once the process has ended; ``OSError`` where the kernel has
    none. A Python that was built for an old system has no ``os.pidfd_open``, on whatever kernel."""
    handle: int = _LIBC.syscall(_PIDFD_OPEN, process, 0)
    _raise_failed(handle)
    return handle


def enter_namespaces(network: bool) -> bool:
    """Let the *next* child see no other processes, and no network; whether the kernel lets us."""
    user, group = os.getuid(), os.getgid()
    flags = _NEW_NAMESPACES | (0 if network else _NEW_NETWORK)
    try:
        _raise_failed(_LIBC.unshare(flags))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError:
        return False
    return True


def mount_own() -> bool:
    """A `/proc` of the new namespace alone, and a `/dev/shm`; whether the kernel lets us."""
    try:
        _mount_file_system(b"none", b"/", None, _RECURSIVE_PRIVATE)
        _mount_file_system(b"proc", b"/proc", b"proc", _NO_SUID_DEV_EXEC)
    except OSError:
        return False
    with suppress(OSError):
        _mount_file_system(b"tmpfs", b"/dev/shm", b"tmpfs", _NO_SUID_DEV_EXEC)
    with suppress(OSError):  # else it could have privileges in a namespace of its own making
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
    return True


def _mount_file_system(source: bytes, target: bytes, kind: bytes | None, flags: int) -> None:
    _raise_failed(_LIBC.mount(source, target, kind, ctypes.c_ulong(flags), None))


def drop_capabilities() -> None:
    """Keep none of the privileges that the new namespace gave."""
    header = struct.pack("=Ii", 0x20080522, 0)  # version 3, this thread
    with suppress(OSError, AttributeError):
        _raise_failed(_LIBC.capset(header, bytes(24)))


_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_READ = 1 | 4 | 8  # EXECUTE, READ_FILE, READ_DIR
_OF_FILES = 1 | 2 | 4 | 1 << 14 | 1 << 15  # the rights that a file has: no READ_DIR and the like


def restrict_file_access(reads: Iterable[Path], writes: Iterable[Path], network: bool) -> bool:
    """Open and change no files but these (and below them), make no TCP connection, and look into
    no process from before; whether the kernel can."""
    version = _LIBC.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    files = (1 << (13 + (version >= 2) + (version >= 3))) - 1 | ((1 << 15) if version >= 5 else 0)
    sockets = 3 if version >= 4 and not network else 0
    scopes = 3 if version >= 6 else 0  # abstract sockets, signals
    attributes = struct.pack("=QQQ", files, sockets, scopes)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _LIBC.syscall(_CREATE_RULESET, attributes, size, 0)
    if ruleset < 0:
        return False
    try:
        for paths, rights in ((reads, _READ), (writes, files)):
            for path in paths:
                _allow_path(ruleset, path, rights & files)
        prctl(_NO_NEW_PRIVILEGES, 1)
        _raise_failed(_LIBC.syscall(_RESTRICT_SELF, ruleset, 0))
    except OSError:
        return False
    finally:
        os.close(ruleset)
    return True


def _allow_path(ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not there: nothing to allow
        return
    try:
        allowed = rights if path.is_dir() else rights & _OF_FILES
        rule = struct.pack("=Qi", allowed, place)
        _raise_failed(_LIBC.syscall(_ADD_RULE, ruleset, 1, rule, 0))
    finally:
        os.close(place)


_ARCHITECTURES = {
    "x86_64": (
        0xC000003E,
        41,
        (101, 310, 311, 272, 308, 165, 321, 298, 323, 248, 249, 250, 304, 438),
    ),
    "aarch64": (
        0xC00000B7,
        198,
        (117, 270, 271, 97, 268, 40, 280, 241, 282, 217, 218, 219, 265, 438),
    ),
}
"""The architecture's own number, and those of `socket`, and of `ptrace`, `process_vm_readv`,
`process_vm_writev`, `unshare`, `setns`, `mount`, `bpf`, `perf_event_open`, `userfaultfd`,
`add_key`, `request_key`, `keyctl`, `open_by_handle_at`, `pidfd_getfd`."""

_IO_URING = (425, 426, 427)  # makes sockets too, and passes by this filter
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _FORBID = 0x7FFF0000, 0x50000 | 1  # EPERM
_X32 = 0x40000000


def forbid_calls(network: bool) -> bool:
    """No sockets of any family (`socketpair` stays), no look into other processes, no namespaces,
    no mounts; whether the kernel can.

    Also what namespaces and Landlock leave open: a socket in a file, such as Docker's.
    """
    if platform.machine() not in _ARCHITECTURES:
        return False
    architecture, sockets, others = _ARCHITECTURES[platform.machine()]
    forbidden = (*others, *_IO_URING, *(() if network else (sockets,)))
    count = len(forbidden)
    # A jump says how many lines it passes over: the last one forbids.
    lines = [
        (_LOAD, 0, 0, 4),  # the architecture: another has other numbers
        (_EQUAL, 0, count + 3, architecture),
        (_LOAD, 0, 0, 0),  # the call's number
        (_AT_LEAST, count + 1, 0, _X32),
        *((_EQUAL, count - place, 0, call) for place, call in enumerate(forbidden)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _FORBID),
    ]
    code = b"".join(struct.pack("=HBBI", *line) for line in lines)
    held = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("@HP", len(lines), ctypes.addressof(held)))
    try:
        prctl(_NO_NEW_PRIVILEGES, 1)
        prctl(_SET_SECCOMP, 2, program)
    except OSError:
        return False
    return True


def _raise_failed(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
