"""Pictures made with matplotlib: SVG or PNG, the same figure to the same bytes."""

import io
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from tsp.errors import InputError
from tsp.files import write_atomic

KINDS = (".svg", ".png")


def picture_path(name: str) -> Path:
    """Where a picture goes. InputError for a name that no picture can have, before any work is done."""
    path = Path(name)
    if path.suffix not in KINDS:
        close = path.with_suffix(".svg").name if path.name else "picture.svg"
        raise InputError(f"{name or 'a name of nothing'}: a picture is an .svg or a .png; {close} works")
    if not path.parent.is_dir():
        raise InputError(f"{name}: there is no folder {path.parent}")
    return path


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the kind that the name ends in."""
    data = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "open-tsp", "svg.fonttype": "none"}):
        figure.savefig(data, format=path.suffix[1:], dpi=150, metadata={"Date": None} if path.suffix == ".svg" else {})
    write_atomic(path, data.getvalue())
