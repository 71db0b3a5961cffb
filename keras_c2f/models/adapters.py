"""Low-rank adapters beside the kernels of a backbone, and merged into them."""

from keras import ops

from keras_c2f.models.phase_network import PhaseNetwork


def add_adapters(backbone, rank):
    """Freezes a backbone, and puts trained adapters beside its kernels.

    Those of attention and perceptrons, in all blocks. All else of the backbone
    stays as it is: norms, biases, positions, patch embedding.

    Args:
        backbone: `Backbone` that is being built.
        rank: int; 0 does nothing.

    Raises:
        ValueError: if `rank` is negative, or the adapters would be no smaller
            than a kernel.
    """
    if not rank:
        return
    blocks = [x for x in backbone.layers if hasattr(x, "dense_layers")]
    dense_layers = [dense for block in blocks for dense in block.dense_layers]
    most = min(_no_larger_than(dense) for dense in dense_layers)
    if not 1 <= rank <= most:
        raise ValueError(
            "`lora_rank` is 0, without adapters, or at least 1 and, for "
            "adapters no larger than the kernels they stand beside, at most "
            f"{most}. Received: lora_rank={rank}."
        )
    for layer in backbone.layers:
        if layer not in blocks:
            layer.trainable = False
    for variable in (v for block in blocks for v in block.variables):
        variable.trainable = False
    for dense in dense_layers:
        dense.enable_lora(rank)


def _no_larger_than(dense):
    """int, the rank at which adapters have as many weights as the kernel."""
    inputs, outputs = dense.kernel.shape
    return inputs * outputs // (inputs + outputs)


def merge_adapters(network: PhaseNetwork) -> PhaseNetwork:
    """A network of kernels alone that computes the same.

    Args:
        network: backbone, or model on one.

    Returns:
        A new network without adapters; `network` itself if it has none.
    """
    backbone = getattr(network, "backbone", network)
    if not getattr(backbone, "lora_rank", 0):
        return network
    plain = backbone.with_arguments(lora_rank=0)
    if network is not backbone:
        plain = network.with_backbone(plain)
    weights = [w for w in network.weights if "lora_kernel" not in w.name]
    for old, new in zip(weights, plain.weights, strict=True):
        new.assign(ops.copy(old))
    target = getattr(plain, "backbone", plain)
    for old, new in zip(backbone.layers, target.layers, strict=True):
        pairs = (getattr(x, "dense_layers", ()) for x in (old, new))
        for adapted, dense in zip(*pairs, strict=True):
            dense.kernel.assign(adapted.kernel)  # as Keras merges them
    return plain
