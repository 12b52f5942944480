"""The first signal waits until the block looks, the second one does not."""

import signal
from signal import SIGINT, SIGTERM, raise_signal

import pytest

from utils.errors import Interrupted
from utils.interrupt import interruptible

NUMBERS = pytest.mark.parametrize("number", [SIGINT, SIGTERM])


class Usual(Exception):
    """What a signal does outside of the block."""


@pytest.fixture(autouse=True)
def handlers():
    """Both signals raise Usual; {number: handler}."""

    def act(*_):
        raise Usual

    before = {number: signal.signal(number, act) for number in (SIGINT, SIGTERM)}
    yield {number: act for number in before}
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers_now():
    return {number: signal.getsignal(number) for number in (SIGINT, SIGTERM)}


def test_nothing_came(handlers):
    with interruptible() as asked:
        assert asked() is None
        assert handlers_now() != handlers
    assert handlers_now() == handlers


@NUMBERS
def test_the_block_goes_on_and_is_told(handlers, number):
    with pytest.raises(Interrupted), interruptible() as asked:
        raise_signal(number)
        assert asked() == number
        assert asked() == number  # as often as it asks
    assert handlers_now() == handlers


@NUMBERS
@pytest.mark.parametrize("second", [SIGINT, SIGTERM])
def test_a_second_signal_acts_as_usual(handlers, number, second):
    with pytest.raises(Usual), interruptible() as asked:
        raise_signal(number)
        assert asked() == number
        raise_signal(second)
    assert handlers_now() == handlers


@NUMBERS
def test_what_comes_too_late_for_the_block_is_not_lost(number):
    """A step saves, the block asks, the signal comes, and there is no further step."""
    with pytest.raises(Interrupted, match=r"^interrupted; go on with --resume auto$") as stop:
        with interruptible():
            raise_signal(number)
    assert stop.value.number == number


def test_a_block_that_ends_for_the_signal_says_why_itself():
    with pytest.raises(Interrupted, match="in epoch 3") as stop, interruptible() as asked:
        raise_signal(SIGTERM)
        raise Interrupted(asked(), "in epoch 3")
    assert stop.value.number == SIGTERM


def test_a_block_that_fails_leaves_the_handlers_as_they_were(handlers):
    with pytest.raises(ValueError, match="mine"), interruptible():
        raise ValueError("mine")
    assert handlers_now() == handlers


def test_each_block_has_its_own_signal():
    with pytest.raises(Interrupted), interruptible():
        raise_signal(SIGINT)
    with interruptible() as asked:
        assert asked() is None


@NUMBERS
@pytest.mark.parametrize("handler", [signal.SIG_IGN, None], ids=["ignored", "not of Python"])
def test_what_is_not_ours_is_left_alone(number, handler, monkeypatch):
    """A process in the background of a script ignores Ctrl-C."""
    if handler is None:  # as where another program embeds Python
        real = signal.getsignal
        monkeypatch.setattr(signal, "getsignal", lambda n: None if n == number else real(n))
    else:
        signal.signal(number, handler)
    outside = signal.signal(number, signal.SIG_IGN)
    signal.signal(number, outside)
    with interruptible() as asked:
        inside = signal.signal(number, signal.SIG_IGN)
        raise_signal(number)
        assert asked() is None
    assert inside is outside
