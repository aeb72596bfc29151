"""The files of examples/cluster say what Ray, KubeRay and Slurm understand, as far as can be seen without a cloud."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

import automl
from automl.cli import app

ROOT = Path(automl.__file__).parents[1]
CLUSTER = ROOT / "examples" / "cluster"
DOCUMENTS = (ROOT / "README.md", CLUSTER / "README.md")
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line)


def calls(text):
    """Return the words of each command in shell code, without variables set before it; comments go."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        found.append([])
        for token in lexer:
            if set(token) <= set("();&|<>"):
                found.append([])
            elif found[-1] or not re.match(r"\w+=", token):
                found[-1].append(token)
    return [words for words in found if words]


def ray_calls(text):
    return [words[1:] for words in calls(text) if words[0] == "ray"]


def automl_calls(text):
    """Return the words after `automl`, also of what is handed to Ray, to a node or to a shell."""
    found = []
    for words in calls(text):
        if words[0] == "automl":
            found.append(words[1:])
        elif words[:3] == ["ray", "job", "submit"]:
            found += automl_calls(shlex.join(words[words.index("--") + 1 :]))
        elif words[:2] == ["ray", "exec"] or words[:2] == ["bash", "-c"]:
            found += automl_calls(words[-1])
    return found


def shell(path):
    """Return the shell code of a document: its blocks that name no other language."""
    blocks = re.findall(r"```(\w*)\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    return "\n".join(code for language, code in blocks if not language)


class Ray:
    """Ray, asked in a process of its own; what it refuses raises ValueError."""

    def __init__(self, process):
        self._process = process

    def _ask(self, question, given):
        self._process.stdin.write(json.dumps([question, given]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["value"]

    def parsed(self, words):
        """Return the parameters that Ray's own command line makes of the words after `ray`."""
        return self._ask("parsed", list(words))

    def prepared(self, launcher):
        """Return what `ray up` makes of a cluster.yaml."""
        return self._ask("prepared", launcher)


@pytest.fixture(scope="module")
def ray():
    command = [sys.executable, str(Path(__file__).with_name("ask_ray.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield Ray(process)


def understood(words):
    """Return the parameters that our own command line makes of words; it raises for options that it doesn't have."""
    return typer.main.get_command(app).commands[words[0]].make_context(words[0], list(words[1:])).params


@pytest.fixture(scope="module")
def launcher():
    return yaml.safe_load((CLUSTER / "cluster.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def manifest():
    claim, job = yaml.safe_load_all((CLUSTER / "rayjob.yaml").read_text(encoding="utf-8"))
    return claim, job


def test_an_option_that_ray_does_not_have_is_seen(ray):
    assert ray.parsed(["start", "--head", "--port=1234"])["port"] == 1234
    with pytest.raises(ValueError, match=r"NoSuchOption: .*--gpus"):
        ray.parsed(["start", "--head", "--gpus=2"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=["README.md", "cluster/README.md"])
def test_ray_has_the_options_that_the_documents_name(ray, document):
    found = [words[0] for words in ray_calls(shell(document)) if ray.parsed(words) is not None]
    assert {"start", "job", "stop"} <= set(found)


@pytest.mark.parametrize("document", DOCUMENTS, ids=["README.md", "cluster/README.md"])
def test_automl_has_the_options_that_the_documents_name(document):
    found = [(words[0], understood(words).get("cluster")) for words in automl_calls(shell(document))]
    assert ("search", "auto") in found
    assert ("leaderboard", None) in found


def test_the_documents_name_the_files_that_are_there():
    texts = [path.read_text(encoding="utf-8") for path in DOCUMENTS]
    named = re.findall(r"examples/cluster/(\w+\.\w+)", "".join(texts)) + re.findall(r"\]\(([\w.]+)\)", texts[1])
    assert set(named) == {path.name for path in CLUSTER.iterdir()} - {"README.md"}


def test_ray_up_takes_the_cluster(ray, launcher):
    ready = ray.prepared(launcher)
    types = ready["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    assert types["gpu"]["resources"]["GPU"] == 1
    assert types["gpu"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert 0 < types["gpu"]["min_workers"] <= types["gpu"]["max_workers"] <= ready["max_workers"]


def test_ray_up_refuses_what_it_does_not_know(ray, launcher):
    with pytest.raises(ValueError, match=r"ValidationError: .*idle_minutes"):
        ray.prepared({**launcher, "idle_minutes": 5})


def test_the_nodes_of_ray_up_ask_for_a_token_and_keep_the_dashboard_to_themselves(ray, launcher):
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        (start,) = (text for text in launcher[key] if "ray start" in text)
        ((_, *words),) = (words for words in ray_calls(start) if words[0] == "start")
        options = ray.parsed(["start", *words])
        assert "RAY_AUTH_MODE=token ray start" in start
        assert options["head"] == (key == "head_start_ray_commands")
        assert options["dashboard_host"] == "127.0.0.1"
    assert "/home/ray/.ray/auth_token" in launcher["file_mounts"]


def test_images_hold_the_ray_and_the_python_that_the_tests_run_with(launcher, manifest):
    image = f"rayproject/ray:{PINNED['ray']}-py311"
    assert launcher["docker"]["head_image"] == image
    assert launcher["docker"]["worker_image"] == f"{image}-gpu"
    assert f"FROM {image}-gpu\n" in (CLUSTER / "Dockerfile").read_text(encoding="utf-8")
    assert manifest[1]["spec"]["rayClusterSpec"]["rayVersion"] == PINNED["ray"]


def test_the_ray_job_has_what_kuberay_requires(ray, manifest):
    _, job = manifest
    assert (job["apiVersion"], job["kind"], bool(job["metadata"]["name"])) == ("ray.io/v1", "RayJob", True)
    spec = job["spec"]
    assert spec["shutdownAfterJobFinishes"] is True
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    (group,) = cluster["workerGroupSpecs"]
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for part in (cluster["headGroupSpec"], group):
        assert all(isinstance(value, str) for value in part["rayStartParams"].values())  # the operator refuses numbers
        ray.parsed(["start", *(f"--{name}={value}" for name, value in part["rayStartParams"].items())])
    (worker,) = group["template"]["spec"]["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == worker["resources"]["requests"]["nvidia.com/gpu"] == 1


def test_the_ray_job_exports_what_it_found(manifest):
    search, export = (understood(words) for words in automl_calls(manifest[1]["spec"]["entrypoint"]))
    assert search["cluster"] == "auto"
    assert search["out"] == export["run"]
    assert export["model"].parent == Path("/shared")


def test_all_pods_of_the_ray_job_share_the_volume_that_it_keeps_the_search_on(manifest):
    claim, job = manifest
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    cluster = job["spec"]["rayClusterSpec"]
    for part in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = part["template"]["spec"]
        ((mount,),) = (container["volumeMounts"] for container in pod["containers"])
        volumes = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"]}
        assert volumes[mount["name"]] == claim["metadata"]["name"]
        assert f"--storage {mount['mountPath']}/" in job["spec"]["entrypoint"]


STAND_INS = {
    "scontrol": '[ "$*" = "show hostnames n[1-3]" ] && printf "n1\\nn2\\nn3\\n"',
    "srun": 'echo "srun $*" >> "$LOG"; exec sleep 60',
    "ray": """
        case $1 in
          get-auth-token) echo -n secret ;;
          list) for count in $(grep -o -- '^srun --nodes=[0-9]*' "$LOG" | cut -d= -f2); do
                  for ((i = 0; i < count; i++)); do echo -n '{"node_id": "a"}'; done
                done ;;
        esac""",
    "automl": 'echo "automl $*" >> "$LOG"; echo "$RAY_ADDRESS $RAY_AUTH_MODE $RAY_AUTH_TOKEN" >> "$LOG"; exit "${FAILS:-0}"',
}


@pytest.fixture
def slurm(tmp_path):
    """Run slurm.sh with stand-ins for all that it calls; return its exit code and what they were called with, in order.

    It must end what it started: the output is read to its end, which comes when the last of them has closed it.
    """
    (tmp_path / "bin").mkdir()
    for name, body in STAND_INS.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        path.chmod(0o755)
    job = {
        "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[1-3]", "SLURM_JOB_NUM_NODES": "3", "SLURM_CPUS_PER_TASK": "8",
        "SLURM_SUBMIT_DIR": "/shared", "TMPDIR": "/scratch", "LOG": str(tmp_path / "log"), "HOME": str(tmp_path),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
    }  # fmt: skip

    def submit(*arguments, **environment):
        command = ["bash", str(CLUSTER / "slurm.sh"), *arguments]
        done = subprocess.run(command, env={**job, **environment}, capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, [line.split() for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()]

    return submit


def started(ray, call):
    """Return srun's options, and what Ray makes of the command behind them."""
    first = call.index("ray")
    return set(call[1:first]), ray.parsed(call[first + 1 :])


def test_slurm_starts_a_head_then_the_others_then_the_search(ray, slurm):
    code, (head, others, search, reached, export, _) = slurm("adult.csv", "--target", "income")
    assert code == 0
    where, options = started(ray, head)
    assert where == {"--nodes=1", "--ntasks=1", "--nodelist=n1"}
    assert (options["head"], options["block"], options["port"], options["num_cpus"]) == (True, True, 6379, 8)
    where, options = started(ray, others)
    assert where == {"--nodes=2", "--ntasks=2", "--exclude=n1"}
    assert (options["head"], options["block"], options["address"], options["num_cpus"]) == (False, True, "n1:6379", 8)
    assert search[1:] == shlex.split(
        "search adult.csv --target income --cluster auto --out /scratch/automl-7 --storage /shared/automl-storage"
    )
    assert understood(search[1:])["cluster"] == "auto"
    assert reached == ["n1:6379", "token", "secret"]
    assert understood(export[1:])["model"] == Path("/shared/automl-model-7")
    assert export[1:] == ["export", "/scratch/automl-7", "/shared/automl-model-7"]


def test_slurm_with_one_node_starts_a_head_only(slurm):
    code, (head, search, *_) = slurm("adult.csv", SLURM_JOB_NUM_NODES="1")
    assert code == 0
    assert "--nodelist=n1" in head
    assert search[1] == "search"


def test_slurm_goes_on_where_it_was_when_nodes_were_taken_away(slurm):
    code, (_, _, resume, *_) = slurm("adult.csv", SLURM_RESTART_COUNT="1", AUTOML_STORAGE="s3://bucket/runs")
    assert code == 0
    assert understood(resume[1:])["storage"] == "s3://bucket/runs"
    assert resume[1:] == shlex.split("resume /scratch/automl-7 --cluster auto --storage s3://bucket/runs")


def test_slurm_reports_a_search_that_failed(slurm):
    code, made = slurm("adult.csv", FAILS="2")
    assert code == 2
    assert [call[1] for call in made if call[0] == "automl"] == ["search"]
