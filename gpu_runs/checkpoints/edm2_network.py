r"""The U-Net of EDM2 (`EDM2UNet`): its layers keep the magnitude of what passes through them.

There are no biases and no group norms. Every row of a weight counts by its direction only, and sums, joins
and activation functions are scaled so that independent inputs of variance 1 give outputs of variance 1:

.. math::  \mathrm{silu}(x) / 0.596, \qquad
           \frac{(1 - t)\,a + t\,b}{\sqrt{(1 - t)^2 + t^2}}, \qquad
           \sqrt{\frac{N_a + N_b}{(1 - t)^2 + t^2}}
           \Big[\tfrac{1 - t}{\sqrt{N_a}}\, a \oplus \tfrac{t}{\sqrt{N_b}}\, b\Big] .

Weights are kept as in the files, of any magnitude, and normalised when they are used; or once and for all by
`EDM2UNet.lower`. In training the paper also writes them back normalised, which is not done here.

The names of parameters are those of the files. All is written from the paper; no file was at hand.

Reference: Karras et al. 2024, arXiv 2312.02696, config G, figure 21 and appendix B.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gpu_runs.checkpoints.networks import UNet
from seeds_theory.errors import ParameterError

_SMALL = 1e-4
"""Beside the magnitude of a vector that is scaled to 1."""


def normalised(x: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Vectors along these dimensions, scaled to a root mean square of 1; one of zeros stays."""
    precise = torch.promote_types(x.dtype, torch.float32)
    norm = torch.linalg.vector_norm(x, dim=dim, keepdim=True, dtype=precise)
    magnitude = _SMALL + norm * math.sqrt(norm.numel() / x.numel())
    return x / magnitude.to(x.dtype)


def mp_silu(x: Tensor) -> Tensor:
    """The activation function, of variance 1 for a standard normal x."""
    return functional.silu(x) / 0.596


def mp_sum(a: Tensor, b: Tensor, balance: float) -> Tensor:
    """A sum of a and b in the proportion 1 - balance to balance."""
    return torch.lerp(a, b, balance) / math.hypot(1 - balance, balance)


def mp_cat(a: Tensor, b: Tensor, balance: float) -> Tensor:
    """The channels of a and those of b, which contribute 1 - balance to balance, whatever their numbers."""
    n_a, n_b = a.shape[1], b.shape[1]
    scale = math.sqrt(n_a + n_b) / math.hypot(1 - balance, balance)
    return torch.cat(
        [a * (scale * (1 - balance) / math.sqrt(n_a)), b * (scale * balance / math.sqrt(n_b))],
        dim=1,
    )


class MPConv(nn.Module):
    """A convolution with zero padding, or a matrix, that keeps magnitudes but for a gain.

    kernel : odd, or 0 for a matrix.
    """

    def __init__(self, c_in: int, c_out: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in, *[kernel, kernel][: 2 * kernel]))
        self.fixed = False

    def _effective(self) -> Tensor:
        """The weight that counts: rows of norm 1."""
        weight = self.weight.to(torch.promote_types(self.weight.dtype, torch.float32))
        inner = tuple(range(1, weight.ndim))
        return normalised(weight, inner) / math.sqrt(weight[0].numel())

    def fix(self, dtype: torch.dtype) -> None:
        """Put the weight that counts in the place of the stored one, in this precision."""
        weight = self.weight if self.fixed else self._effective()
        self.weight.data, self.fixed = weight.detach().to(dtype), True

    def forward(self, x: Tensor, gain: Tensor | None = None) -> Tensor:
        """(batch, c_in, n, n), or (batch, c_in) for a matrix, to as many with c_out channels."""
        weight = self.weight if self.fixed else self._effective()
        if gain is not None:
            weight = weight * gain
        weight = weight.to(x.dtype)
        if weight.ndim == 2:
            return x @ weight.T
        return functional.conv2d(x, weight, padding=weight.shape[-1] // 2)


class MPFourier(nn.Module):
    """Cosines of the noise label at random frequencies and phases, which are part of the network."""

    freqs: Tensor
    phases: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("freqs", 2 * math.pi * torch.randn(channels))
        self.register_buffer("phases", 2 * math.pi * torch.rand(channels))

    def forward(self, noise: Tensor) -> Tensor:
        """Labels (batch,) to (batch, channels)."""
        angles = torch.outer(noise, self.freqs.to(noise.dtype)) + self.phases.to(noise.dtype)
        return math.sqrt(2) * angles.cos()


class MPBlock(nn.Module):
    """A residual block, with attention at its end if it has heads.

    decoder : the branch starts from what comes in, not from what is passed on, which is normalised for
        each pixel in the encoder only. balances : shares of the branch and of the attention.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        emb: int,
        *,
        decoder: bool,
        change: str | None,
        heads: int,
        balances: tuple[float, float],
        dropout: float,
        clip: float | None,
    ) -> None:
        super().__init__()
        if heads and c_out % heads:
            raise ParameterError(f"no attention has {heads} heads for {c_out} channels")
        self.decoder, self.change, self.heads = decoder, change, heads
        self.balances, self.dropout, self.clip = balances, dropout, clip
        self.emb_gain = nn.Parameter(torch.zeros(()))
        self.conv_res0 = MPConv(c_in if decoder else c_out, c_out, 3)
        self.emb_linear = MPConv(emb, c_out, 0)
        self.conv_res1 = MPConv(c_out, c_out, 3)
        self.conv_skip = MPConv(c_in, c_out, 1) if c_in != c_out else None
        if heads:
            self.attn_qkv = MPConv(c_out, 3 * c_out, 1)
            self.attn_proj = MPConv(c_out, c_out, 1)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """States (batch, c_in, n, n) and embeddings (batch, emb) to (batch, c_out, m, m)."""
        if self.change == "down":
            x = functional.avg_pool2d(x, 2)
        elif self.change == "up":
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        passed = x if self.conv_skip is None else self.conv_skip(x)
        if not self.decoder:
            x = passed = normalised(passed, 1)
        h = self.conv_res0(mp_silu(x))
        scale = self.emb_linear(e, self.emb_gain) + 1
        h = mp_silu(h * scale[:, :, None, None].to(h.dtype))
        h = functional.dropout(h, self.dropout, self.training)
        of_branch, of_attention = self.balances
        h = mp_sum(passed, self.conv_res1(h), of_branch)
        if self.heads:
            h = mp_sum(h, self._attention(h), of_attention)
        return h if self.clip is None else h.clamp(-self.clip, self.clip)

    def _attention(self, x: Tensor) -> Tensor:
        batch, channels, *size = x.shape
        # As in the files of EDM: q, k and v are the last index of the channels of a head.
        qkv = self.attn_qkv(x).reshape(batch, self.heads, channels // self.heads, 3, -1)
        q, k, v = normalised(qkv, 2).permute(3, 0, 1, 4, 2).contiguous().unbind()
        y = functional.scaled_dot_product_attention(q, k, v)
        return self.attn_proj(y.transpose(2, 3).reshape(batch, channels, *size))


class EDM2UNet(UNet):
    """The network of EDM2's config G.

    Parameters
    ----------
    img_resolution, in_channels, out_channels : of the images, or of latents.
    label_dim : number of classes, 0 for none.
    model_channels, channel_mult : channels at each resolution are model_channels * channel_mult[level].
    channel_mult_noise, channel_mult_emb : channels of the noise label and of the embedding, in
        model_channels; by default those of the first level, and the most of any.
    num_blocks : blocks per resolution. attn_resolutions : those with attention.
    label_balance, concat_balance, res_balance, attn_balance : shares of the class in the embedding, of the
        encoder's state in what the decoder joins, of a branch, and of attention.
    channels_per_head : of attention; a narrower level has none.
    dropout : in training. clip_act : bound of what a block returns, or None.
    """

    def __init__(
        self,
        img_resolution: int,
        in_channels: int,
        out_channels: int,
        label_dim: int = 0,
        model_channels: int = 192,
        channel_mult: Sequence[int] = (1, 2, 3, 4),
        channel_mult_noise: int | None = None,
        channel_mult_emb: int | None = None,
        num_blocks: int = 3,
        attn_resolutions: Sequence[int] = (16, 8),
        label_balance: float = 0.5,
        concat_balance: float = 0.5,
        res_balance: float = 0.3,
        attn_balance: float = 0.3,
        channels_per_head: int = 64,
        dropout: float = 0.0,
        clip_act: float | None = 256.0,
    ) -> None:
        widths = [model_channels * mult for mult in channel_mult]
        super().__init__(img_resolution, widths, num_blocks, attn_resolutions)
        noise = model_channels * channel_mult_noise if channel_mult_noise else widths[0]
        self.emb = model_channels * channel_mult_emb if channel_mult_emb else max(widths)
        self.label_balance, self.concat_balance = label_balance, concat_balance
        self.balances = res_balance, attn_balance
        self.channels_per_head, self.dropout, self.clip = channels_per_head, dropout, clip_act
        self.emb_fourier = MPFourier(noise)
        self.emb_noise = MPConv(noise, self.emb, 0)
        self.emb_label = MPConv(label_dim, self.emb, 0) if label_dim else None
        # One channel of ones beside the image: the layers have no biases.
        c = self._add_ladder(in_channels + 1, widths[0], all_attend=True)
        self.out_conv = MPConv(c, out_channels, 3)
        self.out_gain = nn.Parameter(torch.zeros(()))

    def _stem(self, c_in: int, c_out: int) -> nn.Module:
        return MPConv(c_in, c_out, 3)

    def _block(
        self,
        c_in: int,
        c_out: int,
        change: str | None = None,
        *,
        attention: bool = False,
        decoder: bool = False,
    ) -> nn.Module:
        return MPBlock(
            c_in,
            c_out,
            self.emb,
            decoder=decoder,
            change=change,
            heads=c_out // self.channels_per_head if attention else 0,
            balances=self.balances,
            dropout=self.dropout,
            clip=self.clip,
        )

    def _join(self, h: Tensor, state: Tensor) -> Tensor:
        return mp_cat(h, state, self.concat_balance)

    @property
    def embedding_dtype(self) -> torch.dtype:
        """As of the base class."""
        return self.emb_noise.weight.dtype

    def lower(self, dtype: torch.dtype) -> None:
        """Normalise all weights for good, and bring convolutions to this precision.

        The state dict is no longer that of the file.
        """
        for module in self.modules():
            if isinstance(module, MPConv):
                is_matrix = module.weight.ndim == 2
                module.fix(self.embedding_dtype if is_matrix else dtype)

    def forward(self, x: Tensor, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """States (batch, channels, n, n), noise labels (batch,), one-hot classes (batch, label_dim)."""
        e = self.emb_noise(self.emb_fourier(noise).to(self.embedding_dtype))
        if self.emb_label is not None and labels is not None:
            scaled = labels.to(e.dtype) * math.sqrt(labels.shape[1])
            e = mp_sum(e, self.emb_label(scaled), self.label_balance)
        e = mp_silu(e)
        states = self._descend(torch.cat([x, torch.ones_like(x[:, :1])], dim=1), e)
        h, _ = self._ascend(states, e)
        return self.out_conv(h, self.out_gain)
