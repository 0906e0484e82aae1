"""One pass of esm.cpp, for ``bench_embedding``: runs under a Python that has the wheel ``esm-cpp``, not our packages.

Usage: ``python bench_esmcpp.py FOLDER FP32|INT8``; FOLDER holds model.safetensors and tokens.npz.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np


def main(folder: Path, kind: str) -> None:
    """Time one pass after a short one that warms up, write the first protein's logits, and print the seconds."""
    import esm_cpp

    model = esm_cpp.Model.load_from_safetensors(str(folder / "model.safetensors"))
    if kind == "INT8":
        model.quantize_weights()
    stored = np.load(folder / "tokens.npz")
    proteins = np.split(stored["tokens"].astype(np.int32), np.cumsum(stored["lengths"])[:-1])
    model.forward_scheduled(proteins[:8])
    start = time.perf_counter()
    logits = model.forward_scheduled(proteins)
    print(json.dumps({"seconds": time.perf_counter() - start}))
    np.save(folder / "first.npy", logits[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
