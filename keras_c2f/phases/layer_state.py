"""What a layer has been given beside its weights, carried to the next phase."""

from keras.layers import Discretization, Normalization


def refuse_other_quantization(old, new):
    """Refuses layers of which one holds integers and the other floats.

    Raises:
        ValueError: naming the layer.
    """
    modes = [getattr(layer, "quantization_mode", None) for layer in (old, new)]
    if modes[0] != modes[1]:
        here, there = (mode or "not quantized" for mode in modes)
        raise ValueError(
            f"Layer {old.name!r} is {here} in one network and {there} in the "
            "next, and weights cannot be carried between the two. Train all "
            "phases first, then call `quantize` on the final network."
        )


def enable_lora_alike(old, new):
    """Low-rank adapters for `new` where `old` has them."""
    if getattr(old, "lora_enabled", False) and not new.lora_enabled:
        new.enable_lora(old.lora_rank, lora_alpha=old.lora_alpha)


def carry_adapted(old, new):
    """What `adapt` has learned; weights have been carried before."""
    if isinstance(new, Normalization):
        new.finalize_state()  # mean and variance as constants
    elif isinstance(new, Discretization):
        new.summary, new.bin_boundaries = old.summary, old.bin_boundaries
    elif hasattr(new, "set_vocabulary"):
        vocabulary = old.get_vocabulary()
        if list(vocabulary) != list(new.get_vocabulary()):
            state = {}
            old.save_own_variables(state)
            new.set_vocabulary(vocabulary, state.get("idf_weights"))
