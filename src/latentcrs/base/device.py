"""Which device and which number format models run on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from latentcrs.base.errors import UserError

if TYPE_CHECKING:
    import torch

DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?")


def check_device_name(name: str) -> None:
    """Refuse what is the name of no device, on whatever machine.

    Raises:
        UserError: it is none.
    """
    if not DEVICE.fullmatch(name):
        raise UserError(f"There is no device {name!r}; choose auto, cpu, cuda or mps.")


def resolve_device(name: str = "auto") -> torch.device:
    """The device called `name`: cpu, cuda (or cuda:N), mps; auto takes the first there is of cuda, mps, cpu.

    Raises:
        UserError: no such name, or this machine has no such device.
    """
    import torch  # here, because it takes a second and many commands never need it

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    check_device_name(name)
    kind, _, number = name.partition(":")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UserError(f"This machine has no device '{name}' that PyTorch can use; take auto or cpu.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UserError("This machine has no Apple GPU that PyTorch can use; take auto or cpu.")
    return torch.device(name)


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where `device` computes with it natively (CUDA since Ampere, x86 with AVX512-BF16 or AMX); float32
    elsewhere, and where ATEN_CPU_CAPABILITY holds PyTorch to the instructions of an older processor.
    """
    import torch

    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    elif device.type == "cpu":
        # Private names, but PyTorch has no public ones; a version without them falls back to float32.
        probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        native = torch.backends.cpu.get_cpu_capability() == "AVX512" and any(
            getattr(torch.cpu, probe, bool)() for probe in probes
        )
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


@contextmanager
def quick_products() -> Iterator[None]:
    """Matrix products of training as fast as the processor has them, below full float32 precision where it computes
    so natively (bfloat16 with AMX, TF32 on CUDA). On x86 it takes them from MKL to oneDNN: 2.6 times faster on AMD's
    (480 x 641 by 641 x 16,859 on 2 cores), and still float32 there. Rankings are computed outside of it.
    """
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if not torch.cuda.is_available() else "high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def fast_exact_products(device: torch.device) -> Iterator[None]:
    """float32 matrix products for rankings, as fast as they are exact: on x86 without AMX through oneDNN, two to five
    times as fast as MKL on AMD's and as exact (512 x 64 by 64 x 3,533: both within 2.3e-5 of float64). With AMX
    oneDNN would compute in bfloat16, so there nothing changes.
    """
    import torch

    before = torch.get_float32_matmul_precision()
    # A private name, as above: without it nothing changes.
    rounds = getattr(torch.cpu, "_is_amx_tile_supported", lambda: True)()
    if device.type == "cpu" and not rounds:
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
