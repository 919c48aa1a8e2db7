"""Rules of what stays: memory words, weights and accumulator rows are defined before they are used; banks differ."""

import numpy as np

from tsp.checker.report import Writer, burst_of, first_of_burst
from tsp.flow import NONE, Flow
from tsp.flow.analysis import shared
from tsp.flow.issues import Ints
from tsp.flow.state import take
from tsp.isa import AccMode
from tsp.timing import timing


def check_banks(flow: Flow, writer: Writer) -> None:
    """Report READ and WRITE of one instruction in one bank."""
    half = writer.config.mem_words // 2
    for issue in flow.conflicts[first_of_burst(flow, flow.conflicts)].tolist():
        burst = burst_of(flow, issue)
        step = int(flow.issues.step[issue])
        read = burst.instruction["read_address"] + step * burst.step_a
        write = burst.instruction["write_address"] + step * burst.step_b
        other = f"{half}…{2 * half - 1}" if read < half else f"0…{half - 1}"
        message = f"READ of word {read} and WRITE of word {write} in one cycle are in one bank; one must be in {other}"
        writer.add_issue("bank_conflict", flow, issue, int(flow.issues.time[issue]), message)


def check_memory(flow: Flow, writer: Writer) -> None:
    """Report READs of words that nothing has defined, once per burst; where SCATTERs write, that is not known."""
    loads, stores, time = flow.loads, flow.stores, flow.issues.time
    scattered = np.isin(loads.place, flow.indirect.place[flow.indirect.writes])
    undefined = np.flatnonzero(~loads.whole & ~scattered)
    for row in undefined[first_of_burst(flow, loads.issue[undefined])].tolist():
        issue = int(loads.issue[row])
        cycle, place, address = int(time[issue]), int(loads.place[row]), int(loads.address[row])
        word = f"word {address} of {writer.plan.slices[place].name}"
        if loads.store[row] != NONE:
            wide, store = int(flow.issues.powered[issue]), int(stores.issue[loads.store[row]])
            message = f"READ of {word} in {wide} superlanes, but {writer.who_issued(flow, store)} has written it in"
            message += f" {int(flow.issues.powered[store])} only, and nothing defines the others before; define it with"
            message += " data or write it with more superlanes powered"
            writer.add_issue("undefined_word", flow, issue, cycle, message)
            continue
        message = f"READ of {word}, which no data defines and no WRITE has written before; "
        writes = np.flatnonzero((stores.place == place) & (stores.address == address))
        if len(writes):
            write = int(stores.issue[writes[np.argmin(time[stores.issue[writes]])]])
            readable = int(time[write]) + timing(writer.config).write_read
            message += f"{writer.who_issued(flow, write)} writes it, readable from cycle {readable}"
        else:
            message += "define it with data or write it first"
        writer.add_issue("undefined_word", flow, issue, cycle, message)


def check_products(flow: Flow, writer: Writer) -> None:
    """Report ABCs without weights, with supercell columns that no LW loaded, or with weights that were loaded or
    installed while fewer superlanes were powered, once per burst and plane. Columns of unpowered superlanes do not
    matter."""
    fp16 = flow.products.fp16
    _check_weights(flow, writer, np.arange(len(fp16)), flow.products.install, 0)
    _check_weights(flow, writer, np.flatnonzero(fp16), flow.products.partner, 1)


def _check_weights(flow: Flow, writer: Writer, rows: Ints, used: Ints, plane: int) -> None:
    """Those of ``rows`` of products, of which ``used`` are the installs; ``plane``: from that of their queue."""
    products, installs, time = flow.products, flow.installs, flow.issues.time
    column, narrow = _weakest(flow, rows, used)
    missing, count = column != NONE, flow.issues.powered[products.issue[rows]]
    weak = np.flatnonzero(~missing & (narrow < count))
    _report_narrow_weights(flow, rows[weak], narrow[weak], plane, writer)
    bad = np.flatnonzero(missing)
    for number in bad[first_of_burst(flow, products.issue[rows[bad]])].tolist():
        row = int(rows[number])
        issue, install = int(products.issue[row]), int(used[row])
        cycle, place = int(time[issue]), int(flow.issues.place[issue]) + plane
        if install == NONE:
            mine = np.flatnonzero(flow.issues.place[installs.issue] == place)
            message = "ABC before any IW: the weights are undefined"
            if products.fp16[row]:
                message = f"ABC of fp16 before any IW of {writer.plan.slices[place].name}: its weights are undefined"
            if len(mine):
                message += f"; works from cycle {int(time[installs.issue[mine]].min()) + timing(writer.config).iw_abc}"
            else:
                message += "; load them with LW and install them with IW"
        else:
            by = int(installs.issue[install])
            message = f"ABC uses the weights that {writer.who_issued(flow, by)} installed in cycle {int(time[by])}, but"
            last = int(time[by]) - timing(writer.config).lw_iw
            message += f" no LW had loaded supercell {int(column[number])} by cycle {last}"
        writer.add_issue("undefined_weights", flow, issue, cycle, message)


def _weakest(flow: Flow, rows: Ints, used: Ints) -> tuple[Ints, Ints]:
    """Per one of ``rows`` of products: the first supercell column it needs that nothing has loaded (0 if nothing is
    installed), or NONE; and with how few superlanes powered one of its weights was loaded or installed.

    ``used``: by product, its install."""
    products, installs, s = flow.products, flow.installs, flow.config.superlanes
    # Many products use one install: all of them alike, if as many superlanes are powered.
    key = (used[rows] + 1) * (s + 1) + flow.issues.powered[products.issue[rows]]
    kind, of_kind = np.unique(key, return_inverse=True)
    install, count = kind // (s + 1) - 1, kind % (s + 1)
    loads = np.append(installs.loads, np.full((1, s), NONE), axis=0)[install]
    needed = np.arange(s) < count[:, None]
    lost = needed & (loads == NONE)
    made = np.append(flow.issues.powered[flow.reads.issue], s)[loads]
    narrow = np.where(needed, made, s).min(axis=1, initial=s)
    narrow = np.minimum(narrow, np.append(flow.issues.powered[installs.issue], s)[install])
    return np.where(lost.any(axis=1), np.argmax(lost, axis=1), NONE)[of_kind], narrow[of_kind]


def _report_narrow_weights(flow: Flow, rows: Ints, narrow: Ints, plane: int, writer: Writer) -> None:
    """``narrow``: by row, in how many superlanes its weights are of one making; ``plane`` as of _check_weights."""
    products, powered = flow.products, flow.issues.powered
    for number in first_of_burst(flow, products.issue[rows]).tolist():
        issue, fp16 = int(products.issue[rows[number]]), bool(products.fp16[rows[number]])
        name = writer.plan.slices[int(flow.issues.place[issue]) + plane].name
        message = f"ABC{' of fp16' if fp16 else ''} in {int(powered[issue])} superlanes, but"
        message += f" its weights{f' in {name}' if fp16 else ''} were loaded or installed with"
        message += f" {int(narrow[number])} powered; the others hold older ones"
        writer.add_issue("undefined_weights", flow, issue, int(flow.issues.time[issue]), message)


def check_pairs(flow: Flow, writer: Writer) -> None:
    """Report ABCs of a pair's plane 1 while both planes multiply fp16, once per pair of bursts."""
    issues, products = flow.issues, flow.products
    of_pair, other = (products.issue[rows] for rows in shared(issues, products))
    bursts = np.stack([issues.burst[of_pair], issues.burst[other]], axis=1)
    for row in np.sort(np.unique(bursts, axis=0, return_index=True)[1]).tolist():
        issue, user = int(of_pair[row]), int(other[row])
        cycle, places = int(issues.time[issue]), (int(issues.place[issue]), int(issues.place[user]))
        busy = set(issues.time[products.issue[np.isin(issues.place[products.issue], places)]].tolist())
        free = next(after for after in range(cycle + 1, cycle + len(busy) + 2) if after not in busy)
        plane = writer.plan.slices[places[1]].name
        message = "ABC of fp16 multiplies with both planes, but"
        message += f" {writer.who_issued(flow, user)} multiplies with {plane} in this cycle"
        writer.add_issue("collision", flow, issue, cycle, f"{message}; both are free in cycle {free}")


def check_accumulators(flow: Flow, writer: Writer) -> None:
    """Report ACCs at which no sum leaves the array, and uses of rows nothing has stored in, once per burst each."""
    table, time = flow.accumulations, flow.issues.time
    wait = timing(writer.config).abc_acc
    absent = np.flatnonzero(table.product == NONE)
    for row in absent[first_of_burst(flow, table.issue[absent])].tolist():
        issue = int(table.issue[row])
        cycle = int(time[issue])
        message = f"no sum leaves the array for this ACC: no ABC was dispatched {wait} cycles earlier"
        mine = np.flatnonzero(flow.issues.place[flow.products.issue] == flow.issues.place[issue])
        if len(mine):
            times = time[flow.products.issue[mine]]
            best = int(np.argmin(np.abs(times - (cycle - wait))))
            source = writer.who_issued(flow, int(flow.products.issue[mine[best]]))
            message += f"; the nearest sum is that of {source}, to be taken in cycle {int(times[best]) + wait}"
        writer.add_issue("operand_absent", flow, issue, cycle, message)
    _check_types(flow, writer)
    undefined = np.flatnonzero(table.uses_row & (table.previous == NONE))
    for row in undefined[first_of_burst(flow, table.issue[undefined])].tolist():
        issue = int(table.issue[row])
        mode = AccMode(int(table.mode[row])).name.lower()
        instead = "store" if mode == "add" else "pass"
        message = f"ACC {mode} uses row {int(table.row[row])}, which no ACC has stored in before; {instead} would work"
        writer.add_issue("undefined_row", flow, issue, int(time[issue]), message)
    powered = flow.issues.powered
    narrow = np.flatnonzero(table.uses_row & (table.previous != NONE))
    narrow = narrow[powered[table.issue[table.previous[narrow]]] < powered[table.issue[narrow]]]
    for row in narrow[first_of_burst(flow, table.issue[narrow])].tolist():
        issue, before = int(table.issue[row]), int(table.issue[table.previous[row]])
        message = f"ACC uses row {int(table.row[row])} in {int(powered[issue])} superlanes, but"
        message += f" {writer.who_issued(flow, before)} has stored in it in {int(powered[before])} only"
        writer.add_issue("undefined_row", flow, issue, int(time[issue]), message)


def _check_types(flow: Flow, writer: Writer) -> None:
    """Report sums of fp16 that are added to int32 rows, and the other way round, once per burst."""
    table, fp16 = flow.accumulations, flow.products.fp16.astype(np.int64)
    mine, row = take(fp16, table.product), take(take(fp16, table.product), table.previous)
    known = table.uses_row & (mine != NONE) & (row != NONE)
    mixed = np.flatnonzero(known & (mine != row))
    for number in mixed[first_of_burst(flow, table.issue[mixed])].tolist():
        issue, before = int(table.issue[number]), int(table.issue[table.previous[number]])
        added, held = (("int32", "fp32")[int(kinds[number])] for kinds in (mine, row))
        mode = AccMode(int(table.mode[number])).name.lower()
        message = f"ACC {mode} adds {added} to row {int(table.row[number])}, where"
        message += f" {writer.who_issued(flow, before)} left {held}; {'store' if mode == 'add' else 'pass'} would work"
        writer.add_issue("row_type", flow, issue, int(flow.issues.time[issue]), message)
