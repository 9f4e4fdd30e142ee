"""Cross-builds PyNaCl and cffi, the real ones, for Pyodide: from their PyPI sdists with tools that come from PyPI.

ziglang brings clang, wasm-ld and musl's headers; wasmpy-build brings CPython's headers; the host's cffi turns PyNaCl's
bindings into C. What musl and CPython can't know about Emscripten is taken from the very Pyodide that will load the
modules: `pyconfig.h` is regenerated from its sysconfig data, type sizes are asserted at compile time, and every symbol
that a module imports must be exported by `pyodide.asm.wasm`. Another ABI stops the build.

The wheels are the same bytes wherever they are built. They are kept in `.cache/wasm_wheels/` under a key made of all
that goes into them, so an unchanged build costs nothing.

usage: build_wasm_wheels.py       prints the folder of the wheels
"""

import base64
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PYODIDE: Final = ROOT / "node_modules/pyodide"
CACHE: Final = ROOT / ".cache/wasm_wheels"

ABI: Final = "2026_0"
PLATFORM_TAG: Final = f"cp314-cp314-pyemscripten_{ABI}_wasm32"
EXTENSION_SUFFIX: Final = ".cpython-314-wasm32-emscripten.so"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdist:
    """A source distribution on PyPI."""

    name: str
    version: str
    sha256: str


PYNACL: Final = Sdist(
    name="pynacl", version="1.6.2", sha256="018494d6d696ae03c7e656e5e74cdfd8ea1326962cc401bcf018f1ed8436811c"
)
CFFI: Final = Sdist(
    name="cffi", version="2.0.0", sha256="44d1b5909021139fe36001ae048dbdde8214afa20200eda0f64c068cac5d5529"
)

# Emscripten numbers its errors as WASI does: by the alphabet, from 1.
ERROR_NAMES: Final = """
E2BIG EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF EBADMSG EBUSY ECANCELED ECHILD
ECONNABORTED ECONNREFUSED ECONNRESET EDEADLK EDESTADDRREQ EDOM EDQUOT EEXIST EFAULT EFBIG EHOSTUNREACH EIDRM EILSEQ
EINPROGRESS EINTR EINVAL EIO EISCONN EISDIR ELOOP EMFILE EMLINK EMSGSIZE EMULTIHOP ENAMETOOLONG ENETDOWN ENETRESET
ENETUNREACH ENFILE ENOBUFS ENODEV ENOENT ENOEXEC ENOLCK ENOLINK ENOMEM ENOMSG ENOPROTOOPT ENOSPC ENOSYS ENOTCONN
ENOTDIR ENOTEMPTY ENOTRECOVERABLE ENOTSOCK ENOTSUP ENOTTY ENXIO EOVERFLOW EOWNERDEAD EPERM EPIPE EPROTO
EPROTONOSUPPORT EPROTOTYPE ERANGE EROFS ESPIPE ESRCH ESTALE ETIMEDOUT ETXTBSY EXDEV
""".split()  # noqa: SIM905

# libsodium's randomness: Pyodide exports getentropy, which asks the browser's crypto.getRandomValues.
ARC4RANDOM_C: Final = """
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
int getentropy(void *, size_t);
void arc4random_buf(void *buffer, size_t size) {
    unsigned char *at = buffer;
    while (size) {
        size_t part = size > 256 ? 256 : size;
        if (getentropy(at, part)) abort();
        at += part;
        size -= part;
    }
}
uint32_t arc4random(void) { uint32_t random; arc4random_buf(&random, sizeof random); return random; }
"""
ARC4RANDOM_H: Final = """
#pragma once
#include <stddef.h>
#include <stdint.h>
#define arc4random tabstead_arc4random
#define arc4random_buf tabstead_arc4random_buf
uint32_t arc4random(void);
void arc4random_buf(void *, size_t);
"""

# libffi's target header for wasm32 as Pyodide's libffi has it.
FFITARGET_H: Final = """
#pragma once
typedef unsigned long ffi_arg;
typedef signed long ffi_sarg;
typedef enum ffi_abi {
  FFI_FIRST_ABI, FFI_WASM32, FFI_WASM32_EMSCRIPTEN, FFI_LAST_ABI, FFI_DEFAULT_ABI = FFI_WASM32_EMSCRIPTEN
} ffi_abi;
#define FFI_CLOSURES 1
#define FFI_TRAMPOLINE_SIZE 4
#define FFI_TARGET_SPECIFIC_VARIADIC 1
#define FFI_EXTRA_CIF_FIELDS unsigned int nfixedargs
#define FFI_NATIVE_RAW_API 0
"""

# Types whose sizes Pyodide's sysconfig data knows (SIZEOF_…), by the header that defines them.
CORE_SIZES: Final = {
    "LONG": "long", "SIZE_T": "__SIZE_TYPE__", "LONG_DOUBLE": "long double", "WCHAR_T": "__WCHAR_TYPE__",
}  # fmt: skip
LIBC_SIZES: Final = {
    "TIME_T": "time_t", "OFF_T": "off_t", "PID_T": "pid_t", "PTHREAD_KEY_T": "pthread_key_t",
    "PTHREAD_T": "pthread_t", "FPOS_T": "fpos_t",
}  # fmt: skip

# What libsodium's configure would find. HAVE_TI_MODE stays away: 128-bit integers make verifying 2.5 times slower here.
SODIUM_DEFINES: Final = (
    "CONFIGURED", "HAVE_C11_MEMORY_FENCES", "HAVE_GCC_MEMORY_FENCES", "HAVE_INTTYPES_H", "HAVE_STDINT_H",
    "NATIVE_LITTLE_ENDIAN", "HAVE_POSIX_MEMALIGN", "HAVE_WEAK_SYMBOLS", "HAVE_EXPLICIT_BZERO", "HAVE_SAFE_ARC4RANDOM",
)  # fmt: skip

LINKER_SYMBOLS: Final = {"__memory_base", "__table_base", "memory", "__indirect_function_table"}
"""Imports that the dynamic loader provides, not the main module."""


def package_folder(name: str) -> Path:
    """Where an installed package lies."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        sys.exit(f"{name} is not installed; run build_scripts/setup")
    return Path(spec.origin).parent


def run(*command: str | Path) -> None:
    """Run a tool; what it says goes to stderr, since stdout is this script's answer."""
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)


def cache_key() -> str:
    """Names everything that goes into the wheels."""
    parts = [Path(__file__).read_bytes(), (PYODIDE / "pyodide.asm.wasm").read_bytes()]
    parts += [(PYODIDE / "pyodide-lock.json").read_bytes()]
    parts += [importlib.metadata.version(tool).encode() for tool in ("cffi", "wasmpy-build", "ziglang")]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:20]


def fetch_sdist(sdist: Sdist, work: Path) -> Path:
    """The unpacked folder of an sdist, downloaded by pip and checked by its hash."""
    requirement = work / f"{sdist.name}.txt"
    requirement.write_text(f"{sdist.name}=={sdist.version} --hash=sha256:{sdist.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-build-isolation", "--no-binary=:all:", "--require-hashes", f"--dest={work}", f"-r{requirement}"]
    if subprocess.run(command, check=False).returncode:
        sys.exit(
            f"The source of {sdist.name} {sdist.version} could not be downloaded from PyPI (pip's message is above). "
            "The site needs it once; later builds take it from .cache/."
        )
    with tarfile.open(work / f"{sdist.name}-{sdist.version}.tar.gz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Debian 12's Python has no filters yet
        archive.extractall(work)
    return work / f"{sdist.name}-{sdist.version}"


def pyodide_build_variables() -> Mapping[str, object]:
    """Pyodide's own sysconfig data. Exits when its ABI is not the one this build was reviewed for."""
    with zipfile.ZipFile(PYODIDE / "python_stdlib.zip") as stdlib, tempfile.TemporaryDirectory() as folder:
        path = stdlib.extract("_sysconfigdata__emscripten_wasm32-emscripten.py", folder)
        variables: Mapping[str, object] = runpy.run_path(path)["build_time_vars"]
    abi = json.loads((PYODIDE / "pyodide-lock.json").read_text())["info"]["abi_version"]
    if abi != ABI or variables["EXT_SUFFIX"] != EXTENSION_SUFFIX:
        sys.exit(f"This Pyodide has the ABI {abi}, not {ABI}: review {Path(__file__).name} before building for it.")
    return variables


def size_assertions(types: Mapping[str, str], variables: Mapping[str, object]) -> str:
    return "".join(
        f'_Static_assert(sizeof({c_type}) == {variables[f"SIZEOF_{name}"]}, "{c_type}");\n'
        for name, c_type in types.items()
    )


def write_headers(headers: Path, *, zig_lib: Path, python_include: Path, cffi: Path) -> None:
    """Write what differs from musl's and CPython's headers into `headers`, and the sources that check it."""
    python, bits = headers / "python", headers / "bits"
    python.mkdir(parents=True)
    bits.mkdir()

    types = (zig_lib / "libc/include/riscv32-linux-musl/bits/alltypes.h").read_text()
    for name in ("_Addr", "_Reg"):  # Emscripten's are long; of equal size, but C sees another type
        if f"#define {name} int" not in types:
            sys.exit(f"ziglang's musl has another {name}: review {Path(__file__).name}.")
        types = types.replace(f"#define {name} int", f"#define {name} long")
    (bits / "alltypes.h").write_text(types)
    numbers = "".join(f"#define {name} {number}\n" for number, name in enumerate(ERROR_NAMES, 1))
    (bits / "errno.h").write_text(f"{numbers}#define EWOULDBLOCK EAGAIN\n#define EOPNOTSUPP ENOTSUP\n")

    variables = pyodide_build_variables()
    generic = (python_include / "pyconfig.h").read_text()
    names = sorted(set(re.findall(r"^(?:#define|/\* #undef) (\w+)", generic, re.MULTILINE)))
    defines = "".join(
        f"#define {name} {variables[name]}\n" for name in names if variables.get(name) not in (None, 0, "")
    )
    (python / "pyconfig.h").write_text(f"#pragma once\n{defines}{size_assertions(CORE_SIZES, variables)}")
    (headers / "abi_check.c").write_text(
        "#include <Python.h>\n#include <time.h>\n#include <pthread.h>\n#include <stddef.h>\n"
        f"{size_assertions(LIBC_SIZES, variables)}"
        f'_Static_assert(_Alignof(max_align_t) == {variables["ALIGNOF_MAX_ALIGN_T"]}, "max_align_t");\n'
    )
    (python / "ffitarget.h").write_text(FFITARGET_H)
    shutil.copy(cffi / "src/c/libffi_arm64/include/ffi.h", python / "ffi.h")  # the portable half of libffi's header
    (headers / "arc4random.c").write_text(ARC4RANDOM_C)
    (headers / "arc4random.h").write_text(ARC4RANDOM_H)


def write_bindings(pynacl: Path, target: Path) -> None:
    """Let cffi write PyNaCl's bindings as C."""
    run(
        sys.executable, "-c",
        "import runpy, sys; runpy.run_path(sys.argv[1])['ffi'].emit_c_code(sys.argv[2])",
        pynacl / "src/bindings/build.py", target,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """clang and wasm-ld as ziglang has them, with the headers prepared."""

    zig: Path
    headers: Path
    work: Path

    def compile(self, source: Path, target: Path, flags: Iterable[str | Path]) -> None:
        libc = self.zig.parent / "lib/libc/include"
        run(
            self.zig, "clang", "--target=wasm32-unknown-emscripten", "-c", "-O2", "-fPIC", "-fvisibility=hidden",
            "-fwrapv", "-fno-strict-aliasing", "-DNDEBUG", "-D_GNU_SOURCE", "-w", f"-ffile-prefix-map={self.work}=.",
            "-nostdinc", "-isystem", self.headers, "-isystem", self.zig.parent / "lib/include",
            "-isystem", libc / "riscv32-linux-musl", "-isystem", libc / "generic-musl",
            *flags, source, "-o", target,
        )  # fmt: skip

    def link(self, module: str, objects: Iterable[Path], target: Path) -> None:
        run(
            self.zig, "wasm-ld", "--experimental-pic", "-shared", "--no-entry", "--allow-undefined", "--gc-sections",
            "--strip-all", f"--export=PyInit_{module}", *objects, "-o", target,
        )  # fmt: skip


def build_modules(tools: Toolchain, pynacl: Path, cffi: Path) -> dict[str, Path]:
    """Compile and link `_sodium` and `_cffi_backend`; each is checked against Pyodide's exports."""
    objects = tools.work / "objects"
    objects.mkdir()
    python = [f"-I{tools.headers}/python", f"-I{package_folder('wasmpy_build') / 'include/cp314'}"]
    sodium = pynacl / "src/libsodium/src/libsodium"
    shutil.copy(pynacl / "src/libsodium/builds/msvc/version.h", sodium / "include/sodium/version.h")
    use_sodium = [f"-I{sodium}/include", f"-I{sodium}/include/sodium", "-DSODIUM_STATIC=1"]
    # Without __EMSCRIPTEN__ libsodium takes its portable paths instead of calling out to JavaScript.
    build_sodium = [*use_sodium, "-U__EMSCRIPTEN__", *(f"-D{name}=1" for name in SODIUM_DEFINES)]
    build_sodium += ["-include", f"{tools.headers}/arc4random.h"]
    write_bindings(pynacl, objects / "_sodium.c")

    use_cffi = [*python, f"-I{cffi}/src/c", "-DFFI_BUILDING=1"]
    jobs = [
        (tools.headers / "abi_check.c", objects / "abi_check.o", python),
        (objects / "_sodium.c", objects / "_sodium.o", python + use_sodium),
        (cffi / "src/c/_cffi_backend.c", objects / "_cffi_backend.o", use_cffi),
        (tools.headers / "arc4random.c", objects / "libsodium_arc4random.o", build_sodium),
    ]
    sources = enumerate(sorted(sodium.rglob("*.c")))
    jobs += [(source, objects / f"libsodium_{number:03d}.o", build_sodium) for number, source in sources]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda job: tools.compile(*job), jobs))

    inputs = {
        "_sodium": [objects / "_sodium.o", *sorted(objects.glob("libsodium_*.o"))],
        "_cffi_backend": [objects / "_cffi_backend.o"],
    }
    modules = {name: objects / f"{name}{EXTENSION_SUFFIX}" for name in inputs}
    for name, path in modules.items():
        tools.link(name, inputs[name], path)
        check_imports(path)
    return modules


def check_imports(module: Path) -> None:
    """A symbol that Pyodide doesn't export fails the build here, not the browser later."""
    exports = read_wasm_names(PYODIDE / "pyodide.asm.wasm", EXPORT_SECTION) | LINKER_SYMBOLS
    missing = read_wasm_names(module, IMPORT_SECTION) - exports
    if missing:
        sys.exit(f"{module.name}: Pyodide does not export {', '.join(sorted(missing))}")


IMPORT_SECTION: Final = 2
EXPORT_SECTION: Final = 7


class WasmReader:
    """Walks a wasm module's bytes; just what naming its imports and exports takes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 8  # after the magic number and the version

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        """An unsigned LEB128."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def name(self) -> str:
        length = self.number()
        self.at += length
        return self.data[self.at - length : self.at].decode("utf-8", "replace")

    def skip_import_type(self) -> None:
        kind = self.byte()
        if kind == 3:  # global: a value type, mutability
            self.at += 2
        elif kind in {0, 4}:  # function: its type; tag: an attribute, its type
            self.at += kind == 4
            self.number()
        else:  # table: an element type before the limits; memory: limits
            self.at += kind == 1
            has_maximum = self.number() & 1
            for _ in range(1 + has_maximum):
                self.number()

    def names_of(self, section: int) -> set[str]:
        names = set()
        for _ in range(self.number()):
            if section == IMPORT_SECTION:
                self.name()  # the module's
                names.add(self.name())
                self.skip_import_type()
            else:
                names.add(self.name())
                self.byte()
                self.number()
        return names


def read_wasm_names(path: Path, section: int) -> set[str]:
    """The names in a wasm module's import or export section."""
    reader = WasmReader(path.read_bytes())
    while reader.at < len(reader.data):
        kind, size = reader.byte(), reader.number()
        end = reader.at + size
        if kind == section:
            return reader.names_of(section)
        reader.at = end
    return set()


def python_files(root: Path, package: str) -> dict[str, Path]:
    """Archive name and path of a package's files that belong into a wheel."""
    wanted = (path for path in sorted((root / package).rglob("*")) if path.suffix in {".py", ".typed", ".h", ".cfg"})
    return {str(path.relative_to(root)): path for path in wanted}


def write_wheel(folder: Path, sdist: Sdist, metadata: Path, files: Mapping[str, Path]) -> None:
    """Write a wheel whose bytes depend on nothing but its contents."""
    info = f"{sdist.name}-{sdist.version}.dist-info"
    contents = {name: path.read_bytes() for name, path in files.items()}
    contents[f"{info}/METADATA"] = metadata.read_bytes()
    contents[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: {Path(__file__).stem}\nRoot-Is-Purelib: false\nTag: {PLATFORM_TAG}\n".encode()
    )
    record = [f"{name},sha256={record_hash(data)},{len(data)}\n" for name, data in sorted(contents.items())]
    contents[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    path = folder / f"{sdist.name}-{sdist.version}-{PLATFORM_TAG}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        for name, data in sorted(contents.items()):
            wheel.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)


def record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def build(target: Path, work: Path) -> None:
    """Build both wheels into `target`."""
    pynacl, cffi = fetch_sdist(PYNACL, work), fetch_sdist(CFFI, work)
    zig, headers = package_folder("ziglang") / "zig", work / "headers"
    include = package_folder("wasmpy_build") / "include/cp314"
    write_headers(headers, zig_lib=zig.parent / "lib", python_include=include, cffi=cffi)
    modules = build_modules(Toolchain(zig=zig, headers=headers, work=work), pynacl, cffi)

    licenses = f"pynacl-{PYNACL.version}.dist-info/licenses"
    pynacl_files = python_files(pynacl / "src", "nacl") | {
        f"nacl/{modules['_sodium'].name}": modules["_sodium"],
        f"{licenses}/LICENSE": pynacl / "LICENSE",
        f"{licenses}/LICENSE.libsodium": pynacl / "src/libsodium/LICENSE",
    }
    write_wheel(target, PYNACL, pynacl / "PKG-INFO", pynacl_files)
    cffi_files = python_files(cffi / "src", "cffi") | {
        modules["_cffi_backend"].name: modules["_cffi_backend"],
        f"cffi-{CFFI.version}.dist-info/licenses/LICENSE": cffi / "LICENSE",
    }
    write_wheel(target, CFFI, cffi / "PKG-INFO", cffi_files)


def main() -> None:
    folder = CACHE / cache_key()
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            target = Path(work) / "wheels"
            target.mkdir()
            build(target, Path(work))
            target.rename(folder)
    print(folder)


if __name__ == "__main__":
    main()
