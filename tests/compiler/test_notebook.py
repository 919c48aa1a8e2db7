"""The notebook of docs/: it runs as it stands, and holds no outputs that could be of another day."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).parents[2] / "docs"


def test_the_notebook_runs():
    notebook = nbformat.read(DOCS / "compiler.ipynb", as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(DOCS)}}).execute()
    printed = "".join(output.get("text", "") for cell in cells for output in cell.outputs)
    for said in ("legal, ", "bound by", "mxm.w0.activations"):
        assert said in printed
