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
MOST_CONTEXT = 4096
"""Llama 2's; a layer behind it takes a minute to compile, and more of it ever longer."""
_SAID = {"scheduled": "is_scheduled", "assumed": "is_assumed", "left out": "is_left_out"}


@click.command("estimate")
@click.argument("model")
@click.option("--chips", type=click.IntRange(1, MOST_CHIPS), required=True, help="How many chips there are.")
@click.option(
    "--context",
    type=click.IntRange(0, MOST_CONTEXT),
    help="Whole layers in fp16, after so many tokens; else int8 matrices.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; for bad input nothing but the sentence on stderr.")
@config_options(required=False)
def estimate_model(model: str, chips: int, context: int | None, as_json: bool, config: ChipConfig | None) -> int:
    """Estimate how fast chips (groqchip by default) would run MODEL, a large language model, for one user.

    What a chip does is compiled and counted; links are assumed.
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
    table = Table("of a token", "cycles", "each", "from", title=f"{f['model']} on {counted(f['chips'], 'chip')}")
    for column in (1, 2):
        table.columns[column].justify = "right"
    hops = f["groups"] - 1
    table.add_row("layers", f"{f['layers'] * f['layer']:,}", f"{f['layers']} × {f['layer']:,}", "schedule")
    table.add_row("head", f"{f['head']:,}", f"1 × {f['head']:,}", "schedule")
    table.add_row(
        "all-reduces", f"{2 * f['layers'] * f['reduce']:,}", f"{2 * f['layers']} × {f['reduce']:,}", "assumed"
    )
    table.add_row("to the next group", f"{hops * f['hop']:,}", f"{hops} × {f['hop']:,}", "assumed")
    table.add_section()
    published = f"; published: {f['published']}" if f["published"] else ""
    table.add_row("all", f"{f['cycles']:,}", "", f"{f['tokens_per_second']:,.0f} tokens/s at 900 MHz{published}")
    table.add_section()
    split = f"{counted(f['chips_a_layer'], 'chip')} a layer, {counted(f['groups'], 'group')}"
    table.add_row("split", "", "", f"{split}: {f['chips_used']} of {counted(f['chips'], 'chip')} used")
    table.add_row("memory a chip", "", "", f"{f['held'] / 1e6:.1f} MB held, of {f['memory'] / 1e6:.1f} MB")
    return table
