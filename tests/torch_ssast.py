"""SSAST's two objectives restated in torch, clip by clip, around HF's AST.

What is restated is `mpc` and `mpg` of the original's `ASTModel`, which draw
their masks inside; here the masked patches are given. The original counts
patches and their values frequency-first.
"""

import keras
import numpy as np
import torch
import torch_ast
from torch import nn


class Original(nn.Module):
    """A tiny SSAST, random in all its weights.

    Args:
        patch_size, grid_size: pairs `(time, freq)`.
    """

    def __init__(self, patch_size, grid_size):
        super().__init__()
        self.patch_size, self.grid_size = patch_size, grid_size
        self.model = torch_ast.original(16, 16)
        self.body = self.model.audio_spectrogram_transformer
        width, time_first = torch_ast.SIZES["hidden_size"], patch_size[::-1]
        num_tokens, num_values = np.prod(grid_size), np.prod(patch_size)
        generator = torch.Generator().manual_seed(1)

        def random(*shape, scale=1.0):
            values = torch.randn(shape, generator=generator)
            return nn.Parameter(scale * values)

        embeddings = self.body.embeddings
        embeddings.patch_embeddings.projection = nn.Conv2d(
            1, width, time_first, time_first
        )
        embeddings.position_embeddings = random(1, num_tokens + 2, width)
        self.mask_embedding = random(width)
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(width, width),
                    nn.ReLU(),
                    nn.Linear(width, num_values),
                )
                for name in ("discriminative", "generative")
            }
        )

    @torch.no_grad()
    def forward(self, log_mel, masked):
        """Both losses and the accuracy of a batch.

        Args:
            log_mel: float array `(batch, frames, mel_bins)`.
            masked: for each clip, indices of patches, frequency-first.
        """
        image = torch.tensor(log_mel).transpose(1, 2)[:, None]
        size = self.patch_size[::-1]
        truth = nn.functional.unfold(image, size, stride=size).transpose(1, 2)
        embeddings = self.body.embeddings
        tokens = embeddings.patch_embeddings.projection(image)
        tokens = tokens.flatten(2).transpose(1, 2)
        for clip, places in enumerate(masked):
            tokens[clip, places] = self.mask_embedding
        prefix = [embeddings.cls_token, embeddings.distillation_token]
        prefix = [token.expand(len(tokens), -1, -1) for token in prefix]
        tokens = torch.cat([*prefix, tokens], dim=1)
        tokens = tokens + embeddings.position_embeddings
        for layer in self.body.layers:
            tokens = layer(tokens)
        tokens = self.body.layernorm(tokens)[:, 2:]

        contrasts, hits, errors = [], [], []
        for clip, places in enumerate(masked):
            patches = truth[clip, places]
            guesses = self.heads["discriminative"](tokens[clip, places])
            scores = patches @ guesses.T
            contrasts.append(-scores.log_softmax(dim=-1).diag())
            own = torch.arange(len(places))
            hits.append((scores.softmax(dim=-1).argmax(dim=0) == own).float())
            pictures = self.heads["generative"](tokens[clip, places])
            errors.append((pictures - patches) ** 2)
        return [torch.cat(x).mean().item() for x in (contrasts, errors, hits)]

    def copy_weights(self, network):
        """Gives the weights to our `MaskedPatchModel`."""
        weights = torch_ast.from_state_dict(
            self.model.state_dict(), self.grid_size
        )
        weights["mask_embedding/embedding"] = self.mask_embedding
        for name, head in self.heads.items():
            hidden, _, last = head
            weights[f"{name}_head/hidden/kernel"] = hidden.weight.T
            weights[f"{name}_head/hidden/bias"] = hidden.bias
            for kind, value in (("kernel", last.weight), ("bias", last.bias)):
                # (f*t, ...) -> (t, f, ...)
                value = value.reshape(*self.patch_size[::-1], *value.shape[1:])
                weights[f"{name}_head/{kind}"] = value.transpose(0, 1)
        for weight in network.trainable_weights:
            value = weights.pop(weight.path)
            if isinstance(value, torch.Tensor):
                value = value.detach().numpy()
            assert value.shape == tuple(weight.shape), weight.path
            weight.assign(value)
        left = {path.split("/")[0] for path in weights}
        assert left == {"head", "head_norm"}  # of the classifier


def masks_of(network, inputs):
    """Masked places of each clip as the original counts them."""
    mask = keras.Model(network.input, network.get_layer("mask").output)
    time, freq = np.divmod(
        keras.ops.convert_to_numpy(mask(inputs)),
        network.backbone.grid_size[1],
    )
    return freq * network.backbone.grid_size[0] + time
