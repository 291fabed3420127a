r"""The two U-Nets of EDM checkpoints, DDPM++ / NCSN++ (`SongUNet`) and ADM (`DhariwalUNet`).

Both go down a ladder of resolutions and up again; each step down or up halves or doubles the resolution
with a fixed filter, and the decoder is given every state of the encoder. A block is

.. math::  h = \mathrm{conv}_0(\mathrm{silu}(\mathrm{norm}_0(x))), \quad
           h = \mathrm{conv}_1(\mathrm{silu}(\mathrm{embed}(\mathrm{norm}_1, h, e))), \quad
           y = (h + \mathrm{skip}(x))\,s,

followed by attention where the resolution asks for it. The names of parameters are those of the files, so
a state dict of a checkpoint fits as it is.

References: Song et al., arXiv 2011.13456 (DDPM++, NCSN++); Dhariwal and Nichol, arXiv 2105.05233 (ADM);
Karras et al., arXiv 2206.00364, Table 7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Conv(nn.Module):
    """A convolution with zero padding, after a change of resolution by a factor of 2.

    kernel : odd, or 0 for none: then only the resolution changes.
    change : "up", "down" or None. taps : of the filter with which it changes.
    fused : the fixed filter comes after the convolution, and both see the same zero padding.
    """

    weight: nn.Parameter
    bias: nn.Parameter
    resample_filter: Tensor

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        *,
        change: str | None = None,
        taps: Sequence[float] = (1, 1),
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.kernel, self.change, self.fused = kernel, change, fused
        self.padding = kernel // 2
        if kernel:
            self.weight = nn.Parameter(torch.empty(c_out, c_in, kernel, kernel))
            self.bias = nn.Parameter(torch.zeros(c_out))
            nn.init.kaiming_uniform_(self.weight, a=math.sqrt(3))
        if change:
            total = sum(taps) ** 2
            kernel_2d = [[a * b / total for b in taps] for a in taps]
            self.register_buffer("resample_filter", torch.tensor(kernel_2d)[None, None])
        self.filter_padding = (len(taps) - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c_in, n, n) to (batch, c_out, m, m), with m = n, n / 2 or 2 n."""
        if self.fused:
            x = functional.conv2d(x, self.weight, padding=self.padding + self.filter_padding)
            return self._resample(x, padding=0) + self.bias[:, None, None]
        if self.change:
            x = self._resample(x, padding=self.filter_padding)
        if not self.kernel:
            return x
        return functional.conv2d(x, self.weight, self.bias, padding=self.padding)

    def _resample(self, x: Tensor, padding: int) -> Tensor:
        channels = x.shape[1]
        kernel = self.resample_filter.to(x.dtype).expand(channels, -1, -1, -1)
        if self.change == "up":
            return functional.conv_transpose2d(
                x, 4 * kernel, stride=2, padding=padding, groups=channels
            )
        return functional.conv2d(x, kernel, stride=2, padding=padding, groups=channels)


def group_norm(channels: int, eps: float, groups: int = 0) -> nn.GroupNorm:
    """Of so many groups; 0 for groups of four channels or more, 32 groups at most."""
    return nn.GroupNorm(groups or min(32, channels // 4), channels, eps=eps)


class LearnedChange(nn.Module):
    """A change of resolution by a convolution: of stride 2, or after every pixel was doubled.

    It stands in the place of a block, and looks at no embedding.
    """

    def __init__(self, channels: int, change: str) -> None:
        super().__init__()
        self.change, self.conv = change, Conv(channels, channels, 3)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """(batch, channels, n, n) to (batch, channels, m, m), with m = n / 2 or 2 n."""
        if self.change == "up":
            return self.conv(functional.interpolate(x, scale_factor=2, mode="nearest"))
        return functional.conv2d(x, self.conv.weight, self.conv.bias, stride=2, padding=1)


class UNetBlock(nn.Module):
    """A residual block; see the module. The embedding shifts, and with `scales` also scales.

    heads : of the attention; 0 for none. skip_scale : of the sum of a branch and what it bypasses.
    groups : as of `group_norm`.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        emb: int,
        *,
        change: str | None = None,
        taps: Sequence[float] = (1, 1),
        heads: int = 0,
        scales: bool,
        skip_scale: float,
        eps: float,
        dropout: float,
        project_skip: bool,
        groups: int = 0,
    ) -> None:
        super().__init__()
        self.heads, self.scales, self.skip_scale, self.dropout = heads, scales, skip_scale, dropout
        self.norm0 = group_norm(c_in, eps, groups)
        self.conv0 = Conv(c_in, c_out, 3, change=change, taps=taps)
        self.affine = nn.Linear(emb, 2 * c_out if scales else c_out)
        self.norm1 = group_norm(c_out, eps, groups)
        self.conv1 = _starting_at_zero(Conv(c_out, c_out, 3))
        self.skip: Conv | None = None
        if change or c_in != c_out:
            kernel = 1 if project_skip or c_in != c_out else 0
            self.skip = Conv(c_in, c_out, kernel, change=change, taps=taps)
        if heads:
            self.norm2 = group_norm(c_out, eps, groups)
            self.qkv = Conv(c_out, 3 * c_out, 1)
            self.proj = _starting_at_zero(Conv(c_out, c_out, 1))

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """States (batch, c_in, n, n) and embeddings (batch, emb) to (batch, c_out, m, m)."""
        h = self.conv0(functional.silu(self.norm0(x)))
        change = self.affine(e)[:, :, None, None].to(x.dtype)
        if self.scales:
            scale, shift = change.chunk(2, dim=1)
            h = torch.addcmul(shift, self.norm1(h), scale + 1)
        else:
            h = self.norm1(h + change)
        h = functional.dropout(functional.silu(h), self.dropout, self.training)
        h = self.conv1(h)
        h = (h + (x if self.skip is None else self.skip(x))) * self.skip_scale
        if self.heads:
            h = (self._attention(h) + h) * self.skip_scale
        return h

    def _attention(self, x: Tensor) -> Tensor:
        batch, channels, *size = x.shape
        # The files interleave q, k and v: they are the last index of the channels of a head.
        qkv = self.qkv(self.norm2(x)).reshape(batch, self.heads, channels // self.heads, 3, -1)
        # Each (batch, heads, pixels, channels), as one block: the fast kernels need that.
        q, k, v = qkv.permute(3, 0, 1, 4, 2).contiguous().unbind()
        y = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(2, 3).reshape(batch, channels, *size))


def _starting_at_zero(conv: Conv) -> Conv:
    """A residual branch starts out as nothing: a new network is near the identity."""
    nn.init.zeros_(conv.weight)
    return conv


class _Positional(nn.Module):
    """cos and sin of the noise label at frequencies from 1 down to 1/10000, the latter included or not."""

    def __init__(self, channels: int, endpoint: bool) -> None:
        super().__init__()
        self.count = channels // 2
        self.last = max(self.count - 1 if endpoint else self.count, 1)

    def forward(self, noise: Tensor) -> Tensor:
        # Made on the device: a copy from the host would wait for it.
        steps = torch.arange(self.count, dtype=noise.dtype, device=noise.device) / self.last
        angles = torch.outer(noise, 1e-4**steps)
        return torch.cat([angles.cos(), angles.sin()], dim=1)


class _Fourier(nn.Module):
    """cos and sin of the noise label at random frequencies, which are part of the network."""

    freqs: Tensor

    def __init__(self, channels: int, scale: float = 16.0) -> None:
        super().__init__()
        self.register_buffer("freqs", torch.randn(channels // 2).mul_(scale))

    def forward(self, noise: Tensor) -> Tensor:
        angles = torch.outer(noise, 2 * math.pi * self.freqs.to(noise.dtype))
        return torch.cat([angles.cos(), angles.sin()], dim=1)


class UNet(nn.Module):
    """What all networks share: the ladder of resolutions, and how states pass between its two sides."""

    enc: nn.ModuleDict
    dec: nn.ModuleDict
    map_layer0: nn.Linear

    def __init__(
        self, resolution: int, widths: Sequence[int], num_blocks: int, attention: Sequence[int]
    ) -> None:
        super().__init__()
        resolutions = [resolution >> level for level in range(len(widths))]
        self.sizes = [f"{n}x{n}" for n in resolutions]
        self.widths, self.num_blocks = list(widths), num_blocks
        self.attends = [n in attention for n in resolutions]

    def _stem(self, c_in: int, c_out: int) -> nn.Module:
        """The first convolution."""
        return Conv(c_in, c_out, 3)

    def _block(
        self,
        c_in: int,
        c_out: int,
        change: str | None = None,
        *,
        attention: bool = False,
        decoder: bool = False,
    ) -> nn.Module:
        """A block of this network, in its encoder or its decoder."""
        raise NotImplementedError

    def _join(self, h: Tensor, state: Tensor) -> Tensor:
        """A state of the decoder and one of the encoder, channels beside channels."""
        return torch.cat([h, state], dim=1)

    def _carry(self, size: str, c: int) -> None:
        """Add what carries the input down to a resolution, beside states of c channels."""

    def _write(self, level: int, size: str, c: int) -> None:
        """Add what writes an image at a resolution, from c channels."""

    def _add_ladder(self, c: int, first: int, *, all_attend: bool) -> int:
        """Make `enc` and `dec` for c input channels; returns the channels of the last state.

        first : channels after the first convolution. all_attend : all blocks of the decoder have attention
            where it is asked for, not only the last of a resolution.
        """
        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()
        ladder = list(enumerate(zip(self.sizes, self.widths, self.attends, strict=True)))
        kept = []  # channels of the encoder's states
        for level, (size, width, attends) in ladder:
            if level == 0:
                self.enc[f"{size}_conv"] = self._stem(c, first)
                c = first
            else:
                self.enc[f"{size}_down"] = self._block(c, c, "down")
                self._carry(size, c)
            kept.append(c)
            for i in range(self.num_blocks):
                self.enc[f"{size}_block{i}"] = self._block(c, width, attention=attends)
                c = width
                kept.append(c)
        for level, (size, width, attends) in reversed(ladder):
            if size == self.sizes[-1]:
                self.dec[f"{size}_in0"] = self._block(c, c, attention=True, decoder=True)
                self.dec[f"{size}_in1"] = self._block(c, c, decoder=True)
            else:
                self.dec[f"{size}_up"] = self._block(c, c, "up", decoder=True)
            for i in range(self.num_blocks + 1):
                attention = attends and (all_attend or i == self.num_blocks)
                self.dec[f"{size}_block{i}"] = self._block(
                    c + kept.pop(), width, attention=attention, decoder=True
                )
                c = width
            self._write(level, size, c)
        return c

    @property
    def dtype(self) -> torch.dtype:
        """Of the states: that of convolutions and norms, which `lower` changes."""
        return next(self.enc[f"{self.sizes[0]}_conv"].parameters()).dtype

    @property
    def embedding_dtype(self) -> torch.dtype:
        """Of the layers that make the embedding."""
        return self.map_layer0.weight.dtype

    def lower(self, dtype: torch.dtype) -> None:
        """Bring convolutions and norms to a lower precision; the embedding keeps its own."""
        for module in self.modules():
            if isinstance(module, Conv | nn.GroupNorm):
                for parameter in module.parameters(recurse=False):
                    parameter.data = parameter.data.to(dtype)

    def _descend(self, x: Tensor, e: Tensor) -> list[Tensor]:
        """The states of the encoder, in the order in which it made them."""
        states, image = [], x  # `image`: the input, carried down beside the states
        for level, size in enumerate(self.sizes):
            if level == 0:
                h = self.enc[f"{size}_conv"](x)
            else:
                h = self.enc[f"{size}_down"](h, e)
                if f"{size}_aux_residual" in self.enc:
                    h = image = (h + self.enc[f"{size}_aux_residual"](image)) * math.sqrt(0.5)
                elif f"{size}_aux_skip" in self.enc:
                    image = self.enc[f"{size}_aux_down"](image)
                    h = h + self.enc[f"{size}_aux_skip"](image)
            states.append(h)
            for i in range(self.num_blocks):
                h = self.enc[f"{size}_block{i}"](h, e)
                states.append(h)
        return states

    def _ascend(self, states: list[Tensor], e: Tensor) -> tuple[Tensor, Tensor | None]:
        """The last state of the decoder, and the image that it wrote on its way, if it did."""
        h, image = states[-1], None
        for size in reversed(self.sizes):
            if size == self.sizes[-1]:
                h = self.dec[f"{size}_in1"](self.dec[f"{size}_in0"](h, e), e)
            else:
                h = self.dec[f"{size}_up"](h, e)
            for i in range(self.num_blocks + 1):
                h = self.dec[f"{size}_block{i}"](self._join(h, states.pop()), e)
            if f"{size}_aux_conv" in self.dec:
                written = self.dec[f"{size}_aux_conv"](
                    functional.silu(self.dec[f"{size}_aux_norm"](h))
                )
                image = written if image is None else self.dec[f"{size}_aux_up"](image) + written
        return h, image


class SongUNet(UNet):
    """DDPM++ (positional embedding, standard encoder) and NCSN++ (Fourier, residual).

    Parameters
    ----------
    img_resolution, in_channels, out_channels : of the images.
    label_dim : number of classes, 0 for none. augment_dim : of labels used in training only.
    model_channels, channel_mult : channels at each resolution are model_channels * channel_mult[level].
    channel_mult_emb, channel_mult_noise : channels of the embedding and of the noise label.
    num_blocks : blocks per resolution. attn_resolutions : those with attention.
    dropout : in training.
    embedding_type : "positional" or "fourier". encoder_type : "standard", "skip" or "residual".
    decoder_type : "standard" or "skip". resample_filter : taps.
    """

    def __init__(
        self,
        img_resolution: int,
        in_channels: int,
        out_channels: int,
        label_dim: int = 0,
        augment_dim: int = 0,
        model_channels: int = 128,
        channel_mult: Sequence[int] = (1, 2, 2, 2),
        channel_mult_emb: int = 4,
        num_blocks: int = 4,
        attn_resolutions: Sequence[int] = (16,),
        dropout: float = 0.10,
        embedding_type: str = "positional",
        channel_mult_noise: int = 1,
        encoder_type: str = "standard",
        decoder_type: str = "standard",
        resample_filter: Sequence[float] = (1, 1),
    ) -> None:
        widths = [model_channels * mult for mult in channel_mult]
        super().__init__(img_resolution, widths, num_blocks, attn_resolutions)
        noise = model_channels * channel_mult_noise
        self.emb, self.dropout, self.taps = (
            model_channels * channel_mult_emb,
            dropout,
            resample_filter,
        )
        self.encoder_type, self.decoder_type = encoder_type, decoder_type
        self.c_image, self.out_channels = in_channels, out_channels
        self.map_noise = (
            _Positional(noise, endpoint=True) if embedding_type == "positional" else _Fourier(noise)
        )
        self.map_label = nn.Linear(label_dim, noise) if label_dim else None
        self.map_augment = nn.Linear(augment_dim, noise, bias=False) if augment_dim else None
        self.map_layer0 = nn.Linear(noise, self.emb)
        self.map_layer1 = nn.Linear(self.emb, self.emb)
        self._add_ladder(in_channels, model_channels, all_attend=False)

    def _block(
        self,
        c_in: int,
        c_out: int,
        change: str | None = None,
        *,
        attention: bool = False,
        decoder: bool = False,
    ) -> UNetBlock:
        return UNetBlock(
            c_in,
            c_out,
            self.emb,
            change=change,
            taps=self.taps,
            heads=int(attention),
            scales=False,
            skip_scale=math.sqrt(0.5),
            eps=1e-6,
            dropout=self.dropout,
            project_skip=True,
        )

    def _carry(self, size: str, c: int) -> None:
        if self.encoder_type == "skip":
            self.enc[f"{size}_aux_down"] = Conv(
                self.c_image, self.c_image, 0, change="down", taps=self.taps
            )
            self.enc[f"{size}_aux_skip"] = Conv(self.c_image, c, 1)
        elif self.encoder_type == "residual":
            self.enc[f"{size}_aux_residual"] = Conv(
                self.c_image, c, 3, change="down", taps=self.taps, fused=True
            )
            self.c_image = c

    def _write(self, level: int, size: str, c: int) -> None:
        if level > 0 and self.decoder_type != "skip":
            return
        n = self.out_channels
        if self.decoder_type == "skip" and size != self.sizes[-1]:
            self.dec[f"{size}_aux_up"] = Conv(n, n, 0, change="up", taps=self.taps)
        self.dec[f"{size}_aux_norm"] = group_norm(c, 1e-6)
        self.dec[f"{size}_aux_conv"] = _starting_at_zero(Conv(c, n, 3))

    def forward(self, x: Tensor, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """States (batch, channels, n, n), noise labels (batch,), one-hot classes (batch, label_dim)."""
        e = self.map_noise(noise)
        cos, sin = e.chunk(2, dim=1)
        e = torch.cat([sin, cos], dim=1).to(self.embedding_dtype)
        if self.map_label is not None and labels is not None:
            e = e + self.map_label(labels.to(e.dtype) * math.sqrt(labels.shape[1]))
        e = functional.silu(self.map_layer1(functional.silu(self.map_layer0(e))))
        _, image = self._ascend(self._descend(x, e), e)
        assert image is not None
        return image


class DhariwalUNet(UNet):
    """ADM: more channels at lower resolutions, attention with heads of 64 channels, scale and shift.

    Parameters are as of `SongUNet`, where a factor of `channel_mult` may be 1/2, and

    head_channels, num_heads : attention has ``channels // head_channels`` heads, so that narrow levels have
        none; or, if it is not 0, num_heads.
    scale_shift : the embedding scales, too. norm_groups : as of `group_norm`.
    resampling : "block", by blocks with a fixed filter, or "conv", by a convolution.
    """

    def __init__(
        self,
        img_resolution: int,
        in_channels: int,
        out_channels: int,
        label_dim: int = 0,
        augment_dim: int = 0,
        model_channels: int = 192,
        channel_mult: Sequence[float] = (1, 2, 3, 4),
        channel_mult_emb: int = 4,
        num_blocks: int = 3,
        attn_resolutions: Sequence[int] = (32, 16, 8),
        dropout: float = 0.10,
        head_channels: int = 64,
        num_heads: int = 0,
        scale_shift: bool = True,
        norm_groups: int = 0,
        resampling: str = "block",
    ) -> None:
        widths = [int(model_channels * mult) for mult in channel_mult]
        super().__init__(img_resolution, widths, num_blocks, attn_resolutions)
        self.head_channels, self.num_heads = head_channels, num_heads
        self.scale_shift, self.norm_groups, self.resampling = scale_shift, norm_groups, resampling
        self.emb, self.dropout = model_channels * channel_mult_emb, dropout
        self.map_noise = _Positional(model_channels, endpoint=False)
        self.map_augment = (
            nn.Linear(augment_dim, model_channels, bias=False) if augment_dim else None
        )
        self.map_layer0 = nn.Linear(model_channels, self.emb)
        self.map_layer1 = nn.Linear(self.emb, self.emb)
        self.map_label = nn.Linear(label_dim, self.emb, bias=False) if label_dim else None
        c = self._add_ladder(in_channels, widths[0], all_attend=True)
        self.out_norm = group_norm(c, 1e-5, norm_groups)
        self.out_conv = _starting_at_zero(Conv(c, out_channels, 3))

    def _block(
        self,
        c_in: int,
        c_out: int,
        change: str | None = None,
        *,
        attention: bool = False,
        decoder: bool = False,
    ) -> UNetBlock | LearnedChange:
        if change and self.resampling == "conv":
            return LearnedChange(c_out, change)
        heads = self.num_heads or c_out // self.head_channels
        return UNetBlock(
            c_in,
            c_out,
            self.emb,
            change=change,
            heads=heads if attention else 0,
            scales=self.scale_shift,
            skip_scale=1.0,
            eps=1e-5,
            dropout=self.dropout,
            project_skip=False,
            groups=self.norm_groups,
        )

    def forward(self, x: Tensor, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """As of `SongUNet.forward`."""
        e = self.map_noise(noise).to(self.embedding_dtype)
        e = self.map_layer1(functional.silu(self.map_layer0(e)))
        if self.map_label is not None and labels is not None:
            e = e + self.map_label(labels.to(e.dtype))
        e = functional.silu(e)
        h, _ = self._ascend(self._descend(x, e), e)
        return self.out_conv(functional.silu(self.out_norm(h)))


NETWORKS: dict[str, type[SongUNet] | type[DhariwalUNet]] = {
    "SongUNet": SongUNet,
    "DhariwalUNet": DhariwalUNet,
}
"""Class name in a checkpoint to network."""
