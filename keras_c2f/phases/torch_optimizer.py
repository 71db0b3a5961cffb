"""Adam's step on PyTorch as one kernel for all weights.

Keras' own step reads and writes weights and moments a dozen times: on one CPU
core 283 ms for the 28 million weights of HTS-AT, a tenth of a training step
of four clips. PyTorch's fused kernel takes 19 ms. Results are equal up to
rounding.
"""

import contextlib

import keras

from keras_c2f.phases import keras_private


def fused_adam(model):
    """Context in which a step of `model` updates its weights by one kernel.

    Does nothing on other backends, with other optimizers than Keras' Adam and
    AdamW, and where weights are not float32.
    """
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    float32 = all(v.dtype == "float32" for v in model.trainable_variables)
    if not float32 or not keras_private.is_plain_adam(optimizer):
        return contextlib.nullcontext()

    def update(gradients, variables, learning_rate):
        _adam(optimizer, gradients, variables, learning_rate)

    return keras_private.replaced(
        optimizer, **keras_private.torch_methods(update)
    )


def _adam(optimizer, gradients, variables, learning_rate):
    import torch
    from torch.optim.adam import adam

    slots = [keras_private.adam_slots(optimizer, v) for v in variables]
    step = int(optimizer.iterations) + 1
    device = variables[0].value.device
    steps = torch.full((len(slots),), float(step - 1), device=device)
    # Keras adds epsilon before the bias correction, PyTorch after it
    correction = (1 - optimizer.beta_2**step) ** 0.5
    epsilon = optimizer.epsilon / correction
    # Keras rounds its own to float32, which leaves 4 digits of 1 - 0.999
    betas = torch.tensor([optimizer.beta_1, optimizer.beta_2], device=device)
    one, two = 1 - betas ** torch.tensor(float(step), device=device)
    size = float(learning_rate) * float(two.sqrt() / one)
    rate = size * (1 - optimizer.beta_1**step) / correction
    with torch.no_grad():
        adam(
            [variable.value for variable in variables],
            [gradient.contiguous() for gradient in gradients],
            [momentum for momentum, _ in slots],
            [velocity for _, velocity in slots],
            [],
            list(steps.unbind()),
            fused=True,
            amsgrad=False,
            beta1=optimizer.beta_1,
            beta2=optimizer.beta_2,
            lr=rate,
            weight_decay=0.0,  # Keras' own, before this
            eps=epsilon,
            maximize=False,
        )
