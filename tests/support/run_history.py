"""The history of a run of two phases, with gaps."""

import math

HISTORY = {
    "epoch": [0, 1, 2, 3, 4],
    "depth_rmse": [0.5, 0.4, 0.35, 0.3, 0.25],
    "learning_rate": [2e-3, 2e-3, 2e-3, 2e-4, 1e-5],
    "loss": [1.9729197, 1.25, 1.125, 0.75, 0.5],
    "mask_hard_iou": [0.1, 0.3, 0.4, 0.6, 0.7],
    "mask_soft_iou": [0.1, 0.2, 0.3, 0.5, 0.6],
    "phase": [0, 0, 0, 1, 1],
    "resolution": [64, 64, 64, 96, 96],
    "step_seconds": [0.9, 0.11, 0.12, 0.25, 0.27],
    "images_per_second": [17.8, 145.5, 133.3, 32.0, 29.6],
    "input_wait": [0.02, 0.32, 0.3, 0.1, 0.05],
    "val_learning_rate": [None] * 5,
    "val_loss": [1.75, 1.5, None, math.nan, 0.625],
}
