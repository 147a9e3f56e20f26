"""``python -m training.dataset``: help, options, reports, failures, and being stopped."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dataset_commands import REFUSALS, refusal
from packing_samples import city_lonlat, random_lonlats, save_photo, write_manifest, write_photos
from repository import REPOSITORY
from toy_city import write_city

from gair.fields import from_namespace
from training.dataset import cli
from training.dataset.cli import main
from training.dataset.pack.options import PackOptions

Capture = pytest.CaptureFixture[str]
NEEDED = ["--photos", "in", "--imagery", "a.tif", "b.tif", "--out", "dataset"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of the toy city, one of them elsewhere."""
    lonlat_deg = random_lonlats(30, inset_m=300).tolist()
    return write_photos(tmp_path_factory.mktemp("photos"), [*lonlat_deg, (9.0, 48.0)])


def packing(photos: Path, imagery: Path, out: Path, *flags: str) -> list[str]:
    argv = ["pack", "--photos", str(photos), "--imagery", str(imagery), "--out", str(out)]
    return [*argv, "--footprint-m", "800", "--quiet", *flags]


def options_of(argv: list[str]) -> PackOptions:
    return from_namespace(PackOptions, cli._parser().parse_args(argv))


@pytest.mark.process
def test_help_is_quick_and_teaches() -> None:
    code = (
        "import sys\n"
        "from training.dataset.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "finally:\n"
        "    heavy = {'torch', 'pyarrow', 'rasterio', 'numpy', 'PIL'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    for words in ([], ["pack"], ["streetscapes"], ["info"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words, "--help"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "usage: python -m training.dataset" in done.stdout
        assert "examples:\n  # " in done.stdout or words in (["pack"], ["info"])


def test_the_examples_of_the_help_parse() -> None:
    text = (cli._EPILOG + cli._STREETSCAPES_EPILOG).replace("\\\n", " ")
    commands = re.findall(r"python -m training\.dataset (.*)", text)
    assert len(commands) == 5 + 3
    for command in commands:
        arguments = cli._parser().parse_args(shlex.split(command))
        if command.startswith("pack "):
            from_namespace(PackOptions, arguments)
        elif command.startswith("streetscapes "):
            cli.streetscapes_options(arguments)


def test_defaults_are_those_of_the_library() -> None:
    expected = PackOptions(Path("in"), (Path("a.tif"), Path("b.tif")), Path("dataset"))
    assert options_of(["pack", *NEEDED]) == expected


def test_every_flag_arrives() -> None:
    flags = {
        "--footprints": "centred", "--footprint-m": "1200", "--min-valid": "0.7",
        "--split-by": "block", "--block-m": "900", "--buffer-m": "10", "--join-km": "7",
        "--shares": "0.5,0.3,0.2", "--seed": "4", "--max-px": "300", "--licence": "CC0",
        "--source": "me", "--bands": "gair-10", "--dn-scale": "2", "--dn-offset": "-1000",
    }  # fmt: skip
    switches = ["--date-from-name", "--force-bands", "--synthetic", "--overwrite", "--quiet"]
    words = [f"{flag}={value}" for flag, value in flags.items()]
    changed = options_of(["pack", *NEEDED, *words, *switches])
    default = options_of(["pack", *NEEDED])
    for part, plain in (
        (changed, default),
        (changed.split, default.split),
        (changed.reading, default.reading),
    ):
        values = vars(part)
        same = {name for name in values if values[name] == vars(plain)[name]}
        assert same <= {"photos", "imagery", "out"}
    assert changed.split.shares == (0.5, 0.3, 0.2)
    assert changed.reading.dn_offset == -1000.0


def test_pack_and_info(manifest: Path, city_tif: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "dataset"
    flags = ["--split-by", "block", "--block-m", "1000", "--buffer-m", "0"]
    flags += ["--shares", "0.6,0.2,0.2", "--licence", "CC0"]
    assert main(packing(manifest, city_tif, out, *flags)) == 0
    told = capsys.readouterr()
    assert told.err == ""
    lines = told.out.splitlines()
    assert lines[0] == f"data set {out}"
    counts = re.fullmatch(r"photos: 31 found, (\d+) packed, (\d+) left out", lines[1])
    assert counts
    assert sum(map(int, counts.groups())) == 31
    of_splits = [re.match(r"  (\w+) +(\d+) photos, ", line) for line in lines]
    packed = {m[1]: int(m[2]) for m in of_splits if m}
    assert list(packed) == ["train", "val", "test"]
    assert sum(packed.values()) == int(counts[1])
    assert "       1  outside the imagery: 0030.jpg" in lines
    assert "imagery: day unknown" in lines

    assert main(["info", str(out), "--verify"]) == 0
    text = capsys.readouterr().out
    assert re.match(rf"data set {re.escape(str(out))}, \d\.\d MB, [0-9a-f]{{12}}\n", text)
    for split, count in packed.items():
        assert re.search(rf"  {split} +{count} photos, .* longitude -0\.1\d+ to ", text)
    for words in (
        "frames    800 Web-Mercator metres; unknown days",
        f"licences  CC0: {counts[1]}",
        f"sources   unknown: {counts[1]}",
        "imagery   Contains modified Copernicus Sentinel data",
        "outside the imagery: 1",
        "verified  6 files are as they were written",
    ):
        assert words in text
    assert "SYNTHETIC" not in text


def test_info_tells_what_is_synthetic_and_when_it_was_seen(
    manifest: Path, tmp_path: Path, capsys: Capture
) -> None:
    for day in ("2023-01-02", "2024-05-01"):
        write_city(tmp_path / f"imagery/{day}.tif".replace("imagery/", ""), side_px=300)
    flags = ["--synthetic", "--date-from-name"]
    argv = packing(manifest, tmp_path / "2023-01-02.tif", tmp_path / "out", *flags)
    argv.insert(argv.index("--out"), str(tmp_path / "2024-05-01.tif"))
    assert main(argv) == 0
    assert "imagery: 2 days, 2023-01-02 to 2024-05-01" in capsys.readouterr().out
    assert main(["info", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "SYNTHETIC" in text
    assert "2 days, 2023-01-02 to 2024-05-01" in text
    assert "seen by no satellite" in text
    assert "verified" not in text


def test_a_damaged_file_is_found(
    manifest: Path, city_tif: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    assert main(packing(manifest, city_tif, out)) == 0
    shard = out / "photos/train-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[2000] ^= 1
    shard.write_bytes(content)
    assert "train-00000.parquet differs" in refusal(["info", str(out), "--verify"], capsys)
    shard.unlink()
    assert "train-00000.parquet is missing" in refusal(["info", str(out)], capsys)
    assert "has no dataset.json" in refusal(["info", str(tmp_path)], capsys)


OF_PACK = [
    (["--block-m", "1"], 2, "--block-m 1.0 is below 100 metres"),
    (["--photos", "nowhere"], 1, "no photos at nowhere: give a folder"),
    (["--photos", "pyproject.toml"], 2, "pyproject.toml is neither a folder nor"),
    (["--out", "pyproject.toml"], 2, "pyproject.toml is a file"),
]


@pytest.mark.parametrize(
    ("flags", "status", "words"), [*REFUSALS, *OF_PACK], ids=lambda v: str(v)[:40]
)
def test_commands_that_cannot_work(
    manifest: Path,
    city_tif: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    status: int,
    words: str,
) -> None:
    monkeypatch.chdir(REPOSITORY)
    argv = packing(manifest, city_tif, tmp_path / "out", *flags)
    assert words in refusal(argv, capsys, status)
    assert not (tmp_path / "out").exists()


def test_columns_that_are_missing(city_tif: Path, tmp_path: Path, capsys: Capture) -> None:
    wrong = write_manifest(tmp_path / "photos.csv", ["file", "x", "y"], [["a.jpg", 1, 2]])
    message = refusal(packing(wrong, city_tif, tmp_path / "out"), capsys, 2)
    assert "no column lat or latitude" in message
    assert message.endswith("its columns are 'file', 'x', 'y'")


def test_nothing_that_can_be_packed(city_tif: Path, tmp_path: Path, capsys: Capture) -> None:
    far = write_photos(tmp_path / "in", [(9.0, 48.0)])
    message = refusal(packing(far, city_tif, tmp_path / "out"), capsys)
    assert message == "none of 1 photos can be used: 1 outside the imagery"


@pytest.mark.process
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_pack_leaves_no_data_set(
    city_tif: Path, tmp_path: Path, how: signal.Signals
) -> None:
    original = save_photo(tmp_path / "in/0.jpg", size=(1500, 1000)).read_bytes()
    lon, lat = city_lonlat(800, 2000)
    rows = [("0.jpg", lat, lon)]  # one in a footprint that is written first
    lon, lat = city_lonlat(2600, 2000)
    for number in range(1, 300):  # and some seconds of work in another
        (tmp_path / f"in/{number}.jpg").write_bytes(original + number.to_bytes(4, "big"))
        rows.append((f"{number}.jpg", lat, lon))
    manifest = write_manifest(tmp_path / "in/photos.csv", ["file", "lat", "lon"], rows)
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)  # it may be ignored here, and inherited
    try:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "training.dataset",
                *packing(manifest, city_tif, tmp_path / "out"),
            ],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, handler)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/.writing-*/photos/*")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines() == ["interrupted: nothing was changed"]
    assert not list(tmp_path.glob("out/*"))  # hidden files, too
