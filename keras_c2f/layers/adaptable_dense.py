import keras


@keras.saving.register_keras_serializable("keras_c2f")
class AdaptableDense(keras.layers.Dense):
    """A `Dense` layer whose low-rank adapters are saved beside its kernel.

    Keras saves the kernel with the adapters merged into it, and loads both
    adapters as zeros, which have no gradient. Here a checkpoint goes on from
    where it was. Without adapters, files are those of `Dense`.

    Args, call arguments and results are those of `keras.layers.Dense`.

    Example:
        >>> layer = AdaptableDense(4)
        >>> layer.build((None, 8))
        >>> layer.enable_lora(2)
        >>> [tuple(weight.shape) for weight in layer.trainable_weights]
        [(4,), (8, 2), (2, 4)]

    Reference:
        Hu et al., "LoRA", ICLR 2022, section 4.1.
    """

    def quantize(self, mode=None, type_check=False, config=None):
        """`Dense.quantize`, which refuses subclasses if it checks the type."""
        super().quantize(mode, type_check=False, config=config)

    def save_own_variables(self, store):
        if not self.lora_enabled or self.quantization_mode:
            super().save_own_variables(store)
            return
        for variable in self.variables:
            store[variable.name] = variable

    def load_own_variables(self, store):
        if "lora_kernel_a" not in store.keys():  # HDF5's
            super().load_own_variables(store)
            return
        for variable in self.variables:
            variable.assign(store[variable.name])


def lora_macs(layer, num_tokens):
    """Multiply-accumulates of the adapters of a built dense layer."""
    if not layer.lora_enabled:
        return 0
    inputs = layer.lora_kernel_a.shape[0]
    return num_tokens * layer.lora_rank * (inputs + layer.units)


def frozen_macs(layer, num_tokens):
    """Multiply-accumulates of a kernel that adapters stand beside."""
    if not layer.lora_enabled:
        return 0
    return num_tokens * layer.lora_kernel_a.shape[0] * layer.units
