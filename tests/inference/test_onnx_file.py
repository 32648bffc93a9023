from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.errors import FoveateError
from foveate.inference.onnx_file import read_metadata, read_model_info

MakeModel = Callable[..., Path]


def message_of(path: Path) -> str:
    with pytest.raises(FoveateError) as caught:
        read_model_info(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def test_reads_all_that_the_file_says(blob_model: Path) -> None:
    info = read_model_info(blob_model)
    assert info.name == "blob"
    assert info.class_names == ("warm", "cold")
    assert info.tile_plan.size == 64
    assert info.max_detections == 40
    assert info.measured[0].metrics == {"AP": 0.5}


def test_changed_metadata_is_read(make_model: MakeModel) -> None:
    assert read_model_info(make_model(name="renamed.onnx", description="é" * 300)).description == (
        "é" * 300
    )


def test_missing_file(tmp_path: Path) -> None:
    assert "no such model file" in message_of(tmp_path / "absent.onnx")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "cannot be read" in message_of(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello, this is text", b"\x89PNG\r\n\x1a\n" + bytes(200), b"\x00" * 50, b"\x3a\xff\xff"],
)
def test_no_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert "not an ONNX model" in message_of(path)


def test_cut_short(tmp_path: Path, blob_model: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(blob_model.read_bytes()[:1000])
    assert "not an ONNX model, or damaged" in message_of(path)


def test_foreign_model(make_model: MakeModel) -> None:
    text = message_of(make_model(raw="none"))
    assert "without foveate's metadata" in text
    assert read_metadata(make_model(raw="none")) == {}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("{not json", "not JSON"),
        ("[1, 2]", "schema version None"),
        ('{"schema_version": 2}', "schema version 2 and this foveate reads 1"),
        ('{"schema_version": 1}', "invalid metadata: name: field required"),
    ],
)
def test_bad_metadata(make_model: MakeModel, raw: str, expected: str) -> None:
    assert expected in message_of(make_model(raw=raw))


def test_unknown_key_in_metadata(make_model: MakeModel) -> None:
    assert "did you mean 'licence'" in message_of(make_model(license="MIT"))


def test_normalisation_must_suit_the_channels(make_model: MakeModel) -> None:
    assert "mean and std need 3 values" in message_of(make_model(mean=[0.5]))


def stored_in(location: str) -> bytes:
    """A tensor whose weights lie in another file."""
    entry = field(1, b"location") + field(2, location.encode())
    return field(13, entry) + b"\x70\x01"  # data_location = EXTERNAL


@pytest.mark.parametrize(
    "graph_with",
    [
        lambda tensor: field(5, tensor),  # an initialiser
        lambda tensor: field(1, field(5, field(5, tensor))),  # in a Constant node's attribute
        lambda tensor: field(1, field(5, field(6, field(5, tensor)))),  # in an If node's branch
        lambda tensor: field(15, field(1, tensor)),  # a sparse one
    ],
)
def test_weights_in_other_files(tmp_path: Path, graph_with: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "external.onnx"
    path.write_bytes(field(7, graph_with(stored_in("w.data"))))
    assert "its weights are missing; they belong beside it, in w.data" in message_of(path)
    (tmp_path / "w.data").write_bytes(b"0")
    assert read_metadata(path) == {}
    for outside in ("../w.data", "/etc/hostname", "a/../../w.data"):
        path.write_bytes(field(7, graph_with(stored_in(outside))))
        assert f"outside its folder ({outside}), which is refused" in message_of(path)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 3500))
def test_damage_never_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int
) -> None:
    data = bytearray((Path(__file__).parent.parent / "data_files" / "blob.onnx").read_bytes())
    data[at : at + len(noise)] = noise
    path = tmp_path_factory.mktemp("damage") / "model.onnx"
    path.write_bytes(bytes(data))
    with suppress(FoveateError):
        assert read_model_info(path).channels >= 1
