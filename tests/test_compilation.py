"""Compiled functions are kept, where nobody said otherwise."""

import keras
import pytest

from keras_c2f.utils.compilation import keep_compiled, keep_compiled_beside

ON_JAX = keras.backend.backend() == "jax"


def test_other_backends_keep_nothing(tmp_path):
    if ON_JAX:
        pytest.skip("JAX does")
    assert not keep_compiled(tmp_path)


@pytest.fixture
def jax():
    """JAX with nothing kept, and what is set put back."""
    if not ON_JAX:
        pytest.skip("of JAX")
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    names = (
        "jax_compilation_cache_dir",
        "jax_enable_compilation_cache",
        "jax_persistent_cache_min_compile_time_secs",
    )
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    yield jax
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def compile_one(jax, number):
    jax.jit(lambda x: x * number)(1.0).block_until_ready()


def test_jax_keeps_what_it_compiles_from_now_on(jax, tmp_path):
    compile_one(jax, 2.0)
    folder = tmp_path / "a folder"
    assert keep_compiled(folder)
    compile_one(jax, 3.0)
    assert len([f for f in folder.iterdir() if f.suffix != ".lock"]) > 0
    assert not keep_compiled(tmp_path / "other")  # of the next run
    assert jax.config.jax_compilation_cache_dir == str(folder)


def test_it_is_said_once(jax, tmp_path, capsys):
    for name in ("baseline", "coarse_to_fine"):
        keep_compiled_beside(str(tmp_path / name))
    folder = tmp_path / "jax_cache"
    assert (
        capsys.readouterr().out == f"JAX keeps what it compiles in {folder}\n"
    )


def test_what_the_user_has_set_stays(jax, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "own"))
    assert not keep_compiled(tmp_path / "ours")
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_enable_compilation_cache", False)
    assert not keep_compiled(tmp_path / "ours")
