"""Configurations, and what follows from them: the published figures, the floorplan, the refusals."""

import dataclasses

import pytest

from tsp.config import PRESETS, ChipConfig, preset
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.info import figures
from tsp.timing import timing


def test_published_figures() -> None:
    f = figures(preset("groqchip"))
    assert f["queues"] == 144
    assert f["dispatch_bytes_per_cycle"] == 2304
    assert f["stream_bytes_per_cycle"] == 20480
    assert f["sram_bytes_per_cycle"] == 56320
    assert f["sram_bytes"] == 220 * 2**20
    assert f["macs"] == 409600
    assert f["barrier_cycles"] == 35
    assert (f["sites"], f["stream_registers"], f["vector_bytes"]) == (27, 26, 320)
    assert sum(f["queues_by_unit"].values()) == 144


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_floorplan_is_consistent(config: ChipConfig) -> None:
    plan = floorplan(config)
    assert len(plan.sites) == 2 * config.groups + 5
    assert [queue.index for queue in plan.queues] == list(range(len(plan.queues)))
    assert [slice_.index for slice_ in plan.slices] == list(range(len(plan.slices)))
    assert len({queue.name for queue in plan.queues}) == len(plan.queues)
    for queue in plan.queues:
        assert plan.queue(queue.name) is queue
        if queue.slice >= 0:
            assert plan.slices[queue.slice].site == queue.site
    sites = [queue.site for queue in plan.queues]
    assert sites == sorted(sites)


def test_hemispheres_mirror_about_the_vxm() -> None:
    plan = floorplan(preset("groqchip"))
    for number in range(44):
        west, east = plan.slice(f"mem.w{number}"), plan.slice(f"mem.e{number}")
        assert plan.vxm_site - west.site == east.site - plan.vxm_site == number // 4 + 1


def test_timing_follows_the_config() -> None:
    assert timing(preset("tiny")).barrier == 19
    assert timing(preset("groqchip")).abc_acc == 40
    assert timing(preset("tiny").override(["superlanes=4"])).abc_acc == 8


def test_override_and_dict_round_trip() -> None:
    config = preset("tiny").override(["superlanes=0x4", "sxm=false", "trace=1"])
    assert (config.superlanes, config.sxm, config.trace) == (4, False, True)
    assert ChipConfig.from_dict(config.as_dict()) == config
    assert preset("tiny").override([]) == preset("tiny")


@pytest.mark.parametrize(
    "setting, message",
    [
        ("superlanes", "field=value"),
        ("superlane=2", "did you mean 'superlanes'"),
        ("superlanes=two", "not a whole number"),
        ("superlanes=21", "must be 1…20; try 20"),
        ("streams=24", "multiple of 16; try 32"),
        ("mem_slices=10", "multiple of 4; try 12"),
        ("mem_slices=4", "must be at least 8"),
        ("mem_words=100", "power of two; try 128"),
        ("sxm=maybe", "not true or false"),
        (("vxm_float=on", "vxm_mul_bits=0"), "vxm_mul_bits is 0: floats need multipliers; try 32"),
        (("mxm_fp16=on", "mxm_planes_e=1"), "mxm_planes_e=1, but fp16 needs two planes in one hemisphere; set"),
        ("name=big", "unknown field 'name'"),
        ("zzz=1", "unknown field 'zzz'; known: superlanes, .*, vxm_float, mxm_fp16, .*, ifetch, c2c, trace$"),
    ],
)
def test_override_refuses(setting: str | tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        preset("tiny").override([setting] if isinstance(setting, str) else setting)


@pytest.mark.parametrize(
    "settings, message",
    [
        (["beats=2", "ecc=off", "ifetch=off"], "with beats 2 no word is there at once to be sent; set c2c to False or"),
        (["links_w=0", "links_e=0"], "C2C needs a link in one hemisphere; set c2c to False or links_e to 1"),
        (["link_buffer=3"], "link_buffer is 3, must be a power of two; try 4"),
        (["link_buffer=128"], "link_buffer is 128, must be 2…64; try 64"),
    ],
)
def test_links_need_whole_words_and_a_port(settings: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        preset("tiny").override(["c2c=on", *settings])


def test_links_are_numbered_from_west_to_east() -> None:
    plan = floorplan(preset("tiny").override(["c2c=on", "links_w=2", "links_e=3"]))
    assert [link.name for link in plan.links] == ["w0", "w1", "e0", "e1", "e2"]
    assert [plan.slices[queue.slice].name for queue in plan.queues if queue.kind == "c2c"] == [
        *["c2c.w"] * 4,
        *["c2c.e"] * 4,
    ]
    # What has a place without links has the same one with them.
    without = floorplan(preset("tiny"))
    assert [s.name for s in plan.slices] == [*(s.name for s in without.slices), "c2c.w", "c2c.e"]
    assert without.links == [] and {q.slice for q in without.queues if q.kind == "c2c"} == {-1}


def test_fp16_is_that_of_hemispheres_with_two_planes() -> None:
    config = preset("tiny").override(["mxm_fp16=on"])
    assert [config.multiplies_fp16(h) for h in "we"] == [False, True]
    assert not preset("tiny").override(["mxm_fp16=off"]).multiplies_fp16("e")


def test_check_bits_need_whole_words() -> None:
    with pytest.raises(InputError, match="with beats 2 no word is there at once to be checked; set ecc to False or"):
        preset("tiny").override(["ecc=on", "beats=2"])
    assert preset("tiny").override(["ecc=on"]).ecc


@pytest.mark.parametrize(
    "setting, name, message",
    [
        ("sxm=False", "sxm.e.permute", "queue sxm.e.permute needs SXM, but config tiny has sxm=False; set sxm=True"),
        ("links_w=0", "c2c.w0", "queue c2c.w0 needs C2C, but config tiny has links_w=0; set links_w=1"),
        ("mxm_planes_e=0", "mxm.e0.weights", "needs MXM, but config tiny has mxm_planes_e=0; set mxm_planes_e=1"),
        ("sxm=True", "sxm.e.permut", "unknown queue 'sxm.e.permut' in config tiny; did you mean 'sxm.e.permute'?"),
        ("mxm_planes_e=1", "mxm.e1.weights", "unknown queue 'mxm.e1.weights' in config tiny; did you mean 'mxm.e0"),
        ("links_w=0", "c2c.x0", "unknown queue 'c2c.x0'"),
    ],
)
def test_a_queue_of_a_unit_left_out_is_refused_by_name(setting: str, name: str, message: str) -> None:
    config = preset("tiny").override([setting, "mxm_fp16=off"])
    with pytest.raises(InputError) as caught:
        floorplan(config).queue(name)
    assert message in str(caught.value)


def test_a_plane_left_out_is_refused_by_name() -> None:
    plan = floorplan(preset("tiny").override(["mxm_planes_w=0"]))
    with pytest.raises(InputError, match="slice mxm.w0 needs MXM, but config tiny has mxm_planes_w=0"):
        plan.slice("mxm.w0")
    with pytest.raises(InputError, match="slice sxm.w needs SXM, but config board has sxm=False; set sxm=True"):
        floorplan(preset("board")).slice("sxm.w")
    with pytest.raises(InputError, match="slice c2c.e needs C2C, but config tiny has c2c=False; set c2c=True"):
        plan.slice("c2c.e")
    with pytest.raises(InputError, match="unknown slice 'sxm.n'"):
        plan.slice("sxm.n")


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'tiny'"):
        preset("tinny")


@pytest.mark.parametrize("change", [{"superlanes": True}, {"superlanes": "2"}, {"vxm_rows": 9}, {"extra": 1}])
def test_from_dict_refuses(change: dict[str, object]) -> None:
    with pytest.raises(InputError):
        ChipConfig.from_dict(preset("tiny").as_dict() | change)


def test_from_dict_names_missing_fields() -> None:
    values = preset("tiny").as_dict()
    del values["streams"], values["mem_words"]
    with pytest.raises(InputError, match="streams, mem_words"):
        ChipConfig.from_dict(values)


def test_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset("tiny").superlanes = 3  # type: ignore[misc]
