"""How every script ends: exit code and what is on standard error."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from utils.errors import UserError

REPO = Path(__file__).resolve().parents[2]
START = "import sys\nfrom utils.errors import UserError, run_script\n"


def run(body, parse="lambda: 5"):
    """Run a script whose main(args) has this body."""
    code = f"{START}def main(args):\n    {body}\nrun_script(main, {parse})\n"
    return subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("body", "code"), [("print(args)", 0), ("print(args); return 1", 1)])
def test_exit_code_is_what_main_returns(body, code):
    done = run(body)
    assert (done.returncode, done.stdout, done.stderr) == (code, "5\n", "")


def test_user_error_is_one_line_and_exit_code_2():
    done = run("raise UserError('no file x;\\n  give another')")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: no file x; give another\n"


def test_user_error_while_options_are_read():
    done = run("pass", parse="lambda: (_ for _ in ()).throw(UserError('bad'))")
    assert (done.returncode, done.stderr) == (2, "error: bad\n")


SCRIPTS = [
    path.relative_to(REPO)
    for folder in ("", "utils", "utils/prepare")
    for path in sorted((REPO / folder).glob("*.py"))
    if "\n    run_script(main" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_an_environment_that_is_not_activated_is_told_in_a_line(script):
    done = subprocess.run(
        [sys.executable, "-S", script], cwd=REPO, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {sys.executable} has no PIL, defusedxml, numpy, tqdm")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("script", "code"), [("utils/prepare/prepare_voc.py", 0), ("train.py", 2)])
def test_prepare_scripts_do_without_paddle(script, code):
    lines = f"import sys\nsys.argv = [{script!r}]\nsys.modules['paddle'] = None\nimport utils"
    assert subprocess.run([sys.executable, "-c", lines], cwd=REPO, timeout=60).returncode == code


def test_what_was_printed_before_an_error_is_kept():
    assert run("print('before'); raise UserError('x')").stdout == "before\n"


def test_ctrl_c():
    done = run("raise KeyboardInterrupt")
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_fault_of_ours_keeps_its_traceback():
    done = run("1 / 0")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("body", ["print(args)", "print(args * 100_000)", "raise UserError('x')"])
def test_no_room_for_the_output(body):
    """As in `predict.py > FILE` on a full disk."""
    code = f"{START}def main(args):\n    print(args)\n    {body}\nrun_script(main, lambda: 5)\n"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=REPO,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    no_room = "cannot write: No space left on device; free some space, or write somewhere else"
    said = "x" if "UserError" in body else no_room
    assert (done.returncode, done.stderr) == (2, f"error: {said}\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("lines", [10, 100_000])
def test_reader_of_the_output_goes_away(lines, unbuffered):
    """As in `predict.py | head -1`: no traceback, neither while printing nor at the end."""
    code = f"{START}def main(args):\n    sys.stdin.read(1)\n    for n in range({lines}): print(n)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", code + "run_script(main, lambda: 0)"],
        cwd=REPO,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 狗", "plain é 狗"),
        ("two\n lines\r\n", "two lines"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("caf\udce9.jpg", "caf\\udce9.jpg"),
        ("a" * 10_000, "a" * 500 + " ... " + "a" * 500),
    ],
)
def test_a_message_is_one_printable_line(text, shown):
    assert str(UserError(text)) == shown


# --- SIGTERM, as from `docker stop` and batch systems


WRITES = """
import sys, time
from utils.errors import run_script
from utils.files import atomic_path

def main(args):
    with atomic_path(sys.argv[1] + "/new/table.csv") as path:
        path.write_text("half a ta")
        print("begun", flush=True)
        time.sleep(60)

run_script(main, lambda: None)
"""


def terminated(folder, ignored=False, **environment):
    """(exit code, standard error, names in the folder) of a script that gets SIGTERM while it writes."""
    command = [sys.executable, "-c", WRITES, folder]
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN)} if ignored else {}
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen(command, cwd=REPO, env={**os.environ, **environment}, **pipes, **ignore) as process:
        assert process.stdout.readline() == "begun\n"
        process.terminate()
        try:
            _, said = process.communicate(timeout=2 if ignored else 30)
        except subprocess.TimeoutExpired:
            process.kill()
            return "goes on", "", sorted(os.listdir(folder))
        return process.returncode, said, sorted(os.listdir(folder))


def test_sigterm_leaves_nothing_half_made(tmp_path):
    assert terminated(tmp_path) == (143, "ended\n", [])


def test_sigterm_that_is_ignored_stays_so(tmp_path):
    assert terminated(tmp_path, ignored=True) == ("goes on", "", ["new"])


def test_sigterm_kills_one_of_several_processes(tmp_path):
    assert terminated(tmp_path, PADDLE_TRAINERS_NUM="2") == (-15, "", ["new"])
