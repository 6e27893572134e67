"""`towpath init --from dvc.yaml`: a drafted pipeline makes the bytes that `dvc repro` makes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from command_line import call_dvc, call_towpath
from thread_executor import run_in_threads
from towpath.backends.dvc import initialise_store, missing_store_files
from towpath.errors import UserError
from towpath.execution import pipeline_run as running
from towpath.planning import pipeline_check
from towpath.planning.run_request import RunRequest
from towpath.projects import apply_additions, plan_additions
from towpath.projects.pipeline_draft import PipelineDraft, draft_pipeline
from towpath.workspace import Workspace

DVC = """\
vars:
  - hi: hello
stages:
  prepare:
    desc: Splits the table.
    cmd: python src/prepare.py
    deps: [src/prepare.py, data/raw.csv]
    params: [prepare]
    outs: [data/prepared]
  fit:
    cmd: python src/fit.py ${model_dir}/model.json --power ${fit.power}
    deps: [src/fit.py, data/prepared/train.csv]
    params: [fit.scale]
    outs:
      - ${model_dir}/model.json: {persist: true}
  evaluate:
    wdir: src
    cmd: python evaluate.py
    deps: [evaluate.py, ../models/model.json, ../data/prepared]
    metrics:
      - ../metrics.json: {cache: false}
    plots:
      - ../residuals.csv: {cache: false, x: x, y: error, header: true}
  country:
    foreach: ${countries}
    do:
      cmd: echo "${hi} ${item}" > out/${item}.txt && sort -r data/*/test.csv >> out/${item}.txt
      deps: [data/prepared/test.csv]
      outs: ["out/${item}.txt"]
  grid:
    matrix: {a: [1, 2], b: [p]}
    cmd:
      - mkdir -p made
      - awk '{print $1 ${item.a}}' out/us.txt > made/${item.a}-${item.b}.txt
    deps: [out/us.txt]
    outs: ["made/${item.a}-${item.b}.txt"]
    meta: {owner: ada}
  old:
    frozen: true
    cmd: python nowhere.py
    outs: [old.txt]
  later:
    cmd: cp old.txt new.txt
    deps: [old.txt]
    outs: [new.txt]
    always_changed: true
plots:
  - residuals.csv
"""

FILES = {
    "dvc.yaml": DVC,
    "params.yaml": (
        "prepare: {split: 2, names: [test, train]}\nfit: {scale: 1.0e-05, power: 2, free: 1}\n"
        "countries: [us, de]\nmodel_dir: models\n"
    ),
    "data/raw.csv": "".join(f"{number}\n" for number in (5, 3, 8, 1, 9)),
    "old.txt": "old\n",
    "src/common.py": "def numbers(path): return [int(line) for line in open(path)]\n",
    "src/prepare.py": (
        "import os, yaml\nfrom common import numbers\n"
        "p = yaml.safe_load(open('params.yaml'))['prepare']; rows = numbers('data/raw.csv')\n"
        "os.makedirs('data/prepared', exist_ok=True); cut = p['split']\n"
        "for name, part in zip(p['names'], (rows[:cut], rows[cut:])):\n"
        "    open(f'data/prepared/{name}.csv', 'w').writelines(f'{row}\\n' for row in part)\n"
    ),
    "src/fit.py": (
        "import json, os, sys, yaml\nfrom common import numbers\n"
        "scale = yaml.safe_load(open('params.yaml'))['fit']['scale']\n"
        "os.makedirs('models', exist_ok=True); rows = numbers('data/prepared/train.csv')\n"
        "json.dump({'m': scale * sum(rows) ** int(sys.argv[3])}, open(sys.argv[1], 'w'))\n"
    ),
    "src/evaluate.py": (
        "import json\nfrom common import numbers\n"
        "m = json.load(open('../models/model.json'))['m']\n"
        "rows = numbers('../data/prepared/test.csv')\n"
        "json.dump({'mse': sum((row - m) ** 2 for row in rows)}, open('../metrics.json', 'w'))\n"
        "lines = ''.join(f'{r},{r - m}\\n' for r in rows)\n"
        "open('../residuals.csv', 'w').write(f'x,error\\n{lines}')\n"
    ),
    "out/.gitkeep": "",
}

SAME = {
    "data/prepared/train.csv": "prepare/prepared/train.csv",
    "data/prepared/test.csv": "prepare/prepared/test.csv",
    "models/model.json": "fit/model.json",
    "metrics.json": "evaluate/metrics.json",
    "residuals.csv": "evaluate/residuals.csv",
    "out/us.txt": "country_us/us.txt",
    "out/de.txt": "country_de/de.txt",
    "made/1-p.txt": "grid_1_p/1-p.txt",
    "made/2-p.txt": "grid_2_p/2-p.txt",
    "new.txt": "later/new.txt",
}

LEFT_OUT = [
    "dvc.yaml:15: `persist` of models/model.json in stage `fit`: a step begins without what it "
    "made before",
    "dvc.yaml:23: `plots` of stage `evaluate`: one plot of ../residuals.csv, without header",
    "dvc.yaml:24: `${hi}` in quotes in the command of stage `country`: its value as it is now "
    "stands there",
    "dvc.yaml:37: `meta` of stage `grid`: it stays in dvc.yaml, which DVC reads as before",
    "dvc.yaml:39: `frozen`: stage `old` is no step; what it made is an input",
    "dvc.yaml:47: `plots` at the top: it stays in dvc.yaml, which DVC reads as before",
]


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "leaf"
    root.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    initialise_store(root)
    return root


def adopted(root: Path) -> PipelineDraft:
    """The project with the draft written, as `towpath init --from` leaves it."""
    draft = draft_pipeline(root, root / "dvc.yaml")
    apply_additions(root, plan_additions(root, missing_store_files(root)))
    write(root, {draft.path: draft.text})
    return draft


def drafted(root: Path, stages: str, **files: str) -> tuple[str, list[str]]:
    """The draft's text of these stages, and what it leaves out; the draft is sound."""
    write(root, {"dvc.yaml": stages, **{n.replace("__", "/"): t for n, t in files.items()}})
    draft = adopted(root)
    assert pipeline_check.find_pipeline_faults(Workspace(root), "training") == ()
    return draft.text, [str(fault) for fault in draft.left_out]


def test_the_draft_makes_what_dvc_repro_makes(repository: Path) -> None:
    write(repository, FILES)
    draft = adopted(repository)
    assert [str(fault) for fault in draft.left_out] == LEFT_OUT
    assert all(f"#   {fault}\n" in draft.text for fault in LEFT_OUT)
    assert pipeline_check.find_pipeline_faults(Workspace(repository), "training") == ()
    done = running.run_pipeline(Workspace(repository), RunRequest("training"), run_in_threads)
    assert {step.name for step in done.steps.values()} >= {"prepare", "country_de", "grid_2_p"}
    made = repository / "artifacts" / "training"
    ours = {theirs: (made / name).read_bytes() for theirs, name in SAME.items()}
    assert not (repository / "data/prepared").exists(), "a step writes in a folder of its own"
    stages = ("prepare", "fit", "evaluate", "country", "grid", "later")
    said = call_dvc(repository, "repro", "-q", *stages)
    assert said.returncode == 0, said.stderr
    assert {theirs: (repository / theirs).read_bytes() for theirs in SAME} == ours
    said = call_dvc(repository, "status", "--json")
    ours_stale = [name for name in json.loads(said.stdout) if name.startswith("training-")]
    assert ours_stale == [], "DVC's stages and Towpath's stand beside one another"


def test_parameters_of_the_draft_act_on_what_the_program_reads(repository: Path) -> None:
    write(repository, FILES)
    adopted(repository)
    asked = RunRequest("training", params={"fit_scale": 1.0}, only=("fit",))
    running.run_pipeline(Workspace(repository), asked, run_in_threads)
    again = RunRequest("training", params={"fit_scale": 2.0})
    done = running.run_pipeline(Workspace(repository), again, run_in_threads)
    assert done.steps["fit"].made.values["model"] == {"m": 2.0 * 18**2}
    assert done.steps["fit"].reason == "`fit_scale` 1.0 -> 2.0"


def test_each_way_of_saying_a_command(repository: Path) -> None:
    text, left = drafted(repository, """\
stages:
  quoted: {cmd: 'python -c "print(''${lr}'')" > q.txt', outs: [q.txt]}
  plain: {cmd: 'python -m json.tool in.json p-${lr}.txt', deps: [in.json], outs: [p.txt]}
  builtin: {cmd: 'cd sub', deps: [in.json]}
  both: {cmd: ['echo "${lr}"', 'echo ${lr} > b.txt'], outs: [b.txt]}
  braces: {cmd: "awk '{print}' in.json", deps: [in.json]}
""", params__yaml="x", **{"params.yaml": "lr: 0.1\n", "in.json": "{}\n"})  # fmt: skip
    fixed = "its value as it is now stands there"
    assert left == [
        f"dvc.yaml:2: `${{lr}}` in quotes in the command of stage `quoted`: {fixed}",
        f"dvc.yaml:5: `${{lr}}` in quotes in the command of stage `both`: {fixed}",
    ]
    assert 'command: "python -c \\"print(\'0.1\')\\" > q.txt"\n    shell: true' in text
    assert 'command: "python -m json.tool in.json p-{lr}.txt"\n    inputs' in text
    both = 'command: |-\n      echo "0.1"\n      echo {lr} > b.txt\n    shell: true\n    params:'
    assert both in text
    assert "command: cd sub\n    shell: true" in text
    assert "command: \"awk '{{print}}' in.json\"\n    inputs" in text


def test_what_lies_outside_or_has_no_word_is_listed(repository: Path) -> None:
    _, left = drafted(repository, """\
stages:
  a:
    cmd: python a.py
    deps: [a.py, ../other/x.csv, "s3://bucket/y.csv"]
    params: [seed, deep.nothing, settings.toml: [z], gone.yaml: [q]]
    outs:
      - /tmp/z.txt
      - one.txt: {push: false}
      - two.txt: {remote: far}
    metrics: [scores.yaml]
""", **{"a.py": "", "params.yaml": "seed: 1\n", "settings.toml": "z = 1\n"})  # fmt: skip
    assert [line.partition(": ")[2] for line in left] == [
        "output `/tmp/z.txt` of stage `a` is outside of the project",
        "`push` of one.txt in stage `a`: it stays in dvc.yaml, which DVC reads as before",
        "`remote` of two.txt in stage `a`: it stays in dvc.yaml, which DVC reads as before",
        "dependency `../other/x.csv` of stage `a` is outside of the project: `dvc import-url` "
        "brings it in",
        "dependency `s3://bucket/y.csv` of stage `a` is outside of the project: `dvc import-url` "
        "brings it in",
        "parameter `deep.nothing` of stage `a` has no value in params.yaml that a parameter can "
        "have",
        "settings.toml is code of stage `a`: only YAML and JSON are written, so its values are no "
        "parameters",
        "parameters of stage `a`: there is no gone.yaml",
        "scores.yaml of stage `a` is an output and no metrics: those are JSON",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stages:\n  a: [", "dvc.yaml:3: it is no YAML"),
        ("stages: {a: {}}", "dvc.yaml: DVC does not understand it"),
        ("stages: {a: {cmd: 'x ${nothing}'}}", "dvc.yaml: DVC does not understand it"),
        ("stages: {}", "dvc.yaml has no stages of your own"),
        ("stages: {training-a: {cmd: x, meta: {towpath: training}}}", "no stages of your own"),
    ],
)
def test_what_dvc_does_not_read_is_an_error(repository: Path, text: str, words: str) -> None:
    write(repository, {"dvc.yaml": text})
    with pytest.raises(UserError) as raised:
        draft_pipeline(repository, repository / "dvc.yaml")
    assert words in str(raised.value.faults[0])


def test_another_file_than_a_dvc_yaml_is_named(repository: Path) -> None:
    write(repository, {"Makefile": "all:\n"})
    with pytest.raises(UserError, match=r"^Makefile is no dvc.yaml \(it takes the stages of a dvc"):
        draft_pipeline(repository, repository / "Makefile")


def test_the_command_line_writes_it_once(repository: Path) -> None:
    write(repository, FILES)

    def init(*words: str) -> subprocess.CompletedProcess[str]:
        return call_towpath(repository, "init", *words)

    assert init().returncode == 0
    said = init("--from", "dvc.yaml")  # in the place of the empty pipeline, which is ours
    assert "made flows/training/pipeline.yaml" in said.stderr and LEFT_OUT[0] in said.stderr
    again = init("--from", "dvc.yaml")
    assert "flows/training/pipeline.yaml is there, and was left alone" in again.stderr
    named = json.loads(init("--from", "dvc.yaml", "--pipeline", "leaf", "--json").stdout)["init"]
    assert named["made"] == ["flows/leaf/pipeline.yaml"] and named["left_out"] == LEFT_OUT
    missing = init("--from", "dcv.yaml")
    assert missing.returncode == 2 and "there is no dcv.yaml" in missing.stderr
    assert init("--from", "dvc.yaml", "--pipeline", "a b").returncode == 2
