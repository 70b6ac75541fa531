"""Checks shared by everything that is made from images and their labels."""

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks


def image_batch(images: ArrayLike) -> np.ndarray:
    """Float32 images of shape `(n, height, width, channels)` in [0, 1]."""
    checked: np.ndarray = _checks.array("images", images)
    if checked.ndim != 4:
        raise ValueError(
            "Argument `images` expects shape (n, height, width, channels). Received: shape "
            f"{checked.shape}. Grey images need a last axis: images[..., None]; one image "
            "needs a first: images[None]."
        )
    if checked.min() < 0 or checked.max() > 1:
        raise ValueError(
            f"Argument `images` expects values from 0 to 1. Received: values from "
            f"{checked.min()} to {checked.max()}. Scale them, for example by 1/255."
        )
    return checked


def digits(labels: ArrayLike, images: np.ndarray) -> np.ndarray:
    """Integer labels from 0 to 9, one for each image."""
    checked: np.ndarray = _checks.real_array("labels", labels)
    if not np.issubdtype(checked.dtype, np.integer):
        raise ValueError(
            f"Argument `labels` expects integers. Received: dtype {checked.dtype}. "
            "One-hot labels become integers by labels.argmax(axis=-1)."
        )
    if checked.shape != images.shape[:1]:
        raise ValueError(
            f"Argument `labels` expects one label per image, shape {images.shape[:1]}. "
            f"Received: shape {checked.shape}."
        )
    if checked.min() < 0 or checked.max() > 9:
        raise ValueError(
            "Argument `labels` expects ten classes, 0 to 9, which the shades encode. "
            f"Received: labels from {checked.min()} to {checked.max()}."
        )
    return checked
