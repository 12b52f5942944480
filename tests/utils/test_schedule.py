"""The learning rate: the original's four tables, and what poly decay promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.schedule import learning_rate
from utils.training import HEAD_LR

GOLDEN = ("voc07", "coco", "wider", "no_warmup_step4")


def rates(iterations=7, total_epoch=12, base_lr=0.01, step_size=4, warmup_epoch=2, poly_decay=False):
    """The rate of every step of a run, in order."""
    return [
        learning_rate(
            epoch,
            iteration,
            base_lr=base_lr,
            iterations=iterations,
            total_epoch=total_epoch,
            step_size=step_size,
            warmup_epoch=warmup_epoch,
            poly_decay=poly_decay,
        )
        for epoch in range(1, total_epoch + 1)
        for iteration in range(iterations)
    ]


def rates_of_table(settings):
    return rates(
        settings["iterations_per_epoch"],
        settings["total_epoch"],
        settings["base_lr"],
        settings["step_size"],
        settings["warmup_epoch"],
    )


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_table(golden, name):  # faults 10, 11
    table = {entry["name"]: entry for entry in golden("lr_schedule.json")["tables"]}[name]
    ours = rates_of_table(table["settings"])
    assert ours == pytest.approx([rate for _, _, rate in table["table"]], rel=1e-9, abs=0)
    head_lr = [rate for _, _, rate in table["head_lr"]]
    assert [HEAD_LR * rate for rate in ours] == pytest.approx(head_lr, rel=1e-9, abs=0)


def test_all_golden_tables_are_run(golden):
    assert [entry["name"] for entry in golden("lr_schedule.json")["tables"]] == list(GOLDEN)


def test_warm_up_is_linear_across_the_epochs():  # fault 10
    ours = rates(iterations=7, warmup_epoch=2)
    assert ours[0] == 0
    assert ours[7] == pytest.approx(0.005)  # the port: 0.005714
    assert ours[13] == pytest.approx(0.01 * 13 / 14)  # the port: 0.01
    assert ours[14] == pytest.approx(0.01)


@pytest.mark.parametrize("poly_decay", [False, True])
def test_without_warm_up_the_first_step_has_the_base_rate(poly_decay):  # faults 11, 12
    assert rates(warmup_epoch=0, poly_decay=poly_decay)[0] == 0.01


def test_decay_comes_after_every_step_size_epochs_counted_from_the_start():
    ours = rates(iterations=1, total_epoch=9, step_size=3, warmup_epoch=1)
    assert ours[1:] == pytest.approx([1e-2] * 2 + [1e-3] * 3 + [1e-4] * 3)


@given(
    iterations=st.integers(1, 9),
    total_epoch=st.integers(1, 12),
    warmup_epoch=st.integers(0, 11),
    base_lr=st.floats(1e-6, 10),
)
def test_poly_decay_falls_from_the_base_rate_to_just_above_0(
    iterations, total_epoch, warmup_epoch, base_lr
):  # fault 12
    warmup_epoch = min(warmup_epoch, total_epoch - 1)
    ours = rates(iterations, total_epoch, base_lr, warmup_epoch=warmup_epoch, poly_decay=True)
    decaying = ours[warmup_epoch * iterations :]
    assert decaying[0] == pytest.approx(base_lr)
    assert all(later < earlier for earlier, later in zip(decaying, decaying[1:], strict=False))
    assert decaying[-1] > 0


@pytest.mark.parametrize("warmup_epoch", [0, 2])
def test_poly_decay_is_0_when_the_last_step_is_done(warmup_epoch):  # fault 12
    settings = dict(
        base_lr=0.01, iterations=7, total_epoch=12, step_size=4, warmup_epoch=warmup_epoch, poly_decay=True
    )
    assert learning_rate(12, 7, **settings) == 0
    steps = 7 * (12 - warmup_epoch)
    assert learning_rate(12, 6, **settings) == pytest.approx(0.01 * (1 / steps) ** 0.9)


@pytest.mark.parametrize("poly_decay", [False, True])
def test_a_run_may_be_all_warm_up(poly_decay):
    ours = rates(iterations=2, total_epoch=2, warmup_epoch=5, poly_decay=poly_decay)
    assert ours == pytest.approx([0, 0.001, 0.002, 0.003])


def test_the_rate_depends_on_epoch_and_iteration_alone():
    settings = dict(base_lr=0.01, iterations=7, total_epoch=12, step_size=4, warmup_epoch=2)
    places = [(epoch, iteration) for epoch in range(1, 13) for iteration in range(7)]
    forward = {place: learning_rate(*place, **settings) for place in places}
    backward = {place: learning_rate(*place, **settings) for place in reversed(places)}
    assert forward == backward
