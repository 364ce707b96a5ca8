"""What other tools made is taken where it can be understood and refused with a sentence where not."""

from itertools import product

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.interchange.command import import_
from pipeline.records import InputError, Segment, write_table
from pipeline.store import FeatureStore

SPANS = {"a": (0.0, 3.0), "b": (12.5, 14.0), "c": (200.0, 206.0), "d": (300.25, 301.0)}
COUNTS = {"a": 6, "b": 3, "c": 12, "d": 2}


def right() -> dict[str, np.ndarray]:
    """A file of rows of half a second, at their segments."""
    time_s = [SPANS[s][0] + 0.25 * np.arange(n)[:, None] + [0.0, 0.5] for s, n in COUNTS.items()]
    offset = np.cumsum([0, *COUNTS.values()])
    values = np.arange(offset[-1] * 3, dtype=np.float32).reshape(-1, 3)
    return {"segment_id": np.array(list(SPANS)), "offset": offset, "values": values, "time_s": np.concatenate(time_s)}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write_table(
        folder / "segments.tsv", [Segment(s, "u", "p", None, None, *span) for s, span in SPANS.items()], Segment
    )
    return folder / "segments.tsv"


def take(path, tables) -> FeatureStore:
    out = path.with_name("taken.h5")
    arguments = ["--corpus", "mine", "--name", "x", "--modality", "audio", "--segments", tables, "--out", out]
    CliRunner().invoke(import_, [str(a) for a in (path, *arguments)], catch_exceptions=False, standalone_mode=False)
    return FeatureStore(out)


def write(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for i, segment_id in enumerate(arrays["segment_id"]):
                rows = slice(*arrays["offset"][i : i + 2])
                group = file.create_group(f"root/data/{segment_id}")
                group["features"], group["intervals"] = arrays["values"][rows], arrays["time_s"][rows]
    return path


STARTS = np.repeat([span[0] for span in SPANS.values()], list(COUNTS.values()))[:, None]
READINGS = {  # times as other tools write them: how they are read
    "as they are": (lambda t: t, "seconds from the first video frame"),
    "from the start of each segment": (lambda t: t - STARTS, "seconds from the start of each segment"),
    "in milliseconds": (lambda t: t * 1000, "milliseconds from the first video frame"),
    "in milliseconds of each segment": (lambda t: (t - STARTS) * 1000, "milliseconds from the start of each segment"),
}


@pytest.mark.parametrize("kind", ["x.npz", "x.csd"])
@pytest.mark.parametrize("reading", READINGS)
def test_times_are_read_as_they_must_be_meant(tmp_path, tables, caplog, reading, kind):
    change, words = READINGS[reading]
    arrays = right()
    store = take(write(tmp_path / kind, {**arrays, "time_s": change(arrays["time_s"])}), tables)
    assert np.allclose(np.concatenate([store[s].time_s for s in SPANS]), arrays["time_s"], atol=1e-9)
    assert np.array_equal(np.concatenate([store[s].values for s in SPANS]), arrays["values"])
    assert store.attributes["config"]["times"] == words
    assert (f"its times are taken for {words}" in caplog.text) == (reading != "as they are")


def changed(**changes):
    return {**right(), **changes}


def with_time(row, value):
    time_s = right()["time_s"]
    time_s[row] = value
    return changed(time_s=time_s)


NOWHERE = "and no other reading fits all rows"
SHAPES = "expected (S,), (N, D), (N, 2), (N,)"
WRONG = {
    "not a number": (with_time(3, np.nan), "a: the time of row 3 is"),
    "infinite": (with_time(0, [0, np.inf]), "a: the time of row 0 is"),
    "end before start": (with_time(7, [13.0, 12.5]), "b: row 1 ends at 12.5, not after its start at 13"),
    "no length": (with_time(7, [13.0, 13.0]), "b: row 1 ends at 13, not after"),
    "out of order": (changed(time_s=right()["time_s"][[1, 0, *range(2, 23)]]), "a: row 1 starts before"),
    "one row elsewhere": (with_time(22, [900.0, 900.5]), "d lie from 300.25 to 900.5, the segment from 300.25 to 301"),
    "hours": (changed(time_s=right()["time_s"] / 3600), NOWHERE),
    "an hour late": (changed(time_s=right()["time_s"] + 3600), NOWHERE),
    "rows of others": (changed(offset=np.array([0, 6, 12, 20, 23])), NOWHERE),
    "offset of floats": (changed(offset=right()["offset"].astype(float)), "offset holds float64, expected whole"),
    "offset that falls": (changed(offset=np.array([0, 9, 6, 21, 23])), "does not divide 23 rows among 4 segments"),
    "offset too short": (changed(offset=np.array([0, 6, 9, 23])), "offset does not divide"),
    "offset from one": (changed(offset=np.array([1, 6, 9, 21, 23])), "offset does not divide"),
    "objects": (changed(segment_id=np.array(list(SPANS), object)), "not a whole NumPy .npz file of plain arrays"),
    "texts": (changed(values=np.full((23, 3), "x")), "values holds <U1, expected numbers"),
    "one axis": (changed(values=np.zeros(23)), SHAPES),
    "one time each": (changed(time_s=right()["time_s"][:, 0]), SHAPES),
    "values that are no numbers": (changed(values=np.full((23, 3), np.nan)), "values of row 0 are not numbers"),
    "twice the same segment": (changed(segment_id=np.array(["a", "b", "c", "c"])), "names the segment c twice"),
    "somebody else": (changed(segment_id=np.array(["a", "b", "c", "z"])), "holds z, which is not a segment"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_right_is_refused_with_a_sentence(tmp_path, tables, kind):
    arrays, says = WRONG[kind]
    with pytest.raises(InputError) as caught:
        take(write(tmp_path / "x.npz", arrays), tables)
    assert says in str(caught.value)
    assert str(tmp_path / "x.npz") in str(caught.value)
    assert not (tmp_path / "taken.h5").exists()


def hurt(data, kind):
    middle = len(data) // 2
    return {
        "empty": b"", "half": data[:middle], "damaged": data[:middle] + bytes(range(40)) + data[middle + 40 :],
        "a web page": b"<!DOCTYPE html><p>404", "a pointer": b"version https://git-lfs.github.com/spec/v1\noid x\n",
    }[kind]  # fmt: skip


BROKEN = ["empty", "half", "a web page", "a pointer"]


@pytest.mark.parametrize(("name", "kind"), [*product(["x.npz", "x.csd"], BROKEN), ("x.npz", "damaged")])
def test_broken_files_are_refused_with_a_sentence(tmp_path, tables, kind, name):
    path = write(tmp_path / name, right())
    path.write_bytes(hurt(path.read_bytes(), kind))
    with pytest.raises(InputError, match=name):
        take(path, tables)


def damaged_csd(path, hit):
    """A file of which 40 bytes are others: of a part of it, or of the rows of c."""
    data = bytearray(write(path, right()).read_bytes())
    with h5py.File(path) as file:
        rows = {kind: file[f"root/data/c/{kind}"].id.get_offset() for kind in ("features", "intervals")}
    begin = {"signature": 0, "name": data.index(b"features"), **rows}[hit]
    data[begin : begin + 40] = bytes(range(40))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("hit", ["signature", "name", "intervals"])
def test_a_csd_whose_structure_or_times_are_damaged_is_refused(tmp_path, tables, hit):
    with pytest.raises(InputError, match=r"x\.csd"):
        take(damaged_csd(tmp_path / "x.csd", hit), tables)


def test_a_csd_has_no_checksums_and_damaged_numbers_are_wrong_only_where_they_were_hit(tmp_path, tables):
    store, expected = take(damaged_csd(tmp_path / "x.csd", "features"), tables), right()
    expected["values"][9:].view("u1").reshape(-1)[:40] = range(40)  # the rows of c, which nine are in front of
    assert np.array_equal(np.concatenate([store[s].values for s in SPANS]), expected["values"])
    assert np.array_equal(np.concatenate([store[s].time_s for s in SPANS]), expected["time_s"])


def scalar(data):
    data["a"]["features"] = 1.0


def texts(data):
    data["a"]["features"] = [b"a"] * 6


def dangling(data):
    data["a"]["features"] = h5py.SoftLink("/nowhere")


def elsewhere(data):
    data["a"]["features"] = h5py.ExternalLink("/etc/passwd", "/x")


def whole_elsewhere(data):
    del data["a"]
    data["a"] = h5py.ExternalLink("other.csd", "/other/data/a")


def outside(data):
    data["a"].create_dataset("features", (6, 3), "f4", external=[("/etc/passwd", 0, 72)])


def virtual(data):
    layout = h5py.VirtualLayout((6, 3), "f4")
    layout[:] = h5py.VirtualSource("other.csd", "x", (6, 3))
    data["a"].create_virtual_dataset("features", layout)


def huge(data):
    data["a"].create_dataset("features", (2_000_000_000, 3), "f4", chunks=(1024, 3))


def group(data):
    data["a"].create_group("features")


def array(data):
    del data["a"]
    data["a"] = [1.0]


def longer(data):
    data["a"]["features"] = np.zeros((7, 3))


ODD = {
    scalar: "expected an array of numbers", texts: "expected an array of numbers", dangling: "which is not there",
    elsewhere: "a link to another file, /etc/passwd", whole_elsewhere: "a link to another file, other.csd",
    outside: "lies in another file", virtual: "lies in another file", huge: "claims 24.0 GB", group: "is a group",
    array: "a holds an array, expected features and intervals", longer: "expected (n, ...) and (n, 2)",
}  # fmt: skip


@pytest.mark.parametrize("change", ODD, ids=lambda f: f.__name__)
def test_odd_members_of_csd_are_refused_with_a_sentence(tmp_path, tables, change):
    path = write(tmp_path / "x.csd", right())
    with h5py.File(path, "r+") as file:
        data = file["root/data"]
        if change not in (whole_elsewhere, array):
            del data["a"]["features"]
        change(data)
    with pytest.raises(InputError) as caught:
        take(path, tables)
    assert ODD[change] in str(caught.value)


def test_links_within_the_file_are_followed(tmp_path, tables):
    path = write(tmp_path / "x.csd", right())
    with h5py.File(path, "r+") as file:
        file["kept"] = file["root/data/a/features"][:]
        del file["root/data/a/features"]
        file["root/data/a/features"] = h5py.SoftLink("/kept")
    assert len(take(path, tables)["a"]) == 6


def test_a_bomb_is_not_unpacked(tmp_path, tables):
    np.savez_compressed(tmp_path / "x.npz", **{**right(), "more": np.zeros(200_000_000, np.uint8)})
    with pytest.raises(InputError, match=r"claims 0\.2 GB of numbers in 0\.2 MB"):
        take(tmp_path / "x.npz", tables)


SPOILS = st.tuples(st.integers(0, 22), st.integers(0, 1), st.sampled_from([np.nan, np.inf, -0.3, -0.6, 0.3, 5.0, 1e9]))
NEAR = st.sampled_from([0.0, 0.5, 3.0, -3.0, 60.0])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scale=st.sampled_from([1.0, 1000.0, 60.0, 0.001]),
    shift=NEAR | st.floats(-400, 400),
    kind=st.sampled_from(["x.npz", "x.csd"]),
    spoilt=st.just([]) | st.lists(SPOILS, min_size=1, max_size=2),
)
@example(scale=1.0, shift=3.0, kind="x.npz", spoilt=[])
@example(scale=1.0, shift=0.0, kind="x.npz", spoilt=[(8, 1, -0.6)])
def test_whatever_is_taken_lies_in_its_segment(tmp_path, tables, scale, shift, kind, spoilt):
    time_s = right()["time_s"] * scale + shift
    for row, side, change in spoilt:
        time_s[row, side] += change * scale
    try:
        store = take(write(tmp_path / kind, changed(time_s=time_s)), tables)
    except InputError:
        assert spoilt or shift or scale not in (1.0, 1000.0), "what is right is taken"
        return
    for segment_id, (start_s, end_s) in SPANS.items():
        rows = store[segment_id]
        assert (rows.time_s[:, 1] > rows.time_s[:, 0]).all()
        middle_s = rows.time_s.mean(axis=1)
        assert ((middle_s > start_s - 1.001) & (middle_s < end_s + 1.001)).all()
