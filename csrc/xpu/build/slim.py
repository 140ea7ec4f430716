"""Makes an environment with PyPI's onednn smaller: usage slim.py LIB.

Wheels have no symbolic links, so every name of a library is a copy of it; and
the packages have parts that a CPU engine does not load. Copies become hard links;
those parts go. What is left is printed in megabytes.
"""

import hashlib
import os
import pathlib
import sys

lib = pathlib.Path(sys.argv[1])
UNUSED = ["libsycl-jit*", "libsycl-preview*", "libomptarget*", "icx-lto*", "libur_sanitizer_layer*", "*.dbg", "libur_adapter_cuda*", "libur_adapter_hip*"]

for pattern in UNUSED:
    for path in lib.glob(pattern):
        path.unlink()

first = {}
for path in sorted(p for p in lib.iterdir() if p.is_file() and not p.is_symlink()):
    if path.stat().st_size < 1 << 16:
        continue
    digest = hashlib.sha256(path.read_bytes()).digest()
    other = first.setdefault(digest, path)
    if other is not path and not os.path.samefile(other, path):
        spare = path.with_suffix(path.suffix + ".new")
        os.link(other, spare)
        os.replace(spare, path)

sizes = {s.st_ino: s.st_size for p in lib.parent.rglob("*") if p.is_file() for s in [p.stat()]}
print(f"{lib.parent}: {sum(sizes.values()) >> 20} MB")
