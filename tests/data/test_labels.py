import json

import pytest
from PIL import Image

from ganforge.data.label_tables import take_table
from ganforge.data.labels import FEW, class_counts, find_labels, imbalance_warnings
from ganforge.data.sources import folder_source
from ganforge.errors import DataError


def source_of(tmp_path, *names):
    for name in names:
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(path, "PNG")
    return folder_source(tmp_path / "pictures")


def found(source, option="auto", only=()):
    return find_labels(source, take_table(source, option), option, only)


def named(labelling):
    return {
        entry.name: labelling.classes[label] for entry, label in zip(labelling.entries, labelling.labels, strict=True)
    }


def test_sub_folders_are_classes(tmp_path):
    labelling = found(source_of(tmp_path, "cat/1.png", "dog/2.png", "dog/more/3.png"))
    assert labelling.classes == ("cat", "dog")
    assert named(labelling) == {"cat/1.png": "cat", "dog/2.png": "dog", "dog/more/3.png": "dog"}


@pytest.mark.parametrize("prefix", ["", "archive/", "a/b/c/"])
def test_single_folders_on_top_and_splits_are_not_classes(tmp_path, prefix):
    names = [
        f"{prefix}{split}/{kind}/{n}.png" for split in ("train", "Test", "val") for kind in ("x", "y") for n in "12"
    ]
    labelling = found(source_of(tmp_path, *names))
    assert labelling.classes == ("x", "y")
    assert all(name.split("/")[-2] == kind for name, kind in named(labelling).items())


def test_splits_with_pictures_in_them_are_classes_if_nothing_else_is(tmp_path):
    assert found(source_of(tmp_path, "train/1.png", "test/2.png")).classes == ("test", "train")


def test_pictures_beside_class_folders_are_left_out_with_a_warning(tmp_path):
    labelling = found(source_of(tmp_path, "cat/1.png", "dog/2.png", "stray.png"))
    assert [left.name for left in labelling.left_out] == ["stray.png"]
    assert labelling.left_out[0].reason == "no-label"
    assert any("stray.png" in warning and "--labels none" in warning for warning in labelling.warnings)


def test_a_few_pictures_in_sub_folders_do_not_make_classes_of_many_beside(tmp_path):
    source = source_of(tmp_path, *[f"{n}.png" for n in range(9)], "thumbs/1.png", "icons/2.png")
    labelling = found(source)
    assert labelling.classes == ()
    assert len(labelling.entries) == 11
    assert "sub-folders" in labelling.warnings[0]
    assert found(source, "folder").classes == ("icons", "thumbs")


def test_one_sub_folder_is_no_class_but_said(tmp_path):
    source = source_of(tmp_path, "all/1.png", "all/2.png")
    labelling = found(source)
    assert labelling.classes == ()
    assert "one class only" in labelling.warnings[0]
    assert found(source, "folder").classes == ("all",)


def test_a_flat_folder_has_no_labels(tmp_path):
    source = source_of(tmp_path, "1.png", "2.png")
    assert found(source).labels == []
    assert found(source).warnings == []
    with pytest.raises(DataError, match="has no sub-folders"):
        found(source, "folder")


def test_labels_none_takes_everything(tmp_path):
    labelling = found(source_of(tmp_path, "cat/1.png", "dog/2.png", "3.png"), "none")
    assert (len(labelling.entries), labelling.classes, labelling.left_out) == (3, (), [])


@pytest.mark.parametrize(
    "text",
    [
        "a/1.png,red\na/2.png,blue\nb/3.png,red\n",
        "name,label\na/1.png,red\na/2.png,blue\nb/3.png,red\n",
        "id,split,class\na/1.png,train,red\na/2.png,train,blue\nb/3.png,test,red\n",
        "\ufefffilename,label\r\n./a/1.png, red\r\na\\2.png,blue\r\n\r\nb/3.png,red",
        "1.png,red\n2.png,blue\n3.png,red\n",
        "1,red\n2,blue\n3,red\n",
        "elsewhere/1.png,red\nelsewhere/2.png,blue\nelsewhere/3.png,red\n",
    ],
)
def test_csv_tables_are_matched_by_path_or_clear_name(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    labelling = found(source_of(tmp_path, "a/1.png", "a/2.png", "b/3.png"), str(tmp_path / "t.csv"))
    assert labelling.classes == ("blue", "red")
    assert named(labelling) == {"a/1.png": "red", "a/2.png": "blue", "b/3.png": "red"}


@pytest.mark.parametrize(
    "content",
    [
        {"1.png": 10, "2.png": 9},
        [["1.png", 10], ["2.png", 9]],
        {"labels": [["1.png", 10], ["2.png", 9]]},
        {"labels": {"1.png": "10", "2.png": "9"}},
    ],
)
def test_json_tables_and_numbers_in_their_order(tmp_path, content):
    (tmp_path / "t.json").write_text(json.dumps(content))
    labelling = found(source_of(tmp_path, "1.png", "2.png"), str(tmp_path / "t.json"))
    assert labelling.classes == ("9", "10")
    assert labelling.labels == [1, 0]


@pytest.mark.parametrize(
    ("name", "text"),
    [("dataset.json", '{"labels": [["00/1.png", 1], ["00/2.png", 0]]}'), ("labels.csv", "00/1.png,1\n00/2.png,0\n")],
)
def test_a_table_beside_the_pictures_is_found(tmp_path, name, text):
    source = source_of(tmp_path, "00/1.png", "00/2.png")
    (tmp_path / "pictures" / name).write_text(text)
    source = folder_source(tmp_path / "pictures")
    labelling = found(source)
    assert named(labelling) == {"00/1.png": "1", "00/2.png": "0"}
    assert [(left.name, left.reason) for left in source.left_out] == [(name, "label-file")]


def test_a_stylegan_file_without_labels_means_none(tmp_path):
    source_of(tmp_path, "00000/1.png", "00001/2.png")
    (tmp_path / "pictures" / "dataset.json").write_text('{"labels": null}')
    labelling = found(folder_source(tmp_path / "pictures"))
    assert (labelling.classes, len(labelling.entries)) == ((), 2)


def test_a_table_below_a_single_folder_counts_from_there(tmp_path):
    source_of(tmp_path, "set/a/1.png", "set/b/1.png")
    (tmp_path / "pictures" / "set" / "labels.csv").write_text("a/1.png,x\nb/1.png,y\n")
    assert named(found(folder_source(tmp_path / "pictures"))) == {"set/a/1.png": "x", "set/b/1.png": "y"}
    (tmp_path / "pictures" / "2.png").write_bytes(b"")  # now it is the table of a part only
    assert take_table(folder_source(tmp_path / "pictures"), "auto") is None


def test_files_without_a_label_and_labels_without_a_file_are_said(tmp_path):
    (tmp_path / "t.csv").write_text("1.png,a\n2.png,b\n9.png,a\n8.png,a\n")
    labelling = found(source_of(tmp_path, "1.png", "2.png", "3.png"), str(tmp_path / "t.csv"))
    assert [left.name for left in labelling.left_out] == ["3.png"]
    assert any("1 files have no label" in warning for warning in labelling.warnings)
    assert any("2 labels are for files that are not there" in warning for warning in labelling.warnings)


def test_a_name_that_two_files_have_is_not_guessed(tmp_path):
    (tmp_path / "t.csv").write_text("1.png,a\n2.png,b\n")
    labelling = found(source_of(tmp_path, "x/1.png", "y/1.png", "x/2.png"), str(tmp_path / "t.csv"))
    assert [entry.name for entry in labelling.entries] == ["x/2.png"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.csv", "a,b,c\nd,e,f\n", "is not name,label"),
        ("t.csv", "name,label\n1.png\n", "no cell for its label"),
        ("t.csv", "1.png,a\n1.png,b\n", "two labels"),
        ("t.csv", "", "holds no labels"),
        ("t.csv", "7.png,a\n", "no label fits"),
        ("t.json", "{", "cannot be read as labels"),
        ("t.json", '{"1.png": [0, 1]}', "is not read as labels"),
        ("t.json", "3", "is not read as labels"),
    ],
)
def test_bad_tables_are_refused_in_one_line(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=says) as refused:
        found(source_of(tmp_path, "1.png"), str(tmp_path / name))
    assert "\n" not in str(refused.value)


def test_a_table_that_is_not_there_is_refused_with_the_choices(tmp_path):
    with pytest.raises(DataError, match="auto, folder, none"):
        found(source_of(tmp_path, "1.png"), "folders")


def test_only_some_classes(tmp_path):
    source = source_of(tmp_path, "cat/1.png", "dog/2.png", "eel/3.png")
    labelling = found(source, only=("eel", "cat"))
    assert labelling.classes == ("cat", "eel")
    assert named(labelling) == {"cat/1.png": "cat", "eel/3.png": "eel"}
    assert [(left.name, left.reason) for left in labelling.left_out] == [("dog/2.png", "not-asked-for")]
    with pytest.raises(DataError, match="--only cow: the classes are cat, dog, eel"):
        found(source, only=("cow",))


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ([100], "one class only"),
        ([100, 0], "all labels are equal"),
        ([100, 0], "no picture was kept of b"),
        ([100, FEW - 1], "under 50 pictures in b"),
        ([2100, 100], "21 times"),
    ],
)
def test_lopsided_classes_are_warned_about(counts, says):
    assert any(says in warning for warning in imbalance_warnings("ab"[: len(counts)], counts))


def test_balanced_classes_are_not_warned_about():
    assert imbalance_warnings("ab", [FEW, 20 * FEW]) == []


def test_classes_are_counted():
    assert class_counts([0, 2, 2], "abc") == [1, 0, 2]
