"""Templates of the pages, and what fills them with values."""

from keras_c2f.report.words import format_percent
from keras_c2f.utils import packages
from keras_c2f.utils.files import write_text


def write_page(path, **values):
    """Writes the page whose template is named as the file at `path`.

    Values are escaped, so that the name of a class is text and no markup.

    Args:
        path: `pathlib.Path`; its folder exists.
        **values: what the template names; one that is missing is an error.

    Returns:
        `path`.
    """
    jinja2 = packages.load("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_c2f.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = format_percent
    write_text(path, environment.get_template(path.name).render(values))
    return path
