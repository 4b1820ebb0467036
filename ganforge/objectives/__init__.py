"""Objectives: losses, penalties and augmentation, and how a configuration joins them."""

from ganforge.objectives.augment import AUGMENTATIONS, augment
from ganforge.objectives.losses import LOSSES, Loss, find_loss
from ganforge.objectives.penalties import drift, gradient_penalty, input_gradients

__all__ = ["AUGMENTATIONS", "LOSSES", "Loss", "augment", "drift", "find_loss", "gradient_penalty", "input_gradients"]
