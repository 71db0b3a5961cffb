"""Compiled functions, kept for the next process."""

import os

import keras

FOLDER = "jax_cache"


def keep_compiled_beside(run):
    """`keep_compiled` for all runs in the folder of a run; says so once."""
    folder = os.path.join(os.path.dirname(os.path.abspath(run)), FOLDER)
    if keep_compiled(folder):
        print(f"JAX keeps what it compiles in {folder}", flush=True)


def keep_compiled(folder):
    """Sets JAX's persistent compilation cache, unless the user has set one.

    A process that goes on with a run, or trains another of the same shapes,
    then reads what took seconds to compile. JAX trusts what it finds there.

    Args:
        folder: path; made when something is kept.

    Returns:
        bool, whether it is kept there from now on. Not on other backends, nor
        where `JAX_COMPILATION_CACHE_DIR` or `jax.config` names a folder or
        switches this off.
    """
    if keras.backend.backend() != "jax":
        return False
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    if jax.config.jax_compilation_cache_dir is not None:
        return False
    if not jax.config.jax_enable_compilation_cache:
        return False
    jax.config.update("jax_compilation_cache_dir", str(folder))
    compilation_cache.reset_cache()  # JAX looked once, when it first compiled
    return True
