"""Class names in the cells of a table, in whatever way they are separated."""

import ast
import collections
import io
import math
import re
import tokenize
import unicodedata
import warnings

COLUMNS = ("label", "labels")
SEPARATORS = (";", "|", ",")  # the first is ours
BRACKETS = {"[": "]", "(": ")", "{": "}"}
OTHERS = "/+&:\t"  # which may separate names, and are read as part of one
# What else may, if what is between are names: "dog rain", "dog_and_rain".
WEAK = re.compile(r"[\s_]and[\s_]|[\s/+&:_-]+")
WEIGHTED = re.compile(r".*[:=]\s*[01]?\.\d+")  # dog:0.5
TARGETS = re.compile(r"[01](?:\.0)?(?:[\s,|]+[01](?:\.0)?)+")  # 1, 0, 0
GAPS = ("nan", "none", "null", "<na>", "n/a")  # in lower case


def read_labels(rows, path, class_names=None):
    """Class names of each row, from its column `label` or `labels`.

    Args:
        rows: list of `(where, row)`: the words for a row's place, and a dict.
        path: the file they are from, for messages.
        class_names: list of str, if known: they decide what a comma means.

    Returns:
        `(names, several, remark)`: a list with a tuple of str for each row;
        bool, whether a row may have several; and str, how the cells were
        read, if that had to be decided.

    Raises:
        ValueError: if there is no such column, or its cells can be read in
            two ways.
    """
    columns = [name for name in COLUMNS if name in rows[0][1]]
    if len(columns) != 1:
        raise ValueError(
            f"'{path}' needs one column 'label', or 'labels' for several "
            f"between ';'. Its columns: {list(rows[0][1])}."
        )
    (column,) = columns
    cells = [_Cell(where, row[column], column) for where, row in rows]
    if column == "label":
        names, remark = _single(cells, class_names)
    else:
        names, remark = _several(cells, class_names)
    remark = "; ".join(filter(None, (remark, alike(names))))
    return names, column == "labels", remark


class _Cell:
    """What a table has in one place: `text`, and `items` if it is a list."""

    __slots__ = ("items", "text", "where")

    def __init__(self, where, value, column):
        self.where = where
        several = column == "labels"
        if several and isinstance(value, list):
            self.text = str(value)
            self.items = [_name(item, column, where) for item in value]
            return
        self.text = _name(value, column, where)
        self.items = None
        if BRACKETS.get(self.text[:1]) == self.text[-1:] != "":
            self.items = _listed(self.text)
            if self.items is None and several and self.text[0] == "[":
                raise ValueError(
                    f"{where}: {column!r} is {self.text!r}, which begins and "
                    "ends as a list and is none. Write \"['dog', 'rain']\" or "
                    "dog;rain."
                )


def _name(value, column, where):
    """The text of a name, or of a number, such as JSON has."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and value == int(value):
        value = str(int(value))
    if not isinstance(value, str):
        raise ValueError(
            f"{where}: {column!r} is {value!r}, no text. Write the name of a "
            "class" + ", or a list of names." * (column == "labels")
        )
    # two ways to write an accent are one name
    return unicodedata.normalize("NFC", value.strip())


def _listed(text):
    """Elements of a list as Python or JSON writes it; `None` if it is none."""
    inside = text[1:-1]
    if "'" not in inside and '"' not in inside:
        if text[0] != "[" or re.search(r"[\[\]]", inside):
            return None
        return [part for part in _parts(inside, ",") if part]
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes
            value = ast.literal_eval(text)
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        count = sum(token.type == tokenize.STRING for token in tokens)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    items = [value] if isinstance(value, str) else list(value)
    # Python joins 'dog' 'rain', as NumPy writes two names, to one
    if len(items) != count or not all(isinstance(i, str) for i in items):
        return None
    return [_name(item, "labels", text) for item in items]


def _single(cells, class_names):
    """One name a cell, whatever is in it."""
    known = set(class_names or ())
    texts = {cell.text for cell in cells}
    commas = ""
    for cell in cells:
        text = cell.text
        if not text:
            raise ValueError(
                f"{cell.where} has the label ''. Name its class, or use the "
                "column 'labels', which may be empty."
            )
        if text in known:
            continue
        # [noise] is how some call a class
        is_list = len(cell.items or ()) > 1 or text[1:2] in ("'", '"')
        if (is_list and cell.items is not None) or any(
            mark in text and all(p in texts for p in _parts(text, mark))
            for mark in SEPARATORS
        ):
            raise ValueError(
                f"{cell.where} has the label {text!r}, which names several "
                "classes. Call the column 'labels' if clips may have several."
            )
        if "," in text and not commas:
            commas = f"a label is one class, commas and all: {text!r}"
    return [(cell.text,) for cell in cells], commas


def _several(cells, class_names):
    """Names between separators, the same in all cells."""
    texts = [cell for cell in cells if cell.items is None and cell.text]
    known = set(class_names or ())
    _refuse_targets(cells, known)
    mark = _separator([cell for cell in texts if cell.text not in known], known)
    names = []
    for cell in cells:
        items = cell.items
        if items is None:
            whole = cell.text in known or not mark
            items = [cell.text] if whole else _parts(cell.text, mark)
        # a tuple: looking for garbage, Python goes through every list anew
        names.append(tuple(item for item in items if item))
    _refuse_weights(cells, names, known)
    remark = ""
    if mark not in ("", SEPARATORS[0]):
        remark = f"'labels' are separated by {mark!r}"
    if not mark:
        remark = _joined([c.text for c in texts if c.text not in known], names)
    return names, remark


def _joined(texts, names):
    """str, which text looks like several names; `""` if none does."""
    single = {name for row in names for name in row}
    for text in texts:
        parts = set(WEAK.split(text))
        if set(OTHERS) & set(text) or len(parts) > 1 and parts <= single:
            return f"{text!r} of 'labels' is one class; ';' separates several"
    return ""


def _refuse_targets(cells, known):
    """Refuses a 0 or 1 for each class, in place of names."""
    texts = [cell.text.strip("[](){} ") for cell in cells if cell.text]
    lengths = {len(re.split(r"[\s,|]+", text)) for text in texts}
    is_vector = all(TARGETS.fullmatch(text) for text in texts)
    if texts and is_vector and len(lengths) == 1 and not known:
        raise ValueError(
            f"{cells[0].where}: 'labels' is {cells[0].text!r}, a 0 or 1 for "
            "each class, as it seems. Write the names of the classes that the "
            "clip has."
        )


def _refuse_weights(cells, names, known):
    """Refuses numbers behind names, which are no part of these."""
    for cell, row in zip(cells, names, strict=True):
        for name in row:
            if name not in known and WEIGHTED.fullmatch(name):
                raise ValueError(
                    f"{cell.where}: {name!r} of 'labels' has a number behind "
                    "the name. A label is there or not: leave the number out, "
                    "and the name where it is not."
                )


def _separator(cells, known):
    """The mark that separates names, or `""` if none does."""
    counts = collections.Counter(
        mark for cell in cells for mark in SEPARATORS if mark in cell.text
    )
    if counts[";"] and counts["|"]:
        first, second = (
            next(c for c in cells if m in c.text) for m in (";", "|")
        )
        raise ValueError(
            f"{first.where} separates 'labels' by ';' ({first.text!r}), and "
            f"{second.where} by '|' ({second.text!r}). Use ';' for all."
        )
    mark = next((m for m in SEPARATORS if counts[m]), "")
    if mark != ",":  # which may then be part of a name
        return mark
    with_comma = [cell for cell in cells if "," in cell.text]
    if known and all(
        part in known for cell in with_comma for part in _parts(cell.text, mark)
    ):
        return mark
    spaced = [cell for cell in with_comma if re.search(r",\s", cell.text)]
    if spaced:
        raise ValueError(
            f"{spaced[0].where}: 'labels' is {spaced[0].text!r}, one class "
            "with a comma in its name or several classes. Separate several by "
            "';', or call the column 'label' if each clip has one."
        )
    return mark


def _parts(text, mark):
    return [part.strip() for part in text.split(mark)]


def alike(names):
    """str, which class names are doubtful; `""` if none are.

    Those that differ in upper and lower case, in spaces, `_` and `-` between
    words, in invisible characters or in how a number is written, alone; and
    what programs write where there is no name.

    Args:
        names: iterable of rows, each a sequence of str.
    """
    groups = collections.defaultdict(set)
    for row in set(names):
        for name in row:
            groups[_key(name)].add(name)
    several = [sorted(group) for group in groups.values() if len(group) > 1]
    found = []
    if several:
        pairs = (" and ".join(map(repr, group)) for group in several[:3])
        found.append(
            "classes that differ in case, spacing, unseen characters or how "
            f"a number is written, alone: {', '.join(pairs)}"
        )
    gaps = sorted(name for gap in GAPS for name in groups.get(gap, ()))
    if gaps:
        found.append(f"a class is called {gaps[0]!r}, which may be a gap")
    return "; ".join(found)


def _key(name):
    """What is equal of names that probably mean one class."""
    try:
        value = float(name)
    except ValueError:
        pass
    else:
        return value if math.isfinite(value) else name.casefold()
    name = unicodedata.normalize("NFKC", name)
    seen = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return " ".join(re.split(r"[\s_-]+", seen)).casefold()
