"""What a benchmark's figures hold for: the machine."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

from latentcrs.base.device import resolve_device


def hardware(device: str) -> dict[str, Any]:
    """The processor, its cores, PyTorch and the device: what the figures hold for."""
    name = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.is_file():
        models = [line for line in described.read_text("utf-8").splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    place = resolve_device(device)
    gpu = torch.cuda.get_device_name(place) if place.type == "cuda" else place.type
    return {
        "cpu": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "device": gpu,
    }
