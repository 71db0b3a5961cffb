"""The originals that Hugging Face has not, restated small in torch.

Names and shapes of weights are those in the files that their authors publish:
timm's vision transformer, under AST's, SSAST's and PaSST's wrappers.
"""

import torch
from torch import nn
from torch.nn import functional

WIDTH = 24


class Attention(nn.Module):
    def __init__(self, width, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens):
        def heads(part):
            return part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

        query, key, value = map(heads, self.qkv(tokens).chunk(3, dim=-1))
        scores = query @ key.mT * query.shape[-1] ** -0.5
        mixed = scores.softmax(-1) @ value
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens):
        return self.fc2(functional.gelu(self.fc1(tokens)))


class Block(nn.Module):
    def __init__(self, width, num_heads, hidden):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, num_heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, hidden)

    def forward(self, tokens):
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class Vit(nn.Module):
    """timm's layout; pairs are `(freq, time)`, as the originals have them."""

    def __init__(
        self,
        patch=(16, 16),
        stride=(16, 16),
        grid=(2, 3),
        channels=1,
        num_tokens=2,
        width=WIDTH,
        num_heads=3,
        depth=3,
        hidden=60,
        num_classes=7,
    ):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        if num_tokens == 2:
            self.dist_token = nn.Parameter(torch.zeros(1, 1, width))
        count = num_tokens + grid[0] * grid[1]
        self.pos_embed = nn.Parameter(torch.zeros(1, count, width))
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(channels, width, patch, stride)
        self.blocks = nn.Sequential(
            *(Block(width, num_heads, hidden) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, num_classes)
        if num_tokens == 2:
            self.head_dist = nn.Linear(width, num_classes)

    def prefix(self):
        tokens = [self.cls_token]
        if hasattr(self, "dist_token"):
            tokens.append(self.dist_token)
        return torch.cat(tokens, dim=1)

    def embed(self, images):
        """`(batch, channels, freq, time)` -> tokens."""
        patches = self.patch_embed.proj(images).flatten(2).mT
        prefix = self.prefix().expand(len(images), -1, -1)
        return torch.cat([prefix, patches], dim=1) + self.pos_embed

    def depths(self, tokens):
        """Tokens before the blocks, after each, and after the last norm."""
        states = [tokens]
        for block in self.blocks:
            states.append(block(states[-1]))
        return [*states, self.norm(states[-1])]


class Ast(nn.Module):
    """AST: `v` and `mlp_head`; clips are `(batch, time, freq)`.

    With `average_patches` it is what SSAST's authors fine-tune as `ft_avgtok`.
    """

    def __init__(self, num_classes=5, average_patches=False, **sizes):
        super().__init__()
        self.average_patches = average_patches
        self.v = Vit(**sizes)
        width = self.v.norm.weight.shape[0]
        self.mlp_head = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, num_classes)
        )

    def forward(self, clips):
        """States at every depth, and logits."""
        states = self.v.depths(self.v.embed(clips.mT[:, None]))
        count = self.v.prefix().shape[1]
        prefix, patches = states[-1][:, :count], states[-1][:, count:]
        pooled = (patches if self.average_patches else prefix).mean(1)
        return states, self.mlp_head(pooled)


class Ssast(nn.Module):
    """SSAST after pre-training: `v` and what the pretext tasks need."""

    def __init__(self, input_fdim, input_tdim, patch=(16, 16), **sizes):
        super().__init__()
        self.v = Vit(patch=patch, stride=patch, **sizes)
        width = self.v.norm.weight.shape[0]
        for name, value in (
            ("p_input_fdim", input_fdim),
            ("p_input_tdim", input_tdim),
        ):
            size = nn.Parameter(torch.tensor(value), requires_grad=False)
            setattr(self, name, size)
        values = patch[0] * patch[1]
        for name in ("cpredlayer", "gpredlayer"):
            layers = (nn.Linear(width, width), nn.ReLU())
            head = nn.Sequential(*layers, nn.Linear(width, values))
            setattr(self, name, head)
        self.mask_embed = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, clips):
        return self.v.depths(self.v.embed(clips.mT[:, None]))

    @torch.no_grad()
    def objectives(self, clips, masked):
        """Both losses and the accuracy, `mpc` and `mpg`, clip by clip.

        Args:
            clips: `(batch, time, freq)`.
            masked: for each clip, indices of patches, frequency-first; the
                original draws them inside.

        Returns:
            three floats: discriminative and generative loss, accuracy.
        """
        image = clips.mT[:, None]
        size = self.v.patch_embed.proj.kernel_size
        truth = functional.unfold(image, size, stride=size).mT
        first = self.v.prefix().shape[1]
        positions = self.v.pos_embed[0, first:]
        tokens = self.v.embed(image)
        for clip, places in enumerate(masked):
            tokens[clip, first + places] = self.mask_embed + positions[places]
        tokens = self.v.depths(tokens)[-1][:, first:]
        contrasts, errors, hits = [], [], []
        for clip, places in enumerate(masked):
            patches, outputs = truth[clip, places], tokens[clip, places]
            scores = patches @ self.cpredlayer(outputs).T
            contrasts.append(-scores.log_softmax(-1).diag())
            own = torch.arange(len(places))
            hits.append((scores.softmax(-1).argmax(0) == own).float())
            errors.append((self.gpredlayer(outputs) - patches) ** 2)
        return [torch.cat(x).mean().item() for x in (contrasts, errors, hits)]


class Passt(Vit):
    """PaSST: positions are a table of frequency plus one of time."""

    def __init__(
        self,
        grid=(2, 3),
        width=WIDTH,
        num_classes=5,
        entries=None,
        **sizes,
    ):
        super().__init__(
            grid=grid, width=width, num_classes=num_classes, **sizes
        )
        del self.pos_embed
        freq, time = grid[0], entries or grid[1]
        count = self.prefix().shape[1]
        for name, shape in (
            ("new_pos_embed", (1, count, width)),
            ("freq_new_pos_embed", (1, width, freq, 1)),
            ("time_new_pos_embed", (1, width, 1, time)),
        ):
            setattr(self, name, nn.Parameter(torch.zeros(shape)))
        self.head = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, num_classes)
        )

    def forward(self, clips):
        patches = self.patch_embed.proj(clips.mT[:, None])
        # shorter clips: the leading part, as in evaluation
        time = self.time_new_pos_embed[..., : patches.shape[-1]]
        patches = (patches + time + self.freq_new_pos_embed).flatten(2).mT
        prefix = self.prefix() + self.new_pos_embed
        prefix = prefix.expand(len(clips), -1, -1)
        states = self.depths(torch.cat([prefix, patches], dim=1))
        pooled = states[-1][:, : prefix.shape[1]].mean(1)
        return states, self.head(pooled)


def randomize(model, scale=0.3):
    """Every weight off its start, far enough for softmax not to be linear.

    Kernels by their number of inputs: of large patches tokens stay small.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.is_floating_point():
                noise = torch.randn(weight.shape, generator=generator)
                kernel = name.endswith("weight") and weight.ndim > 1
                inputs = weight[0].numel() if kernel else WIDTH
                weight += scale * (WIDTH / inputs) ** 0.5 * noise
    return model.eval()


def save_pth(model, path, prefix=""):
    """State dict in a pickle, keys under `prefix`."""
    state = model.state_dict()
    torch.save({prefix + key: value for key, value in state.items()}, path)
    return path
