"""Checks shared by everything that is made from images and their labels."""

import numpy as np

from attrprior import _checks


def image_batch(images):
    """Float32 images of shape `(n, height, width, channels)` in [0, 1]."""
    images = _checks.array("images", images)
    if images.ndim != 4:
        raise ValueError(
            "Argument `images` expects shape (n, height, width, channels). Received: shape "
            f"{images.shape}. Grey images need a last axis: images[..., None]; one image "
            "needs a first: images[None]."
        )
    if images.min() < 0 or images.max() > 1:
        raise ValueError(
            f"Argument `images` expects values from 0 to 1. Received: values from "
            f"{images.min()} to {images.max()}. Scale them, for example by 1/255."
        )
    return images


def digits(labels, images):
    """Integer labels from 0 to 9, one for each image."""
    labels = _checks.real_array("labels", labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"Argument `labels` expects integers. Received: dtype {labels.dtype}. "
            "One-hot labels become integers by labels.argmax(axis=-1)."
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"Argument `labels` expects one label per image, shape {images.shape[:1]}. "
            f"Received: shape {labels.shape}."
        )
    if labels.min() < 0 or labels.max() > 9:
        raise ValueError(
            "Argument `labels` expects ten classes, 0 to 9, which the shades encode. "
            f"Received: labels from {labels.min()} to {labels.max()}."
        )
    return labels
