"""The page of a personal model: the figures of the report, and names that are not markup."""

from __future__ import annotations

import re

from tonearm.reports.learn_page import page

ROW = {"recall": 0.75, "recall_interval": [0.5, 0.9], "precision": 0.8, "n": 20, "artists": 9}
DOUBT = {"label": "Röck", "suggested": "<b>Jazz</b>", "probability": 0.9, "probability_of_label": 0.03}
REPORT = {
    "model": "a/mine.npz",
    "n": 40,
    "accuracy": 0.725,
    "interval": [0.61, 0.83],
    "interval_over": "artists",
    "interval_groups": 18,
    "largest_genre": 0.5,
    "ear": {"kind": "model", "name": "fma", "version": "0123456789ab"},
    "per_genre": {"<b>Jazz</b>": ROW, "Röck": {**ROW, "recall_interval": [None, None], "precision": None}},
    "sure": {"threshold": 0.7, "share": 0.4, "accuracy": 0.9, "interval": [0.8, 0.97]},
    "notes": ["labels are the names of the folders"],
    "scarce": [
        {"genre": "Polka", "tracks": 2, "artists": 1, "kept": False, "reason": "2 songs, 10 are the least"},
        {"genre": "Röck", "tracks": 20, "artists": 9, "kept": True, "reason": "only 20 songs"},
    ],
    "doubtful": [{**DOUBT, "path": f"<i>{i}.mp3"} for i in range(30)],
    "no_doubts": "",
    "curve": [{"share": 0.25, "artists": 4.4, "tracks": 9, "value": 0.6, "interval": [0.5, 0.7]}],
    "more_music": {"verdict": "more", "words": "more music would help", "gain": {"value": 0.1, "interval": [0, 0.2]}},
    "unlabelled": ["x.mp3"],
    "skipped": [{"path": "y.mp3", "code": "empty", "message": "the file has no bytes"}],
}  # fmt: skip


def test_the_page_tells_the_report_and_runs_nothing():
    text = page(REPORT)
    words = re.sub(r"<[^>]+>", " ", text)
    figures = ("72.5 %", "61.0 to 83.0", "n = 40", "18 artists", "20 songs")
    for told in (*figures, "Polka", "&lt;i&gt;0.mp3", "&lt;b&gt;Jazz&lt;/b&gt;", "More music would help", "y.mp3"):
        assert told in words, told
    assert "<b>Jazz" not in text
    assert "<i>0" not in text
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")


def test_names_that_are_not_utf_8_are_shown_escaped():
    odd = {**DOUBT, "path": "\udcff\n.mp3"}
    text = page({**REPORT, "doubtful": [odd], "skipped": [{"path": "\udcfe", "code": "x", "message": "y"}]})
    assert text.encode()
    assert r"\udcff\n.mp3" in text


def test_songs_are_named_from_the_folder_on_that_all_are_in():
    doubts = [{**DOUBT, "path": "/home/me/Music/jazz/a.mp3"}]
    skipped = [{"path": "/home/me/Music/rock/b.mp3", "code": "empty", "message": "the file has no bytes"}]
    text = page({**REPORT, "doubtful": doubts, "skipped": skipped, "unlabelled": ["/home/me/Music/c.mp3"]})
    for name in ("jazz/a.mp3", "rock/b.mp3", "c.mp3"):
        assert f'<span title="/home/me/Music/{name}">{name}</span>' in text
    assert "/home/me/Music/jazz" not in re.sub(r"<[^>]+>", " ", text)


def test_without_artists_or_doubts_it_says_so():
    text = page({**REPORT, "interval_over": "songs", "doubtful": [], "no_doubts": "they guess", "scarce": []})
    assert "unknown artists" in text
    assert "Labels were not doubted: they guess." in text


def test_where_artists_are_unknown_songs_are_counted_once():
    report = {**REPORT, "interval_over": "songs", "interval_groups": 38}
    words = re.sub(r"<[^>]+>", " ", page(report))
    assert "40 songs by unknown artists (38 without their copies)" in words
    assert "unknown artists," in re.sub(r"<[^>]+>", " ", page({**report, "interval_groups": 40}))
    assert "4 songs" not in words, "a point of the curve has one number of songs"
    assert "9 songs" in words
