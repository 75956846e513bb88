"""The file: what is written is read back, by onnx too; what is no model is refused in a sentence."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_model import tiny_info, write_tiny

import tonearm
from tonearm.runtime import ModelError, read_info, write_info


def test_the_description_is_read_back_and_onnx_reads_it_too(tmp_path):
    path = write_tiny(tmp_path / "tiny.onnx", licence="ünïcode 音楽 " + "x" * 70000)
    info = read_info(path)
    props = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(props["tonearm"])["licence"] == info["licence"]
    assert info["classes"] == ["bass", "middle", "treble"]
    onnx.checker.check_model(str(path))


def test_metadata_that_onnx_writes_is_read(tmp_path):
    path = write_tiny(tmp_path / "tiny.onnx")
    model = onnx.load(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = "other", "thing"
    onnx.save(model, path)
    assert read_info(path)["name"] == "tiny"


def test_the_last_description_counts(tmp_path):
    path = write_tiny(tmp_path / "tiny.onnx")
    path.write_bytes(write_info(path.read_bytes(), tiny_info(name="renamed")))
    assert read_info(path)["name"] == "renamed"


def test_what_is_left_out_is_filled_in(tmp_path):
    info = tiny_info()
    for key in ("clips", "stored", "training", "card", "version"):
        del info[key]
    info["listen"] = {}
    path = tmp_path / "m.onnx"
    path.write_bytes(write_info(b"", info))
    read = read_info(path)
    assert read["stored"] == {"dtype": "uint8", "scale": "clip-minmax"}
    alone = {"doubts": [], "again_seconds": 0.0, "again_share": 0.0}
    assert read["listen"] == {"excerpts": 1, "clip_seconds": 6.0, "places": "spread", **alone}
    assert read["clips"]["frames"] is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "tonearm-model/9"}, "format"),
        ({"classes": ["one"]}, "classes"),
        ({"classes": ["a", "a"]}, "classes"),
        ({"temperature": 0}, "temperature"),
        ({"threshold": 1.1}, "threshold"),
        ({"temperature": "warm"}, "temperature"),
        ({"licence": None}, "licence"),
        ({"feature": []}, "feature"),
        *(
            ({"listen": {"doubts": doubts}}, "doubt")
            for doubts in (
                0.1,
                [0.1],
                [{"margin": 0.1}],
                [{"margin": "x", "places": [0.5]}],
                [{"margin": 0.1, "places": [1.5]}],
            )
        ),
    ],
)
def test_a_description_that_is_not_whole_is_refused(changes, words, tmp_path):
    with pytest.raises(ModelError, match=words):
        write_info(b"", tiny_info(**changes))


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"RIFF....WAVE", b"\xff" * 50, b'{"format": 1}', b"PK\x03\x04"])
def test_rubbish_is_no_model(content, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a model of tonearm") as caught:
        tonearm.load(path)
    assert caught.value.code == "not-a-model"


def test_every_cut_of_a_model_is_refused_and_none_breaks_the_reader(tmp_path):
    whole = write_tiny(tmp_path / "tiny.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    for size in range(0, len(whole) - 1, 137):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError):
            tonearm.load(path)


def test_an_onnx_file_of_something_else_is_named_as_such(tmp_path):
    def graph(inputs, outputs, node):
        return helper.make_model(
            helper.make_graph(
                [node], "g",
                [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
                [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
            ),
            opset_imports=[helper.make_opsetid("", 18)], ir_version=9,
        ).SerializeToString()  # fmt: skip

    rows = np.zeros((1, 24, 60), np.float32)
    path = tmp_path / "m.onnx"
    path.write_bytes(graph([("x", [1])], [("y", [1])], helper.make_node("Identity", ["x"], ["y"])))
    with pytest.raises(ModelError, match="not a model of tonearm"):
        tonearm.load(path)
    path.write_bytes(write_info(path.read_bytes(), tiny_info()))
    with pytest.raises(ModelError, match="takes no `features`"):
        tonearm.load(path).from_features(rows)
    path.write_bytes(
        write_info(
            graph([("features", [1, 24, 60])], [("y", [1, 24, 60])], helper.make_node("Relu", ["features"], ["y"])),
            tiny_info(),
        )
    )
    with pytest.raises(ModelError, match="gives no `logits`"):
        tonearm.load(path).from_features(rows)
    broken = write_tiny(tmp_path / "b.onnx").read_bytes().replace(b"ReduceMean", b"ReduceMxxx")
    (tmp_path / "b.onnx").write_bytes(broken)
    with pytest.raises(ModelError, match="ONNX Runtime does not take"):
        tonearm.load(tmp_path / "b.onnx").from_features(rows)


def test_a_graph_with_another_number_of_classes_is_refused(tmp_path):
    path = write_tiny(tmp_path / "m.onnx")
    path.write_bytes(write_info(path.read_bytes(), tiny_info(("a", "b"))))
    with pytest.raises(ModelError, match="3 classes, its description 2"):
        tonearm.load(path).from_features(np.zeros((1, 24, 60), np.float32))
