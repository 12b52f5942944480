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
    yield dict.fromkeys(before, act)
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers_now():
    return {number: signal.getsignal(number) for number in (SIGINT, SIGTERM)}


def within(*numbers, then=None):
    """A block in which these signals come; what it was told after each. At the end it raises `then`."""
    told = []
    with interruptible() as asked:
        for number in numbers:
            raise_signal(number)
            told.append(asked())
        if then:
            raise then
    return told


def test_nothing_came(handlers):
    with interruptible() as asked:
        assert asked() is None
        assert handlers_now() != handlers
    assert handlers_now() == handlers


@NUMBERS
def test_the_block_goes_on_and_is_told(handlers, number):
    with pytest.raises(Interrupted), interruptible() as asked:
        assert (raise_signal(number), asked(), asked()) == (None, number, number)
    assert handlers_now() == handlers


@NUMBERS
@pytest.mark.parametrize("second", [SIGINT, SIGTERM])
def test_a_second_signal_acts_as_usual(handlers, number, second):
    with pytest.raises(Usual):
        within(number, second)
    assert handlers_now() == handlers


@NUMBERS
def test_what_comes_too_late_for_the_block_is_not_lost(number):
    """A step saves, the block asks, the signal comes, and there is no further step."""
    with pytest.raises(Interrupted, match=r"^interrupted; go on with --resume auto$") as stop:
        within(number)
    assert stop.value.number == number


@NUMBERS
def test_a_block_that_ends_for_the_signal_says_why_itself(number):
    with pytest.raises(Interrupted, match="in epoch 3") as stop:
        within(number, then=Interrupted(number, "in epoch 3"))
    assert stop.value.number == number


def test_a_block_that_fails_leaves_the_handlers_as_they_were(handlers):
    with pytest.raises(ValueError, match="mine"):
        within(then=ValueError("mine"))
    assert handlers_now() == handlers


def test_each_block_has_its_own_signal():
    with pytest.raises(Interrupted):
        within(SIGINT)
    assert within() == []


@NUMBERS
def test_what_the_process_ignores_is_ignored(number):
    """A process in the background of a script ignores Ctrl-C, one behind nohup other signals."""
    signal.signal(number, signal.SIG_IGN)
    assert within(number, number) == [None, None]


@NUMBERS
def test_a_handler_that_is_not_of_python_stays(number, monkeypatch):
    """As where another program embeds it: such a handler could not be put back."""
    real = signal.getsignal
    monkeypatch.setattr(signal, "getsignal", lambda n: None if n == number else real(n))
    with pytest.raises(Usual):
        within(number)
