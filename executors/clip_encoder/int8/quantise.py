"""Quantises the image half of a model to int8, after training, with NNCF.

It is symmetric, with a scale for each row of weights and one for each activation, taken from the calibration frames.
Some things stay in float32. One is what NNCF leaves so in transformers, for example one of the two products of
attention (ViT-B-32, random weights: a cosine of 0.999 instead of 0.990 at least). Another are depthwise convolutions:
they take little time, and caused much of the error on the starter. Weights use 7 of the 8 bits: without VNNI a
processor adds products up in 16 bits, where 8 overflow, so processors would give different vectors for the same model.
Activations are not smoothed (SmoothQuant): with it, what OpenVINO made of a ViT-B-32 differed from what the same file
gives in float32, by a cosine of 0.967; without it, the cosine was 0.9998.
"""

import logging
import sys
from contextlib import redirect_stdout
from pathlib import Path

import torch
from torch import nn

from executors.clip_encoder.run.openvino_model import convert_module


def quantise(module: nn.Module, pictures: torch.Tensor, file: Path) -> None:
    """Write the int8 form of an image half to OpenVINO's file; calibrate with float32 [N, 3, height, width]."""
    import nncf
    import openvino
    from nncf.quantization.advanced_parameters import (
        AdvancedQuantizationParameters,
        AdvancedSmoothQuantParameters,
        OverflowFix,
    )
    from openvino._offline_transformations import apply_moc_transformations

    nncf.set_log_level(logging.ERROR)
    model = convert_module(module, pictures[:2])
    model.reshape([-1, *pictures.shape[1:]])
    # Folds normalisations into the convolutions before them, as compiling does: otherwise quantising would take the
    # ranges of products that nobody computes. Median cosine on the starter's frames: 0.982 instead of 0.962.
    apply_moc_transformations(model, cf=False, smart_reshape=False)
    with redirect_stdout(sys.stderr):  # NNCF draws progress bars
        quantised = nncf.quantize(
            model,
            nncf.Dataset([picture[None].numpy() for picture in pictures]),
            subset_size=len(pictures),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(types=["GroupConvolution"], validate=False),
            advanced_parameters=AdvancedQuantizationParameters(
                overflow_fix=OverflowFix.ENABLE, smooth_quant_alphas=AdvancedSmoothQuantParameters(matmul=-1)
            ),
        )
    openvino.save_model(quantised, file, compress_to_fp16=False)
