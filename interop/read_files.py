"""Reads files with the reference parser of the PyPI package safetensors and
prints one JSON object: path -> {"tensors": ...} or {"error": ...}."""

import hashlib
import json
import pathlib
import sys

from safetensors import SafetensorError, deserialize, safe_open

result = {}
for path in sys.argv[1:]:
    try:
        tensors = {
            name: {"dtype": t["dtype"], "shape": list(t["shape"]), "sha256": hashlib.sha256(t["data"]).hexdigest()}
            for name, t in deserialize(pathlib.Path(path).read_bytes())
        }
        with safe_open(path, framework="np") as f:
            metadata = f.metadata()
        result[path] = {"tensors": tensors, "metadata": metadata}
    except SafetensorError as e:
        result[path] = {"error": str(e)}
json.dump(result, sys.stdout)
