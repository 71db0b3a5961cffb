"""Pieces of HTML that the pages are made of."""

from html import escape


def figure_section(title, figures, caption, kind="figures"):
    """Figures beside each other.

    Args:
        title: str.
        figures: list of `(svg, label)`; without any there is no section.
        caption: str, a sentence or none.
        kind: str, style class.

    Returns:
        str, HTML, as of all functions here.
    """
    if not figures:
        return ""
    shown = "".join(
        f'<figure role="img" aria-label="{escape(label)}">{svg}</figure>'
        for svg, label in figures
    )
    return section(title, f'<div class="{kind}">{shown}</div>', caption)


def section(title, body, caption=""):
    """A heading, `body` as HTML, and a caption in words."""
    return (
        f"<section><h2>{escape(title)}</h2>{body}{paragraph(caption)}</section>"
    )


def paragraph(text):
    """Small words, or nothing."""
    return f'<p class="caption">{escape(text)}</p>' if text.strip() else ""


def skipped_section(skipped):
    """The files that were not used, a dict from path to reason."""
    if not skipped:
        return ""
    items = "".join(
        f"<li><code>{escape(path)}</code> {escape(reason)}</li>"
        for path, reason in skipped.items()
    )
    files = "file was" if len(skipped) == 1 else "files were"
    return section(
        "Skipped files",
        f"<details{' open' if len(skipped) <= 5 else ''}><summary>"
        f"{len(skipped)} {files} not used</summary><ul>{items}</ul></details>",
    )
