"""``tsp estimate``: tokens a second of a large language model on many chips."""

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tsp.cli import config_options
from tsp.cli_compile import shown
from tsp.config import ChipConfig, preset
from tsp.errors import counted

MOST_CHIPS = 10_440
"""Chips of the largest system (published)."""
CONTEXT, MOST_CONTEXT = 1024, 4096
"""By default; and Llama 2's."""
_SAID = {"scheduled": "is_scheduled", "assumed": "is_assumed", "left out": "is_left_out"}


@click.command("estimate")
@click.argument("model")
@click.option("--chips", type=click.IntRange(1, MOST_CHIPS), required=True, help="How many chips there are.")
@click.option(
    "--context",
    type=click.IntRange(0, MOST_CONTEXT),
    default=CONTEXT,
    show_default=True,
    help="Tokens before the one that is computed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; for bad input nothing but the sentence on stderr.")
@config_options(required=False)
def estimate_model(model: str, chips: int, context: int, as_json: bool, config: ChipConfig | None) -> int:
    """Estimate how fast chips (groqchip by default) would run MODEL, a large language model, for one user.

    What a chip does, and what goes over links, is scheduled and counted.
    """
    from tsp.estimate import estimate

    with shown() as progress:
        found = estimate(model, chips, config or preset("groqchip"), context, progress).as_dict()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return 0
    console = Console()
    console.print(_table(found))
    for what, sentences in _SAID.items():
        for sentence in found[sentences]:
            console.print(f"{what}: {sentence}", highlight=False)
    return 0


def _table(f: dict[str, Any]) -> Table:
    title = f"{f['model']} on {counted(f['chips'], 'chip')}, behind {counted(f['context'], 'token')}"
    table = Table("of a token", "cycles", "each", "", title=title)
    for column in (1, 2):
        table.columns[column].justify = "right"
    rows = {"layers": (f["layers"], f["layer"]), "head": (1, f["head"]), "all-reduces": (2 * f["layers"], f["reduce"]),
            "to the next group": (f["groups"] - 1, f["hop"])}  # fmt: skip
    for what, (count, cycles) in rows.items():
        table.add_row(what, f"{count * cycles:,}", f"{count} × {cycles:,}", "")
    table.add_section()
    published = f"; published: {f['published']}" if f["published"] else ""
    table.add_row("all", f"{f['cycles']:,}", "", f"{f['tokens_per_second']:,.0f} tokens/s at 900 MHz{published}")
    table.add_section()
    split = f"{counted(f['chips_a_layer'], 'chip')} a layer, {counted(f['groups'], 'group')}"
    table.add_row("split", "", "", f"{split}: {f['chips_used']} of {counted(f['chips'], 'chip')} used")
    table.add_row("memory a chip", "", "", f"{f['held'] / 1e6:.1f} MB held, of {f['memory'] / 1e6:.1f} MB")
    return table
