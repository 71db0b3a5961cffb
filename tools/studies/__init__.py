"""Studies: grids of training runs that answer one question each."""

from keras_c2f.utils.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        ".plan": ["Cell", "Study", "plan_names", "read_study"],
        ".results": ["Results", "read_results"],
        ".runner": ["run_study"],
    },
)
