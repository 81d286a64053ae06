"""The same network and loss in PyTorch: what the Keras ones are measured against.

`DSResNet().state_dict()` has the names and shapes of the original code's weights (and
batch norm's `num_batches_tracked` counters, which loading does not ask for), so numbers
taken with either can be compared weight by weight.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class DoubleConv(nn.Module):
    """Twice [3x3 convolution, ReLU, batch norm]: (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv1 = self._unit(in_channels, out_channels)
        self.conv2 = self._unit(out_channels, out_channels)

    @staticmethod
    def _unit(in_channels: int, out_channels: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.conv1(x))


class EncoderBlock(nn.Module):
    """A residual block, pooled: (B, in, H, W) -> (B, out, H/2, W/2), (B, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, pooled: bool = True):
        super().__init__()
        self.double_conv = DoubleConv(in_channels, out_channels)
        self.skip_conv = nn.Conv2d(in_channels, out_channels, 1)
        self.pooled = pooled

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.double_conv(x) + self.skip_conv(x)
        return (functional.max_pool2d(out, 2) if self.pooled else out), out


class DecoderBlock(nn.Module):
    """Doubles the size and joins a skip: (B, 2C, H, W) -> (B, C, 2H, 2W).

    Args:
        channels: C.
        two_skips: whether `forward` gets the skips of both photographs, bg's first,
            which a 1x1 convolution then squeezes to C channels.
    """

    def __init__(self, channels: int, two_skips: bool = False):
        super().__init__()
        self.transition_conv = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        )
        self.enc_skip_conv = nn.Conv2d(2 * channels, channels, 1) if two_skips else None
        self.skip_conv = nn.Conv2d(2 * channels, channels, 1)
        self.double_conv = DoubleConv(2 * channels, channels)

    def forward(self, x: torch.Tensor, *skips: torch.Tensor) -> torch.Tensor:
        skip = torch.cat(skips, dim=1)
        if self.enc_skip_conv is not None:
            skip = self.enc_skip_conv(skip)
        x = torch.cat((self.transition_conv(x), skip), dim=1)
        return self.double_conv(x) + self.skip_conv(x)


class DSResNet(nn.Module):
    """Depth and mask of what stands in front of a known background.

    Takes `bg` and `fg_bg`, (B, 3, H, W) float, normalised, H and W multiples of 32.
    Returns `{"depth", "mask"}`: logits, (B, 1, H, W).

    Args:
        width: channels of the first block; 16 is the original's.
    """

    def __init__(self, width: int = 16):
        super().__init__()
        if width < 1:
            raise ValueError(f"width must be at least 1. Received: width={width}")
        self.b1 = EncoderBlock(3, width)
        self.b2 = EncoderBlock(width, 2 * width)
        self.bf1 = EncoderBlock(3, width)
        self.bf2 = EncoderBlock(width, 2 * width)
        self.merge = nn.Conv2d(4 * width, 2 * width, 1)
        self.enc1 = EncoderBlock(2 * width, 4 * width)
        self.enc2 = EncoderBlock(4 * width, 8 * width)
        self.enc3 = EncoderBlock(8 * width, 16 * width)
        self.enc4 = EncoderBlock(16 * width, 32 * width, pooled=False)
        for head in "MD":
            self.add_module(f"{head}dec3", DecoderBlock(16 * width))
            self.add_module(f"{head}dec2", DecoderBlock(8 * width))
            self.add_module(f"{head}dec1", DecoderBlock(4 * width))
            self.add_module(f"{head}2", DecoderBlock(2 * width, two_skips=True))
            self.add_module(f"{head}1", DecoderBlock(width, two_skips=True))
            self.add_module(f"{head}0", nn.Conv2d(width, 1, 1))

    def forward(self, bg: torch.Tensor, fg_bg: torch.Tensor) -> dict[str, torch.Tensor]:
        bg, bg_skip1 = self.b1(bg)
        bg, bg_skip2 = self.b2(bg)
        fg_bg, fg_bg_skip1 = self.bf1(fg_bg)
        fg_bg, fg_bg_skip2 = self.bf2(fg_bg)
        x = self.merge(torch.cat((bg, fg_bg), dim=1))
        x, skip3 = self.enc1(x)
        x, skip4 = self.enc2(x)
        x, skip5 = self.enc3(x)
        x, _ = self.enc4(x)

        def decode(head: str) -> torch.Tensor:
            y = self.get_submodule(f"{head}dec3")(x, skip5)
            y = self.get_submodule(f"{head}dec2")(y, skip4)
            y = self.get_submodule(f"{head}dec1")(y, skip3)
            y = self.get_submodule(f"{head}2")(y, bg_skip2, fg_bg_skip2)
            y = self.get_submodule(f"{head}1")(y, bg_skip1, fg_bg_skip1)
            return self.get_submodule(f"{head}0")(y)

        return {"depth": decode("D"), "mask": decode("M")}


def rmse_bce_dice(
    logits: dict[str, torch.Tensor], targets: dict[str, torch.Tensor]
) -> torch.Tensor:
    """2 RMSE of depth + BCE of mask + 2 Dice of mask, each pooled over the batch.

    Args:
        logits: `depth` and `mask`, (B, 1, H, W), before the sigmoid.
        targets: `depth` and `mask`, (B, 1, H, W), in [0, 1].

    Returns:
        A scalar, float32 whatever the precision of the logits.
    """
    depth = torch.sigmoid(logits["depth"].float())
    # 1e-6 keeps the gradient of the root finite at a perfect prediction.
    rmse = torch.sqrt(functional.mse_loss(depth, targets["depth"]) + 1e-6)
    mask_logits, mask = logits["mask"].float(), targets["mask"]
    bce = functional.binary_cross_entropy_with_logits(mask_logits, mask)
    probability = torch.sigmoid(mask_logits)
    overlap = 2.0 * torch.sum(probability * mask) + 1.0
    dice = 1.0 - overlap / (torch.sum(probability) + torch.sum(mask) + 1.0)
    return 2.0 * rmse + bce + 2.0 * dice
