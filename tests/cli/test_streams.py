"""Files, pipes and streams that a person names: read within bounds, written whole or not at all, never waited for without end."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gpusizer import given_files
from gpusizer.cli.main import main
from gpusizer.errors import InputError
from gpusizer.validation import case_file
from gpusizer.validation.case_file import each_case, read_cases

ANSWERED, WRONG = 0, 2
COMMAND = [sys.executable, "-m", "gpusizer"]
LISTING = ("scenarios", "list")

pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a refusal."""
    assert main(arguments) == WRONG
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    assert "defect" not in err
    return err


def shell(words: str) -> subprocess.CompletedProcess[bytes]:
    """bash, with gpusizer as $G."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "G": f"{sys.executable} -m gpusizer"}
    return subprocess.run(["bash", "-c", words], capture_output=True, timeout=300, check=False, env=environment)


# ---- reading --------------------------------------------------------------------------------------------------------


@pipes
def test_a_pipe_without_a_writer_is_waited_for_only_so_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given_files, "PATIENCE_S", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "nobody writes" in said(capsys, "validate", str(pipe))
    assert "nobody writes" in said(capsys, "plan", "qwen3-8b", "--gpu", "h200", "--concurrency", "1", "--prices", str(pipe))


@pytest.mark.parametrize("way", ["$G validate - --format json < {file}", "cat {file} | $G validate /dev/stdin --format json"])
def test_cases_come_from_stdin(tmp_path: Path, way: str) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text('{"id": "a"}\n{"id": "b"}\n', encoding="utf-8")
    answer = shell(way.format(file=file))
    assert (answer.returncode, answer.stderr) == (ANSWERED, b"")
    assert [case["id"] for case in json.loads(answer.stdout)["cases"]] == ["a", "b"]


@pipes
def test_a_slow_writer_is_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    answer = shell(f'mkfifo {pipe}; (exec 3> {pipe}; sleep 1; echo \'{{"id": "late"}}\' >&3) & $G validate {pipe} --format json; wait')
    assert answer.returncode == ANSWERED, answer.stderr
    assert json.loads(answer.stdout)["cases"][0]["id"] == "late"


def test_a_byte_order_mark_before_the_first_case_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"id": "a"}\r\n{"id": "b"}\r\n')
    assert [case["id"] for case in read_cases(str(file))] == ["a", "b"]


def test_the_number_and_the_size_of_cases_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_file, "MOST_CASES", 3)
    monkeypatch.setattr(case_file, "LARGEST_FILE_BYTES", 100)
    file = tmp_path / "cases.jsonl"
    for content, code in (("{}\n" * 3, None), ("{}\n" * 4, "too-many-cases"), ("{}\n" + " " * 98, "cases-too-large")):
        file.write_text(content, encoding="utf-8")
        if code is None:
            assert len(list(each_case(str(file)))) == 3
            continue
        with pytest.raises(InputError) as caught:
            each_case(str(file))  # before the first case is asked for
        assert caught.value.code == code


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no device without end")
def test_a_device_without_end_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        read_cases("/dev/zero")
    assert caught.value.code == "cases-too-large"


# ---- writing --------------------------------------------------------------------------------------------------------


def test_the_mode_of_a_replaced_file_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "answer.txt"
    target.write_text("old", encoding="utf-8")
    target.chmod(0o600)
    assert main([*LISTING, "--output", str(target)]) == ANSWERED
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert target.read_text(encoding="utf-8") != "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    target = tmp_path / "answer.txt"
    before = os.umask(0o027)
    try:
        assert main([*LISTING, "--output", str(target)]) == ANSWERED
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o400, 0o444])
def test_a_protected_file_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int) -> None:
    target = tmp_path / "answer.txt"
    target.write_text("old", encoding="utf-8")
    target.chmod(mode)
    said(capsys, *LISTING, "--output", str(target))
    assert target.read_text(encoding="utf-8") == "old"
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_links_stay_links(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    said(capsys, *LISTING, "--output", str(tmp_path / "a"))
    assert (tmp_path / "a").is_symlink()
    (tmp_path / "c").symlink_to("target")
    assert main([*LISTING, "--output", str(tmp_path / "c")]) == ANSWERED
    assert (tmp_path / "c").is_symlink()
    assert (tmp_path / "target").is_file()


@pytest.mark.parametrize("name", ["newdir/", "newdir/.", "..", "n" * 256])
def test_what_can_be_no_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    said(capsys, *LISTING, "--output", f"{tmp_path}/{name}")
    assert list(tmp_path.iterdir()) == []


def test_the_longest_name_is_taken(tmp_path: Path) -> None:
    assert main([*LISTING, "--output", str(tmp_path / ("n" * 255))]) == ANSWERED


@pipes
def test_a_pipe_without_a_reader_is_waited_for_only_so_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(given_files, "PATIENCE_S", 0.2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "nobody reads" in said(capsys, *LISTING, "--output", str(pipe))


@pipes
def test_a_pipe_with_a_reader_gets_the_answer(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    answer = shell(f"mkfifo {pipe}; cat {pipe} & $G scenarios list --output {pipe}; wait")
    assert (answer.returncode, answer.stdout) == (ANSWERED, shell("$G scenarios list").stdout)


SLOW = (
    "import os, signal, sys, time\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whoever runs the tests may ignore it, as a shell does for what runs behind it
    "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    "signal.signal(signal.SIGQUIT, signal.SIG_DFL)\n"
    "os.fsync = lambda number: (print('written', flush=True), time.sleep(60))\n"
    "{more}"
    "sys.argv = ['gpusizer', 'scenarios', 'list', '--output', sys.argv[1]]\n"
    "from gpusizer.cli.main import run\n"
    "run()\n"
)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no such signals")
@pytest.mark.parametrize(
    ("name", "named"),
    [
        *((name, False) for name in ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGKILL")),
        *((name, True) for name in ("SIGTERM", "SIGHUP", "SIGINT")),  # a draft with a name outlives what cannot be caught
    ],
)
def test_a_signal_while_the_file_is_written_leaves_no_draft(tmp_path: Path, name: str, *, named: bool) -> None:
    if name in ("SIGQUIT", "SIGKILL") and not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no files without a name")
    target = tmp_path / "answer.txt"
    target.write_text("old", encoding="utf-8")
    code = SLOW.format(more="if hasattr(os, 'O_TMPFILE'): del os.O_TMPFILE\n" if named else "")
    writer = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"written\n"
    writer.send_signal(getattr(signal, name))
    left = writer.wait(timeout=60)
    writer.stdout.close()
    assert left == (130 if name == "SIGINT" else -getattr(signal, name))
    assert [path.name for path in tmp_path.iterdir()] == ["answer.txt"]
    assert target.read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("room_bytes", [0, 1, 4096])
def test_a_limit_on_the_size_of_files_keeps_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, room_bytes: int, *, named: bool
) -> None:
    resource = pytest.importorskip("resource", reason="this system has no limits of a process")
    if named:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    target = tmp_path / "answer.txt"
    target.write_text("old", encoding="utf-8")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, limits[1]))
    try:
        assert "size is allowed" in said(capsys, "accelerators", "list", "--output", str(target))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_text(encoding="utf-8") == "old"


FULL_DISK = "mount -t tmpfs -o size=8k none {folder} && cd {folder} && printf old > answer.txt && $G accelerators list --output answer.txt"


def test_a_disk_that_gets_full_keeps_what_was_there(tmp_path: Path) -> None:
    if shell(f"unshare --user --map-root-user --mount mount -t tmpfs -o size=8k none {tmp_path}").returncode != 0:
        pytest.skip("this system lends no small disk")
    words = FULL_DISK.format(folder=tmp_path) + "; echo $?; ls -A; cat answer.txt"
    answer = shell(f"unshare --user --map-root-user --mount bash -c '{words}'")
    assert answer.stdout.decode().split() == [str(WRONG), "answer.txt", "old"]
    assert answer.stderr.count(b"\n") == 1
    assert b"disk is full" in answer.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no such signals")
def test_a_second_signal_does_not_cut_the_clearing_away_short(tmp_path: Path) -> None:
    """A service manager sends both, one right after the other: the second comes while the draft is removed."""
    target = tmp_path / "answer.txt"
    clearing = (
        "if hasattr(os, 'O_TMPFILE'): del os.O_TMPFILE\n"
        "import pathlib\n"
        "unlink = pathlib.Path.unlink\n"
        "pathlib.Path.unlink = lambda path, **words: (os.kill(os.getpid(), signal.SIGHUP), time.sleep(0.01), unlink(path, **words))\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", SLOW.format(more=clearing), str(target)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"written\n"
    writer.send_signal(signal.SIGTERM)
    _, err = writer.communicate(timeout=60)
    assert (writer.returncode, err) == (-signal.SIGTERM, b"")
    assert list(tmp_path.iterdir()) == []


# ---- streams that take nothing ---------------------------------------------------------------------------------------


@full
@pytest.mark.parametrize("words", ["--help", "--version", "", "plan --help", "plan qwen3-8b --gpu h200 --concurrency 1 --format xlsx --output -"])
def test_a_full_disk_is_one_line_whatever_is_printed(words: str) -> None:
    answer = shell(f"$G {words} > /dev/full")
    assert answer.returncode == WRONG
    assert answer.stderr.count(b"\n") == 1
    assert b"stdout" in answer.stderr
    assert b"defect" not in answer.stderr


@pytest.mark.parametrize("words", ["--help", "--version", "accelerators list --format json"])
def test_a_reader_that_leaves_is_no_error_whatever_is_printed(words: str) -> None:
    answer = shell(f"$G {words} | true; exit ${{PIPESTATUS[0]}}")
    assert (answer.returncode, answer.stdout, answer.stderr) == (ANSWERED, b"", b"")


@full
def test_a_full_stderr_does_not_change_the_exit_code() -> None:
    assert shell("$G models show no-such-model 2> /dev/full").returncode == WRONG
