"""Linear layers in eight-bit whole numbers, by PyTorch's own FBGEMM: for x86 processors that have no bfloat16."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

PRODUCT = "linear_with_input_q_dq_qweight_dq_output_fp32"


def has_int8() -> bool:
    """Whether this PyTorch computes int8 products on this machine's processor (x86 alone)."""
    import torch

    # PyTorch means to move these functions out one day; a version without them computes in floating point.
    there = hasattr(torch, "quantize_per_channel") and hasattr(torch.ops.quantized, PRODUCT)
    return there and "fbgemm" in torch.backends.quantized.supported_engines


class Int8Linear:
    """x W' + b in int8: W with a scale for each output, x for each row: a text's vector depends on no other."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """weight (out, in) and bias (out,) are float32 and on the CPU."""
        import torch

        scales, zeros = weight.abs().amax(1).double() / 127, torch.zeros(len(weight), dtype=torch.long)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # see `has_int8`
            quantized = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        engine = torch.backends.quantized.engine
        torch.backends.quantized.engine = "fbgemm"
        try:
            self._packed = torch.ops.quantized.linear_prepack(quantized, None)
        finally:
            torch.backends.quantized.engine = engine
        self._bias = bias
        self._product = getattr(torch.ops.quantized, PRODUCT)

    def __call__(self, x: Tensor) -> Tensor:
        """x (..., in) float32 -> (..., out) float32."""
        import torch

        largest = torch.maximum(x.amax(-1, keepdim=True), x.amin(-1, keepdim=True).neg_()).clamp_min_(1e-12)
        product = self._product(x * largest.reciprocal(), 1 / 127, 128, self._packed)
        return torch.addcmul(self._bias, product, largest, out=product)
